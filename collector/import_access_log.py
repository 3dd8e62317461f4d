"""Import an access log through the collector: every line a request_log, page requests also page_views.

What is sent follows from the lines alone, ids too, so a log imported twice, or again after an interruption, counts
once. Addresses are turned into a keyed hash and a country here and go no further, not even in lines that cannot be
read.
"""

import gzip
import io
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from hashlib import blake2b
from typing import IO, Any
from uuid import UUID

from geoip2fast import GeoIP2Fast

from collector.access_log import MAX_PAGE, BadLine, Request, parse_line, without_addresses
from collector.bots import is_bot
from collector.sender import Event, Report, Sender
from contracts.registry import Registry

LINE_HEADER = "Watershed-Line"
UNKNOWN_REGION = "ZZ"
_GZIP = b"\x1f\x8b"


@dataclass
class Expected:
    """What must be counted of one region on one UTC day, once all is loaded. ``visitors``: distinct, people only."""

    region: str
    day: str
    request_logs: int = 0
    page_views: int = 0
    bot_page_views: int = 0
    visitors: int = 0


@dataclass
class Summary:
    """What an import did. ``expected`` holds only what the collector accepted."""

    lines: int = 0
    blank_lines: int = 0
    bad_lines: int = 0
    first_bad_lines: list[int] = field(default_factory=list)
    request_logs: int = 0
    page_views: int = 0
    bot_page_views: int = 0
    visitors: int = 0
    rejected: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    requests: int = 0
    retries: int = 0
    seconds: float = 0.0
    first_at: str | None = None
    last_at: str | None = None
    expected: list[Expected] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """As plain values, for JSON."""
        return asdict(self)


class Importer:
    """Imports one log. ``key``: the bytes that hashes are keyed with; ``service``: the request_logs' service."""

    def __init__(self, sender: Sender, key: bytes, service: str) -> None:
        self._sender, self._key, self._service = sender, key, service
        self._summary = Summary()
        self._raw = Report()
        self._ordinals: Counter[bytes] = Counter()
        self._regions = Regions()
        self._expected: dict[tuple[str, str], Expected] = {}
        self._visitors: dict[tuple[str, str], set[str]] = {}

    def run(self, lines: Iterator[bytes], progress: Callable[[int], None] | None = None) -> Summary:
        """Send everything; ``progress`` is told how many more lines have a verdict.

        :raises collector.sender.SendError: the collector refuses the key or stays away; import again later.
        """
        report = self._sender.send(self._events(lines, progress), verdict=self._book)
        summary = self._summary
        for (region, day), visitors in self._visitors.items():
            self._expected[region, day].visitors = len(visitors)
        summary.expected = sorted(self._expected.values(), key=lambda e: (e.day, e.region))
        summary.visitors = len(set().union(*self._visitors.values()))
        summary.rejected = report.rejected
        summary.reasons = dict((report.reasons + self._raw.reasons).most_common())
        summary.requests = report.requests + self._raw.requests
        summary.retries = report.retries + self._raw.retries
        summary.seconds = round(report.seconds, 3)
        return summary

    def _events(self, lines: Iterator[bytes], progress: Callable[[int], None] | None) -> Iterator[Event]:
        summary = self._summary
        for number, line in enumerate(lines, 1):
            summary.lines = number
            if progress is not None:
                progress(1)
            if not line.strip():
                summary.blank_lines += 1
                continue
            try:
                request = parse_line(line)
            except BadLine:
                self._reject(line, number)
                continue
            yield from self._events_of(request, line)

    def _events_of(self, request: Request, line: bytes) -> Iterator[Event]:
        digest = blake2b(line, digest_size=12).digest()
        ordinal = self._ordinals[digest]
        self._ordinals[digest] += 1
        at = request.at.isoformat(timespec="seconds").replace("+00:00", "Z")
        region = self._regions.of(request.address)

        def event(type_: str, data: Mapping[str, Any]) -> Event:
            event_id = str(self._event_id(type_, line, ordinal))
            return {"event_id": event_id, "event_type": type_, "occurred_at": at, "data": data}

        yield event(
            "request_log",
            {
                "service": self._service,
                "method": request.method,
                "path": request.path,
                "status": request.status,
                "region": region,
            },
        )
        if request.is_page_view:
            data = {
                "region": region,
                "page_name": request.path[:MAX_PAGE],
                "visitor_id": self._visitor(request.address, request.agent),
                "is_bot": is_bot(request.agent),
            }
            yield event("page_view", data if request.referrer is None else {**data, "referrer": request.referrer})

    def _event_id(self, type_: str, line: bytes, ordinal: int) -> UUID:
        """A UUID of version 8 (RFC 9562 §5.8) of type, line, ordinal; keyed, or addresses could be guessed from it."""
        text = b"\x1f".join((b"event", type_.encode(), str(ordinal).encode(), line))
        number = int.from_bytes(blake2b(text, digest_size=16, key=self._key).digest(), "big")
        number = number & ~(0xF << 76) | 8 << 76
        return UUID(int=number & ~(0x3 << 62) | 0x2 << 62)

    def _visitor(self, address: str, agent: str) -> str:
        text = f"visitor\x1f{address}\x1f{agent}".encode("utf-8", "backslashreplace")
        return blake2b(text, digest_size=16, key=self._key).hexdigest()

    def _reject(self, line: bytes, number: int) -> None:
        """Hand a bad line to the collector as it is, but for addresses: it refuses it and keeps it with its number."""
        summary = self._summary
        summary.bad_lines += 1
        if len(summary.first_bad_lines) < 20:
            summary.first_bad_lines.append(number)
        body = without_addresses(line, "[address]").strip()
        if body:
            self._sender.send_raw(body, {LINE_HEADER: str(number)}, self._raw)

    def _book(self, event: Event, verdict: Mapping[str, Any]) -> None:
        if verdict.get("status") != "accepted":
            return
        summary, data, at = self._summary, event["data"], event["occurred_at"]
        summary.first_at = at if summary.first_at is None else min(summary.first_at, at)
        summary.last_at = at if summary.last_at is None else max(summary.last_at, at)
        cell = data["region"], at[:10]
        expected = self._expected.setdefault(cell, Expected(*cell))
        if event["event_type"] == "request_log":
            summary.request_logs += 1
            expected.request_logs += 1
        elif data["is_bot"]:
            summary.bot_page_views += 1
            expected.bot_page_views += 1
        else:
            summary.page_views += 1
            expected.page_views += 1
            self._visitors.setdefault(cell, set()).add(data["visitor_id"])


class Regions:
    """Countries of addresses, by the data that come with geoip2fast; nothing is asked over the network."""

    def __init__(self) -> None:
        self._countries = GeoIP2Fast()
        # What the contract would refuse (codes of no country, such as EU) is unknown.
        self._allowed = re.compile(Registry.load().newest("page_view").schema["properties"]["region"]["pattern"])
        self.of = lru_cache(maxsize=65_536)(self._look_up)

    def _look_up(self, address: str) -> str:
        code: str = self._countries.lookup(address).country_code
        return code if self._allowed.fullmatch(code) else UNKNOWN_REGION


def read_lines(stream: IO[bytes]) -> Iterator[bytes]:
    """The lines of a plain or gzip stream, without their line breaks."""
    buffered = stream if isinstance(stream, io.BufferedReader) else io.BufferedReader(stream)  # type: ignore[type-var]
    packed = buffered.peek(2)[:2] == _GZIP
    source: IO[bytes] = gzip.GzipFile(fileobj=buffered) if packed else buffered  # type: ignore[assignment]
    for line in source:
        yield line.rstrip(b"\r\n")
