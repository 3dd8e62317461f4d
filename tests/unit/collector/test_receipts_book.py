"""The counters outlive their process, show what was in doubt, and never go down."""

import os
import resource
import signal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector import receipts
from collector.receipts import ReceiptBook, ReceiptsFull, rfc3339

HOUR = 3_600_000_000
NOW = 1_795_435_200_000_000
CELL = ("acme", "page_view", NOW)


def never(path: Path, error: Exception) -> None:
    raise AssertionError(f"{path}: {error}")


def book(folder: Path, name: str = "a" * 16) -> ReceiptBook:
    return ReceiptBook.create(folder, name, NOW)


def shown(one: ReceiptBook, now: int = NOW) -> dict[str, object]:
    return one.snapshot(now, now, closed=False)[0]


def test_a_receipt_says_what_was_assigned_acknowledged_and_void(tmp_path: Path) -> None:
    one = book(tmp_path)
    slot, first = one.begin(3) or (0, 0)
    assert first == 1
    one.settle(slot, {CELL: (2, 1, 1)})
    slot, first = one.begin(2) or (0, 0)
    assert first == 4
    one.settle(slot, {}, [4, 5])
    receipt = shown(one)
    assert (receipt["assigned"], receipt["acknowledged"], receipt["void"], receipt["in_doubt"]) == (5, 3, [[4, 5]], [])
    assert receipt["cells"] == [
        {
            "tenant": "acme",
            "event_type": "page_view",
            "received_hour": rfc3339(NOW),
            "accepted": 2,
            "rejected": 1,
            "minted": 1,
        }
    ]


def test_a_request_that_was_refused_whole_is_counted_of_nobody_and_has_no_number(tmp_path: Path) -> None:
    one = book(tmp_path)
    one.refuse(NOW)
    one.refuse(NOW)
    receipt = shown(one)
    (cell,) = receipt["cells"]
    assert (cell["tenant"], cell["event_type"], cell["accepted"], cell["rejected"]) == ("", None, 0, 2)
    assert (receipt["assigned"], receipt["acknowledged"]) == (0, 0)


def test_what_is_at_work_is_in_doubt_until_it_is_settled(tmp_path: Path) -> None:
    one = book(tmp_path)
    first, _ = one.begin(2) or (0, 0)
    one.begin(3)
    one.settle(first, {CELL: (2, 0, 0)})
    assert shown(one)["in_doubt"] == [[3, 5]]


def test_counters_survive_a_kill_to_the_last_one(tmp_path: Path) -> None:
    child = os.fork()
    if child == 0:
        one = book(tmp_path)
        for _ in range(1000):
            slot, _ = one.begin(1) or (0, 0)
            one.settle(slot, {CELL: (1, 0, 0)})
        one.begin(7)
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    (orphan,) = ReceiptBook.orphans(tmp_path, never)
    receipt = shown(orphan)
    assert (receipt["assigned"], receipt["acknowledged"], receipt["in_doubt"]) == (1007, 1000, [[1001, 1007]])
    orphan.close(remove=True)
    assert list(tmp_path.iterdir()) == []


class Killed(BaseException):
    pass


class Dying:
    """The words of a process that is killed before its next store when it has made ``stores``."""

    def __init__(self, words: memoryview, stores: int) -> None:
        self._words, self._left = words, stores

    def __getitem__(self, at: int) -> int:
        return int(self._words[at])

    def __setitem__(self, at: int, value: int) -> None:
        if not self._left:
            raise Killed
        self._left -= 1
        self._words[at] = value


@pytest.mark.parametrize("stores", range(26))
def test_a_request_is_counted_or_in_doubt_wherever_a_kill_strikes_while_it_is_booked(
    tmp_path: Path, stores: int
) -> None:
    one = book(tmp_path)
    before, _ = one.begin(2) or (0, 0)
    slot, _ = one.begin(5) or (0, 0)
    one.settle(before, {CELL: (2, 0, 1)})
    words = one._words
    one._words = Dying(words, stores)  # type: ignore[assignment]
    try:
        one.settle(slot, {CELL: (3, 1, 2), ("acme", "", NOW): (0, 1, 0)})
        answered = True
    except Killed:
        answered = False
    reopened = ReceiptBook(one.path, os.open(one.path, os.O_RDWR))
    receipt = shown(reopened)
    counted = sum(cell["accepted"] + cell["rejected"] for cell in receipt["cells"])  # type: ignore[attr-defined]
    assert counted == receipt["acknowledged"]
    assert (counted, receipt["in_doubt"]) in ((7, []), (2, [[3, 7]]))
    assert not answered or counted == 7
    assert answered or stores < 25, "not every store was reached"
    one._words = words
    for each in (one, reopened):
        each.close(remove=False)


