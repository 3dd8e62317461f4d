"""An import sends what the log says, once, and expects exactly what it sent."""

import gzip
import io
import json
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest

from collector.import_access_log import Importer, Summary, read_lines
from collector.sender import Sender
from contracts.registry import Registry
from contracts.validate import EventValidator

KEY = b"0123456789abcdef0123456789abcdef"
SHARED_LOG = Path(__file__).resolve().parents[3].parent / "shared" / "data" / "access_log.gz"
PEOPLE = '"Mozilla/5.0 (X11; Linux x86_64; rv:120.0) Gecko/20100101 Firefox/120.0"'
BOT = '"Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"'


class Collector:
    """Takes everything that its contract allows, and remembers it."""

    def __init__(self) -> None:
        self.events: dict[str, dict[str, Any]] = {}
        self.sent = 0
        self.bad: list[tuple[str, bytes]] = []
        self._validator = EventValidator(Registry.load())

    def __call__(self, request: httpx.Request) -> httpx.Response:
        body = gzip.decompress(request.content)
        if "Watershed-Line" in request.headers:
            self.bad.append((request.headers["Watershed-Line"], body))
            return httpx.Response(400, json={"results": [{"status": "rejected", "reasons": [{"keyword": "json"}]}]})
        results: list[dict[str, Any]] = []
        for event in json.loads(body):
            violations = self._validator.violations(event)
            assert not violations, (violations, event)
            self.events[event["event_id"]] = event
            self.sent += 1
            results.append({"status": "accepted"})
        return httpx.Response(200, json={"results": results})


def imported(text: bytes, collector: Collector, key: bytes = KEY) -> Summary:
    with Sender("http://collector", "key", transport=httpx.MockTransport(collector)) as sender:
        return Importer(sender, key, "web").run(read_lines(io.BytesIO(text)))


def line(address: str = "8.8.8.8", path: str = "/", agent: str = PEOPLE, status: int = 200, day: int = 17) -> bytes:
    return f'{address} - - [{day}/May/2015:10:05:03 +0000] "GET {path} HTTP/1.1" {status} 1 "-" {agent}\n'.encode()


def test_every_line_is_a_request_and_page_requests_are_page_views_too() -> None:
    collector = Collector()
    summary = imported(line() + line(path="/a.png") + line(path="/?flav=atom") + line(status=404), collector)
    types = [e["event_type"] for e in collector.events.values()]
    assert (types.count("request_log"), types.count("page_view")) == (4, 1)
    assert (summary.lines, summary.request_logs, summary.page_views, summary.visitors) == (4, 4, 1, 1)


def test_a_log_imported_twice_counts_once() -> None:
    collector = Collector()
    text = line() + line(path="/b") + line()
    imported(text, collector)
    once = dict(collector.events)
    imported(text, collector)
    assert collector.events == once
    assert collector.sent == 2 * len(once)


def test_identical_lines_are_not_lost() -> None:
    collector = Collector()
    imported(line() * 3, collector)
    assert len(collector.events) == 6


def test_ids_are_uuids_that_do_not_tell_the_address() -> None:
    one, other = Collector(), Collector()
    imported(line(), one)
    imported(line(), other, key=KEY[::-1])
    assert {UUID(i).version for i in one.events} == {8}
    assert {UUID(i).variant for i in one.events} == {"specified in RFC 4122"}
    assert not one.events.keys() & other.events.keys(), "without the key an id could be recomputed for every address"


def test_the_address_goes_nowhere() -> None:
    collector = Collector()
    imported(line(address="8.8.4.4") + b"8.8.4.4 rubbish\n", collector)
    assert "8.8.4.4" not in json.dumps(collector.events)
    assert collector.bad == [("2", b"[address] rubbish")]


def test_visitors_are_address_and_agent_and_bots_are_none() -> None:
    collector = Collector()
    text = line() + line(path="/b") + line(address="8.8.4.4") + line(agent=BOT) + line(address="10.1.2.3", day=18)
    summary = imported(text, collector)
    assert (summary.page_views, summary.bot_page_views, summary.visitors) == (4, 1, 3)
    expected = {
        (e.region, e.day): (e.request_logs, e.page_views, e.bot_page_views, e.visitors) for e in summary.expected
    }
    assert expected == {("US", "2015-05-17"): (4, 3, 1, 2), ("ZZ", "2015-05-18"): (1, 1, 0, 1)}


def test_bad_lines_are_counted_and_handed_over_with_their_number() -> None:
    collector = Collector()
    summary = imported(line() + b"\nrubbish\n" + line(path="/b") + b"more", collector)
    assert (summary.lines, summary.blank_lines, summary.bad_lines, summary.first_bad_lines) == (5, 1, 2, [3, 5])
    assert [number for number, _ in collector.bad] == ["3", "5"]
    assert summary.request_logs == 2


def test_what_the_collector_refuses_is_not_expected() -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        events = json.loads(gzip.decompress(request.content))
        refused = {"status": "rejected", "reasons": [{"pointer": "/occurred_at", "keyword": "minimum"}]}
        results = [refused if e["event_type"] == "page_view" else {"status": "accepted"} for e in events]
        return httpx.Response(207, json={"results": results})

    with Sender("http://collector", "key", transport=httpx.MockTransport(refuse)) as sender:
        summary = Importer(sender, KEY, "web").run(iter([line().strip()]))
    assert (summary.request_logs, summary.page_views, summary.rejected) == (1, 0, 1)
    assert summary.reasons == {"/occurred_at minimum": 1}


@pytest.mark.parametrize("pack", [lambda b: b, gzip.compress, lambda b: gzip.compress(b[:7]) + gzip.compress(b[7:])])
def test_plain_and_gzip_logs_read_alike(pack) -> None:  # type: ignore[no-untyped-def]
    assert list(read_lines(io.BytesIO(pack(b"one\r\ntwo\nthree")))) == [b"one", b"two", b"three"]


@pytest.mark.skipif(not SHARED_LOG.exists(), reason=f"{SHARED_LOG} is not there: it is data beside the repository")
def test_the_shared_log_is_read_to_the_last_line() -> None:
    collector = Collector()
    summary = imported(SHARED_LOG.read_bytes(), collector)
    assert (summary.lines, summary.bad_lines, summary.request_logs) == (10_000, 0, 10_000)
    assert collector.sent == len(collector.events) == 10_000 + summary.page_views + summary.bot_page_views
    assert sum(e.request_logs for e in summary.expected) == 10_000
    assert sum(e.page_views for e in summary.expected) == summary.page_views
    lines = list(read_lines(io.BytesIO(SHARED_LOG.read_bytes())))
    assert len(set(lines)) == 9_981, "identical lines are among them, and none is lost"
