"""The spool keeps what it announced, in order, through torn writes, lost cursors and full disks."""

import errno
import os
import threading
from pathlib import Path

import pytest

from collector.message import Message, encode
from collector.spool import SpoolFolder
from collector.spool_write import Append, SpoolFull, SpoolWriter


def message(sequence: int, value: bytes = b"{}") -> Message:
    return Message("events.page_view", b"t|k", value, 1_000_000 + sequence, "c" * 16, sequence)


def append(*sequences: int, value: bytes = b"{}") -> Append:
    messages = [message(n, value) for n in sequences]
    return Append([encode(m) for m in messages], messages)


def locked(path: Path) -> SpoolFolder:
    folder = SpoolFolder.lock(path)
    assert folder is not None
    return folder


class Writing:
    """A writer whose announcements are taken note of as the loop would."""

    def __init__(self, folder: SpoolFolder, max_bytes: int = 1 << 20) -> None:
        self.folder, self._arrived = folder, threading.Condition()
        self.done: list[Append] = []
        self.writer = SpoolWriter(folder, self._announce, max_bytes=max_bytes, min_free_bytes=0)

    def _announce(self, group: list[Append]) -> None:
        with self._arrived:
            for one in group:
                self.writer.settled(one)
                if one.first is not None:
                    self.folder.announced(one.first, len(one.messages), one.received_us)
            self.done += group
            self._arrived.notify_all()

    def write(self, *appends: Append, after: int | None = None) -> None:
        wanted = (len(self.done) if after is None else after) + len(appends)
        for one in appends:
            self.writer.append(one)
        with self._arrived:
            assert self._arrived.wait_for(lambda: len(self.done) >= wanted, 5)


def spooled(path: Path, *appends: Append, max_bytes: int = 1 << 20) -> SpoolFolder:
    """A folder as a process killed after these appends leaves it."""
    folder = locked(path)
    writing = Writing(folder, max_bytes)
    for one in appends:
        writing.write(one)
    writing.writer.close()
    folder.close(remove=False)
    return locked(path)


def sequences(folder: SpoolFolder, limit: int = 100) -> list[int]:
    return [m.sequence for _, m in folder.take(limit, folder.end)]


def test_what_was_announced_is_read_by_the_next_process_in_order(tmp_path: Path) -> None:
    folder = spooled(tmp_path / "s", append(1, 2), append(3), append(4, 5, 6))
    assert folder.recover() == []
    assert (folder.cursor, folder.end) == (0, 6)
    ((_, first), *_) = folder.take(1, folder.end)
    assert (first.topic, first.key, first.value, first.collector_id) == ("events.page_view", b"t|k", b"{}", "c" * 16)
    assert sequences(folder, 3) == [2, 3, 4]
    assert sequences(folder) == [5, 6]


def test_a_group_of_requests_is_synced_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writing = Writing(locked(tmp_path / "s"))
    writing.write(append(1))
    syncs, gate = [], threading.Event()
    real = os.fdatasync

    def slow(handle: int) -> None:
        syncs.append(handle)
        gate.wait(5)
        real(handle)

    monkeypatch.setattr(os, "fdatasync", slow)
    for n in range(2, 22):
        writing.writer.append(append(n))
    gate.set()
    writing.write(append(22), after=21)
    assert len(syncs) <= 3
    assert sequences(writing.folder) == list(range(1, 23))
    writing.writer.close()


def test_nothing_is_announced_before_it_is_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writing, order = Writing(locked(tmp_path / "s")), []
    real = os.fdatasync
    monkeypatch.setattr(os, "fdatasync", lambda handle: (order.append("sync"), real(handle))[1])
    announced = writing.folder.announced
    monkeypatch.setattr(writing.folder, "announced", lambda *a: (order.append("announced"), announced(*a))[1])
    writing.write(append(1))
    assert order == ["sync", "announced"]
    writing.writer.close()


def test_a_write_cut_short_is_reported_and_what_was_before_it_kept(tmp_path: Path) -> None:
    spooled(tmp_path / "s", append(1, 2)).close(remove=False)
    (segment,) = (tmp_path / "s").glob("*.seg")
    segment.write_bytes(segment.read_bytes() + encode(message(3))[:-3])
    folder = locked(tmp_path / "s")
    (damage,) = folder.recover()
    assert (damage.path, list(damage.missing)) == (segment, [])
    assert sequences(folder) == [1, 2]