def test_the_whole_file_has_room_on_the_disk_before_anything_is_counted(tmp_path: Path) -> None:
    """Else a disk that fills up later kills the collector with SIGBUS when it first writes to a page in memory."""
    one = book(tmp_path)
    assert one.path.stat().st_blocks * 512 >= receipts.SIZE
    assert one.path.stat().st_size == receipts.SIZE


def test_without_room_for_it_nothing_is_left_of_a_file(tmp_path: Path) -> None:
    was = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (receipts.SIZE // 2, was[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            book(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, was)
        signal.signal(signal.SIGXFSZ, ignored)
    assert list(tmp_path.iterdir()) == []


def test_the_file_of_a_living_process_is_left_alone(tmp_path: Path) -> None:
    one = book(tmp_path)
    assert list(ReceiptBook.orphans(tmp_path, never)) == []
    one.close(remove=False)
    assert [orphan.collector_id for orphan in ReceiptBook.orphans(tmp_path, never)] == ["a" * 16]


def test_a_damaged_file_is_reported_and_kept(tmp_path: Path) -> None:
    (tmp_path / "bad.receipts").write_bytes(b"x")
    found: list[Path] = []
    assert list(ReceiptBook.orphans(tmp_path, lambda path, _error: found.append(path))) == []
    assert found == [tmp_path / "bad.receipts"]
    assert found[0].exists()


def test_old_cells_are_shown_until_kafka_has_them_as_they_are(tmp_path: Path) -> None:
    one = book(tmp_path)
    slot, _ = one.begin(1) or (0, 0)
    one.settle(slot, {CELL: (1, 0, 0)})
    later = NOW + 5 * HOUR
    receipt, told = one.snapshot(later, later, closed=False)
    assert len(receipt["cells"]) == 1
    one.confirm(told)
    assert shown(one, later)["cells"] == []
    slot, _ = one.begin(1) or (0, 0)
    one.settle(slot, {CELL: (1, 0, 0)})
    assert [cell["accepted"] for cell in one.snapshot(later, later, closed=False)[0]["cells"]] == [2]


def test_confirmation_counts_for_what_was_shown_not_for_what_came_meanwhile(tmp_path: Path) -> None:
    one, later = book(tmp_path), NOW + 5 * HOUR
    slot, _ = one.begin(1) or (0, 0)
    one.settle(slot, {CELL: (1, 0, 0)})
    _, told = one.snapshot(later, later, closed=False)
    slot, _ = one.begin(1) or (0, 0)
    one.settle(slot, {CELL: (1, 0, 0)})
    one.confirm(told)
    assert len(one.snapshot(later, later, closed=False)[0]["cells"]) == 1


def test_cells_of_hours_past_make_room_once_published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receipts, "CELLS", 2)
    one = book(tmp_path)
    for hour in range(2):
        slot, _ = one.begin(1) or (0, 0)
        one.settle(slot, {("acme", "page_view", NOW + hour * HOUR): (1, 0, 0)})
    slot, _ = one.begin(1) or (0, 0)
    with pytest.raises(ReceiptsFull):
        one.settle(slot, {("acme", "page_view", NOW + 9 * HOUR): (1, 0, 0)})
    one.confirm(one.snapshot(NOW, NOW, closed=False)[1])
    one.settle(slot, {("acme", "page_view", NOW + 9 * HOUR): (1, 0, 0)})
    assert one.acknowledged == 3


def test_too_many_requests_at_once_get_no_sequence(tmp_path: Path) -> None:
    one = book(tmp_path)
    for _ in range(receipts.FLIGHTS):
        assert one.begin(1) is not None
    assert one.begin(1) is None
    assert one.assigned == receipts.FLIGHTS


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.integers(1, 5), st.booleans(), st.booleans()), max_size=40))
def test_every_sequence_is_acknowledged_void_or_in_doubt_and_only_one_of_them(
    tmp_path_factory: pytest.TempPathFactory, requests: list[tuple[int, bool, bool]]
) -> None:
    one = book(tmp_path_factory.mktemp("book"))
    for count, answered, lost in requests:
        slot, first = one.begin(count) or (0, 0)
        if answered and lost:
            one.settle(slot, {}, range(first, first + count))
        elif answered:
            one.settle(slot, {CELL: (count, 0, 0)})
    receipt, _ = one.snapshot(NOW, NOW, closed=False)
    void, doubt = ({n for a, b in receipt[name] for n in range(a, b + 1)} for name in ("void", "in_doubt"))
    assert not void & doubt
    assert receipt["assigned"] == receipt["acknowledged"] + len(void) + len(doubt)
    one.close(remove=True)


def test_times_have_six_digits_and_z() -> None:
    assert rfc3339(1_795_435_200_000_001) == "2026-11-23T12:00:00.000001Z"
