"""A sender with a spool goes on while the collector is away, and finds it again by itself."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from collector.sender import Report, Sender
from tests.unit.lander.test_lines_that_are_no_events import Parsing
from tests.unit.lander.test_send_spool import Collector, sender
from tests.unit.lander.test_sender import event


def test_a_collector_that_is_back_gets_what_waits_in_order_while_there_are_events(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("collector.sender.TRY_AGAIN_S", 0.0)
    collector = Collector()

    def coming() -> Iterator[dict[str, Any] | None]:
        collector.status = 503
        yield event(1)
        yield event(2)
        collector.status = 200
        yield event(3)
        assert collector.ids == ["id-1", "id-2", "id-3"]
        collector.status = 0
        yield event(4)
        collector.status = 200
        yield None
        assert collector.ids[3:] == ["id-4"], "without another event, too"

    with sender(collector, tmp_path, batch=1) as one:
        report = one.send(coming())
    assert (report.accepted, report.spooled) == (4, 0)


def test_while_a_collector_is_away_it_is_asked_once_in_a_while_and_patience_is_spent_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [1000.0]
    monkeypatch.setattr("collector.sender.time.monotonic", lambda: clock[0])
    collector = Collector()
    collector.status = 503

    def pause(seconds: float) -> None:
        clock[0] += seconds

    def coming() -> Iterator[dict[str, Any] | None]:
        yield event(1)
        assert clock[0] > 1060
        tried = collector.requests
        for n in range(2, 50):
            yield event(n)
        assert collector.requests == tried, "not again at once"
        clock[0] += 30
        before = clock[0]
        yield event(50)
        assert (collector.requests, clock[0]) == (tried + 1, before), "the pipe is read all the same"

    with sender(collector, tmp_path, batch=1, patience=100.0, sleep=pause) as one:
        assert one.send(coming()).spooled == 50


def test_a_line_that_is_no_event_waits_in_the_spool_too(tmp_path: Path) -> None:
    def away(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("away")

    def coming(one: Sender) -> Iterator[dict[str, Any] | None]:
        raw = Report()
        yield event(1)
        one.send_raw(b"no\n{ event", {"Watershed-Line": "2"}, raw)
        yield None
        yield event(3)
        assert raw.sent == 0

    with Sender("http://c", "key", transport=httpx.MockTransport(away), spool=tmp_path, patience=0.0) as first:
        report = first.send(coming(first))
    assert (report.sent, report.spooled) == (0, 3)
    collector = Parsing()
    with Sender("http://c", "key", transport=httpx.MockTransport(collector), spool=tmp_path) as second:
        report = second.drain()
    assert (report.accepted, report.rejected, report.spooled) == (2, 1, 0)
    assert collector.lines == [("2", b"no\\n{ event")]


def test_lines_that_are_no_events_are_sent_though_no_event_follows(tmp_path: Path) -> None:
    collector = Parsing()

    def coming(one: Sender) -> Iterator[dict[str, Any] | None]:
        one.send_raw(b"{", {"Watershed-Line": "1"}, Report())
        yield None
        assert collector.lines == [("1", b"{")]
        one.send_raw(b"}", {"Watershed-Line": "2"}, Report())

    with Sender("http://c", "key", transport=httpx.MockTransport(collector), spool=tmp_path) as one:
        report = one.send(coming(one))
    assert (report.rejected, report.spooled) == (2, 0)
    assert collector.lines == [("1", b"{"), ("2", b"}")]
