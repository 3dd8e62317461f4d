"""With a spool a sender loses nothing when the collector is away or its own process ends; a refusal is final."""

import gzip
import json
import os
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from collector.send_spool import REFUSED, SpoolBusy, SpoolFull
from collector.sender import Refused, Sender
from tests.unit.lander.test_sender import accept, event


class Collector:
    """Answers with a status, or (200) accepts; remembers what it accepted, in order."""

    def __init__(self) -> None:
        self.status = 200
        self.ids: list[str] = []
        self.requests = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests += 1
        if self.status == 0:
            raise httpx.ConnectError("away")
        if self.status != 200:
            return httpx.Response(self.status, json={"error": "so"})
        self.ids += [e["event_id"] for e in json.loads(gzip.decompress(request.content))]
        return accept(request)


@pytest.fixture
def collector() -> Collector:
    return Collector()


def sender(collector: Collector, spool: Path, **changes: Any) -> Sender:
    transport = httpx.MockTransport(collector)
    given: dict[str, Any] = {"batch": 2, "patience": 0.0, "sleep": lambda _: None, "spool": spool, **changes}
    return Sender("http://collector", "key", transport=transport, **given)


@pytest.mark.parametrize("status", [0, 429, 500, 503])
def test_what_a_collector_cannot_take_now_is_sent_by_the_next_run_in_order(
    collector: Collector, tmp_path: Path, status: int
) -> None:
    collector.status = status
    with sender(collector, tmp_path) as first:
        report = first.send([event(n) for n in range(5)])
    assert (report.sent, report.spooled, collector.requests) == (0, 5, 1), "the rest is not tried in vain"
    collector.status = 200
    with sender(collector, tmp_path) as second:
        report = second.send([event(5)])
    assert (report.accepted, report.spooled) == (6, 0)
    assert collector.ids == [f"id-{n}" for n in range(6)]


def test_ids_made_here_outlive_the_sender(collector: Collector, tmp_path: Path) -> None:
    collector.status = 0
    with sender(collector, tmp_path) as first:
        first.send([{"event_type": "page_view", "data": {"region": "DE", "page_name": "/"}}])
    (batch,) = tmp_path.glob("*.json")
    (kept,) = json.loads(batch.read_text())
    collector.status = 200
    with sender(collector, tmp_path) as second:
        assert second.drain().accepted == 1
    assert collector.ids == [kept["event_id"]]
    assert kept["occurred_at"]


def test_a_sender_that_is_killed_before_the_answer_has_its_batch_on_disk(collector: Collector, tmp_path: Path) -> None:
    class Killed(BaseException):
        pass

    def killed(request: httpx.Request) -> httpx.Response:
        raise Killed

    with (
        pytest.raises(Killed),
        Sender("http://collector", "key", transport=httpx.MockTransport(killed), spool=tmp_path) as first,
    ):
        first.send([event(1)])
    with sender(collector, tmp_path) as second:
        assert second.drain().accepted == 1
    assert collector.ids == ["id-1"]


def test_a_spool_has_a_bound(collector: Collector, tmp_path: Path) -> None:
    collector.status = 503
    with sender(collector, tmp_path, spool_bytes=800) as first, pytest.raises(SpoolFull, match="of 800 bytes wait"):
        first.send(event(n) for n in range(100))
    assert sum(batch.stat().st_size for batch in tmp_path.glob("*.json")) <= 800


@pytest.mark.parametrize("status", [400, 413, 415, 422])
def test_a_batch_refused_as_a_whole_is_set_aside_and_never_sent_again(
    collector: Collector, tmp_path: Path, status: int
) -> None:
    collector.status = status
    with sender(collector, tmp_path) as first, pytest.raises(Refused, match=REFUSED):
        first.send([event(1), event(2)])
    collector.status = 200
    with sender(collector, tmp_path) as second:
        assert second.send([event(3)]).accepted == 1
    assert collector.ids == ["id-3"]
    (aside,) = (tmp_path / REFUSED).iterdir()
    assert [e["event_id"] for e in json.loads(aside.read_text())] == ["id-1", "id-2"]