def test_a_damaged_record_in_the_middle_is_reported_with_what_is_missing_for_it(tmp_path: Path) -> None:
    value = b"x" * 90_000
    folder = spooled(tmp_path / "s", *(append(n, value=value) for n in range(1, 7)), max_bytes=1 << 20)
    folder.close(remove=False)
    first, *rest = sorted((tmp_path / "s").glob("*.seg"))
    assert rest
    data = bytearray(first.read_bytes())
    data[-10] ^= 1
    first.write_bytes(data)
    folder = locked(tmp_path / "s")
    (damage,) = folder.recover()
    assert list(damage.missing) == [1]
    assert sequences(folder) == [1, 3, 4, 5, 6]
    for ordinal in (0, 2, 3, 4, 5):
        folder.delivered(ordinal)
    assert folder.empty()


def test_delivered_records_are_not_read_again_after_a_restart(tmp_path: Path) -> None:
    folder = spooled(tmp_path / "s", append(1, 2, 3))
    folder.recover()
    folder.delivered(1)
    folder.trim()
    assert folder.cursor == 0, "the first is still missing"
    folder.delivered(0)
    folder.trim()
    folder.close(remove=False)
    again = locked(tmp_path / "s")
    again.recover()
    assert sequences(again) == [3]


@pytest.mark.parametrize("cursor", [None, b"", b"rubbish"])
def test_without_its_cursor_a_folder_is_sent_from_its_beginning(tmp_path: Path, cursor: bytes | None) -> None:
    spooled(tmp_path / "s", append(1, 2)).close(remove=False)
    if cursor is not None:
        (tmp_path / "s" / "cursor").write_bytes(cursor)
    folder = locked(tmp_path / "s")
    folder.recover()
    assert sequences(folder) == [1, 2]


def test_segments_wholly_delivered_are_deleted_and_their_room_is_free_again(tmp_path: Path) -> None:
    folder = locked(tmp_path / "s")
    writing = Writing(folder, max_bytes=1 << 20)
    for n in range(1, 9):
        writing.write(append(n, value=b"x" * 100_000))
    with pytest.raises(SpoolFull):
        for n in range(9, 20):
            writing.write(append(n, value=b"x" * 100_000))
    for ordinal in range(folder.end):
        folder.delivered(ordinal)
    writing.writer.used -= folder.trim()
    writing.writer.renew()
    writing.writer.used -= folder.trim(folder.end)
    assert writing.writer.used == 0
    assert list((tmp_path / "s").glob("*.seg")) == []
    writing.write(append(50))
    assert sequences(folder) == [50], "what was delivered and deleted unread is not looked for"
    writing.writer.close()


def test_a_failed_write_is_told_and_leaves_no_half_record_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = locked(tmp_path / "s")
    writing = Writing(folder)
    writing.write(append(1))
    real = os.fdatasync

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "no space left on device")

    monkeypatch.setattr(os, "fdatasync", full)
    writing.write(append(2, 3))
    assert writing.done[-1].error is not None
    assert writing.done[-1].first is None
    used = writing.writer.used
    monkeypatch.setattr(os, "fdatasync", real)
    writing.write(append(4))
    assert writing.writer.used > used
    assert sequences(folder) == [1, 4]
    writing.writer.close()
    folder.close(remove=False)
    again = locked(tmp_path / "s")
    assert again.recover() == []
    assert sequences(again) == [1, 4]


def test_too_little_free_disk_is_a_full_spool(tmp_path: Path) -> None:
    folder = locked(tmp_path / "s")
    writer = SpoolWriter(folder, lambda _group: None, max_bytes=1 << 20, min_free_bytes=1 << 60)
    with pytest.raises(SpoolFull):
        writer.append(append(1))
    writer.close()


def test_a_folder_belongs_to_one_process(tmp_path: Path) -> None:
    folder = locked(tmp_path / "s")
    assert SpoolFolder.lock(tmp_path / "s") is None
    folder.close(remove=False)
    assert SpoolFolder.lock(tmp_path / "s") is not None


def test_the_oldest_receipt_is_that_of_the_oldest_undelivered_append(tmp_path: Path) -> None:
    folder = locked(tmp_path / "s")
    writing = Writing(folder)
    assert folder.oldest_us() is None
    writing.write(append(5), append(7), append(6))
    assert folder.oldest_us() == 1_000_005
    folder.delivered(0)
    assert folder.oldest_us() == 1_000_006, "the later append is the older receipt"
    folder.delivered(1)
    folder.delivered(2)
    assert folder.oldest_us() is None
    writing.writer.close()
