"""Import history from a file, through the collector: each row an event, once, however often it is imported.

The file is read twice: first for its number of rows and for those that stand in it more than once, which takes 16
bytes of memory a row; then row by row.
"""

from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import numpy as np

from collector.import_access_log import LINE_HEADER
from collector.import_map import Layout, plain, row_digest, row_id
from collector.import_rows import Row
from collector.sender import Event, Report, Sender
from contracts.registry import Registry
from contracts.validate import EventValidator, Violation

FUTURE = timedelta(minutes=5)
"""The collector's default bound; what is over it is sent all the same, and judged there."""
SHOWN = 10


@dataclass
class BadRow:
    """A row that is no valid event: its number in the file, and each ``pointer message``."""

    number: int
    reasons: list[str]


@dataclass
class Imported:
    """What an import did. ``rejected``: events that only the collector refused (their times, as a rule)."""

    rows: int = 0
    valid: int = 0
    bad: int = 0
    first_bad: list[BadRow] = field(default_factory=list)
    reasons: dict[str, int] = field(default_factory=dict)
    """How often each reason was given, here or by the collector."""
    accepted: int = 0
    rejected: int = 0
    spooled: int = 0
    first_at: str | None = None
    last_at: str | None = None
    seconds: float = 0.0


@dataclass(frozen=True)
class Survey:
    """What the first reading found: how many rows, and the digests of those that are there more than once."""

    rows: int
    repeated: frozenset[int]


def survey(rows: Iterable[Row], type_: str, progress: Callable[[int], None] | None = None) -> Survey:
    """Read everything once. Two rows of one digest count as identical; that costs nothing if they are not."""
    digests = array("Q")
    count = 0
    for row in rows:
        count += 1
        if row.trouble is None:
            digests.append(_short(row_digest(type_, row.values)))
        if progress is not None:
            progress(1)
    ordered = np.frombuffer(digests, dtype=np.uint64).copy() if digests else np.empty(0, dtype=np.uint64)
    ordered.sort()
    return Survey(count, frozenset(ordered[1:][ordered[1:] == ordered[:-1]].tolist()))


class FileImporter:
    """Imports one file. Without a ``sender`` it only judges (a dry run)."""

    def __init__(self, layout: Layout, registry: Registry, found: Survey, sender: Sender | None) -> None:
        self._layout, self._sender, self._found = layout, sender, found
        self._validator = EventValidator(registry)
        self._ordinals: Counter[int] = Counter()
        self._raw = Report()
        self._reasons: Counter[str] = Counter()
        self.done = Imported()

    def run(self, rows: Iterable[Row], progress: Callable[[int], None] | None = None) -> Imported:
        """Send every row that is a valid event, and hand those that are not to the rejects, with their numbers.

        :raises collector.sender.SendError: the collector refuses the key or stays away; import again later.
        """
        events = self._events(rows, progress)
        if self._sender is None:
            for _ in events:
                pass
        else:
            report = self._sender.send(events)
            self.done.accepted, self.done.rejected = report.accepted, report.rejected
            self.done.spooled, self.done.seconds = report.spooled, round(report.seconds, 3)
            self._reasons += report.reasons
        self.done.reasons = dict(self._reasons.most_common())
        return self.done

    def _events(self, rows: Iterable[Row], progress: Callable[[int], None] | None) -> Iterator[Event]:
        done, now = self.done, datetime.now(UTC)
        earliest = now - timedelta(days=self._layout.contract.retention_days)
        for row in rows:
            done.rows += 1
            if progress is not None:
                progress(1)
            if row.trouble is not None:
                self._reject(row, [row.trouble], row.text)
                continue
            if (clash := self._layout.clash(row.values)) is not None:
                self._reject(row, [clash], _encoded(plain(row.values)))
                continue
            event = self._layout.event(row.values, self._id(row.values))
            violations = (
                _timeless(event) or self._validator.violations(event) or _outside(event, earliest, now + FUTURE)
            )
            if violations:
                self._reject(row, [f"{v.pointer} {v.message}".strip() for v in violations], _encoded(event))
                continue
            done.valid += 1
            at = event["occurred_at"]
            done.first_at = at if done.first_at is None else min(done.first_at, at)
            done.last_at = at if done.last_at is None else max(done.last_at, at)
            yield event

    def _id(self, values: Mapping[str, Any]) -> Any:
        digest = row_digest(self._layout.contract.type, values)
        short, ordinal = _short(digest), 0
        if short in self._found.repeated:
            ordinal = self._ordinals[short]
            self._ordinals[short] += 1
        return row_id(digest, ordinal)

    def _reject(self, row: Row, reasons: list[str], text: bytes) -> None:
        self.done.bad += 1
        self._reasons.update(reasons)
        if len(self.done.first_bad) < SHOWN:
            self.done.first_bad.append(BadRow(row.number, reasons))
        if self._sender is not None:
            self._sender.send_raw(text, {LINE_HEADER: str(row.number)}, self._raw)


def _timeless(event: Event) -> tuple[Violation, ...]:
    """An event of history needs a time, and a whole file without one has a way out."""
    if "occurred_at" in event:
        return ()
    return (Violation("/occurred_at", "required", "no column gives the time: --map COLUMN=occurred_at"),)


def _outside(event: Event, earliest: datetime, latest: datetime) -> tuple[Violation, ...]:
    """What the collector says of times that it does not take."""
    when = datetime.fromisoformat(event["occurred_at"])
    if when < earliest:
        return (Violation("/occurred_at", "minimum", "is older than events of this type are kept"),)
    return (Violation("/occurred_at", "maximum", "lies ahead"),) if when > latest else ()


def _short(digest: bytes) -> int:
    return int.from_bytes(digest[:8], "big")


def _encoded(event: Event) -> bytes:
    return msgspec.json.encode(event)