@pytest.mark.parametrize("status", [401, 403])
def test_what_waits_outlives_a_key_that_is_refused(collector: Collector, tmp_path: Path, status: int) -> None:
    collector.status = status
    with sender(collector, tmp_path) as first, pytest.raises(Refused, match=str(status)):
        first.send([event(1)])
    assert collector.requests == 1
    collector.status = 200
    with sender(collector, tmp_path) as second:
        assert second.drain().accepted == 1


def test_a_spool_is_one_senders_at_a_time(collector: Collector, tmp_path: Path) -> None:
    with sender(collector, tmp_path), pytest.raises(SpoolBusy, match="another process"):
        sender(collector, tmp_path)
    with sender(collector, tmp_path):
        pass


def test_a_batch_and_every_name_on_the_way_to_it_are_on_the_disk_before_it_is_sent(
    collector: Collector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = tmp_path / "var" / "spool"
    synced: list[tuple[Path, list[str]]] = []
    really = os.fsync

    def watched(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        inside = sorted(each.suffix for each in path.iterdir()) if path.is_dir() else [path.read_text()]
        synced.append((path.relative_to(tmp_path), inside))
        really(descriptor)

    before_request: list[int] = []

    def answer(request: httpx.Request) -> httpx.Response:
        before_request.append(len(synced))
        return collector(request)

    monkeypatch.setattr(os, "fsync", watched)
    with Sender("http://collector", "key", transport=httpx.MockTransport(answer), spool=spool) as one:
        assert synced == [(Path(), [""]), (Path("var"), [""])], "the new folder is in its parent, and that in its own"
        del synced[:]
        one.send([event(1)])
    (batch, whole), (folder, names) = synced
    assert batch.parent == folder == Path("var/spool")
    assert [json.loads(text) for text in whole] == [[event(1)]], "all of it was written when the file was synced"
    assert batch.suffix == ".part", "it is no batch before it is on the disk"
    assert ".json" in names and ".part" not in names, "its name was there when the folder was synced"
    assert before_request == [2]


def test_a_batch_that_a_killed_process_wrote_by_half_is_no_batch(collector: Collector, tmp_path: Path) -> None:
    half = tmp_path / "00000000000000000001-abcdef01.part"
    half.write_bytes(b'[{"event_id": "id-')
    with sender(collector, tmp_path) as one:
        assert one.send([event(1)]).accepted == 1
    assert collector.ids == ["id-1"]
    assert not half.exists(), "nobody else would ever take it away"


def test_what_earlier_runs_left_counts_for_the_bound_and_what_was_sent_makes_room(
    collector: Collector, tmp_path: Path
) -> None:
    room = 800
    collector.status = 503
    with sender(collector, tmp_path, spool_bytes=room) as first:
        first.send(event(n) for n in range(6))
    with sender(collector, tmp_path, spool_bytes=room) as second, pytest.raises(SpoolFull):
        second.send([event(6), event(7)])
    collector.status = 200
    with sender(collector, tmp_path, spool_bytes=room) as third:
        assert third.send(event(n) for n in range(100, 150)).accepted == 56
    assert collector.ids == [f"id-{n}" for n in (*range(6), *range(100, 150))]


def test_what_was_set_aside_makes_room(collector: Collector, tmp_path: Path) -> None:
    with sender(collector, tmp_path, spool_bytes=300) as one:
        for n in range(5):
            collector.status = 422
            with pytest.raises(Refused):
                one.send([event(n)])
        collector.status = 200
        assert one.send([event(9)]).accepted == 1
    assert len(list((tmp_path / REFUSED).iterdir())) == 5


def test_batches_keep_their_order_when_the_clock_is_put_back(
    collector: Collector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backwards = iter(range(10**19, 0, -(10**9)))
    monkeypatch.setattr(time, "time_ns", lambda: next(backwards))
    collector.status = 503
    with sender(collector, tmp_path) as first:
        first.send(event(n) for n in range(20))
    collector.status = 200
    with sender(collector, tmp_path) as second:
        second.drain()
    assert collector.ids == [f"id-{n}" for n in range(20)]
