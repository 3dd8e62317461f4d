"""The auditor: what must hold of every event, judged by its number alone. What was seen comes in, findings go out."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from tests.faults.events import KnownEvents, Sort, reason_of, sort_of
from tests.faults.journal import Known
from tests.faults.sends import Sends

Minute = tuple[str, datetime]
"""A type and a minute (UTC)."""
SHOWN = 5
"""How many numbers a finding names."""


@dataclass(frozen=True)
class Landed:
    """A row of the lake: the event's id, and whose it is (collector_id, sequence).

    ``minted``: its type and time, where the collector gave it its id.
    """

    event_id: str
    collector_id: str
    sequence: int
    minted: tuple[str, datetime] | None = None


@dataclass(frozen=True)
class Rejected:
    """A row of the lake's rejected events: the untouched text, why (the first reason's keyword), and whose it is."""

    body: str
    reason: str
    collector_id: str
    sequence: int


@dataclass(frozen=True)
class Seen:
    """What there is after a fault. ``rows``, ``rejected``: the tenant's in the lake; ``counted``: in the rollups."""

    rows: Iterable[Landed]
    counted: Mapping[Minute, int]
    rejected: Iterable[Rejected] = ()


@dataclass
class Audit:
    """What there was, and what of it must not be."""

    sent: int
    taken: int = 0
    """Good events with a 2xx to any of their sends."""
    unknown: int = 0
    """Good events that nobody knows of: no send was answered."""
    unanswered: int = 0
    """Sends of good events without an answer, though another send may have one."""
    refused: int = 0
    """Events of which every send was refused with its whole request."""
    rejected: int = 0
    """Different events among the rejected ones in the lake."""
    landed: int = 0
    """Different events in the lake."""
    landed_unknown: int = 0
    """Those among them that the sender got no answer for."""
    duplicates: int = 0
    """Rows of events that were sent again, beside the one that counts."""
    minted: int = 0
    """Events that were sent without an id, of those that landed."""
    copies: int = 0
    """Rows that repeat a row: one message, twice in the topic, which the load counts once and the books as a copy."""
    counted: int = 0
    gone: int = 0
    """Acknowledged and not in the lake, of the type whose messages were deleted on purpose: the books must say so."""
    books: dict[str, range] = field(default_factory=dict)
    """By column of the books, what it may say."""
    reasons: Counter[str] = field(default_factory=Counter)
    """By reason, how many rejections there are: the books must say the same."""
    findings: list[str] = field(default_factory=list)


def audit(events: KnownEvents, known: Known, seen: Seen, gone: str | None = None) -> Audit:
    """Judge: what was taken is there as often as it was taken, and counts once; what has no answer may be there.

    What is bad is among the rejected events as often as that was answered, and nowhere else. ``gone``: a type of which
    messages were deleted before they landed, if any were.
    """
    sends = Sends(known)
    result = Audit(known.sent, counted=sum(seen.counted.values()))
    landed = _landed(events, sends, seen.rows, result)
    rejected = _rejected(events, sends, seen.rejected, result)
    lost, doubled = [], []
    for number in sends.of(Sort.GOOD, Sort.NAMELESS):
        taken, unknown, there = sends.taken[number], sends.unknown[number], landed[number]
        result.taken += taken > 0
        result.unknown += unknown > 0 and not taken
        result.refused += not taken and not unknown
        result.landed_unknown += there > 0 and not taken
        result.duplicates += max(0, there - 1)
        if there > taken + unknown:
            doubled.append(number)
        if there < taken and events.type_of(number) != gone:
            lost.append(number)
        elif there < taken:
            result.gone += taken - there
    there_at = [number for number in sends.at if landed[number]]
    result.landed = len(there_at)
    result.minted = sum(sort_of(number) is Sort.NAMELESS for number in there_at)
    result.rejected = sum(count > 0 for count in rejected)
    _find(result, lost, "acknowledged and not in the lake as often as that")
    _find(result, doubled, "in the lake more often than they were sent")
    bad = list(sends.of(Sort.BAD))
    _find(result, [n for n in bad if rejected[n] < sends.taken[n]], "rejected, and not in the lake as often as that")
    _find(
        result,
        [n for n in bad if rejected[n] > sends.taken[n] + sends.unknown[n]],
        "in the lake as rejected more often than they were sent",
    )
    _find(result, _miscounted(events, sends, there_at, seen.counted), "minutes that are not counted as they landed")
    result.books = {
        "acknowledged": sends.most_and_least(Sort.GOOD, Sort.NAMELESS),
        "minted": sends.most_and_least(Sort.NAMELESS),
        "rejected": sends.most_and_least(Sort.BAD),
        "landed": _only(result.landed + result.duplicates),
        "copies": _only(result.copies),
        "counted": _only(result.counted),
        "duplicates": _only(result.duplicates + result.copies),
        "collisions": _only(0),
        "quarantined": _only(0),
    }
    result.unanswered = len(result.books["acknowledged"]) - 1
    result.books["unlanded"] = range(result.gone, result.gone + result.unanswered + 1)
    return result


def _landed(events: KnownEvents, sends: Sends, rows: Iterable[Landed], result: Audit) -> list[int]:
    """By number, how many different arrivals of an event are in the lake; copies and strangers go into ``result``."""
    known = len(sends.taken)
    landed, nameless = [0] * known, sends.nameless(events)
    arrivals: set[tuple[str, int]] = set()
    strangers = []
    for row in rows:
        number = events.number_of(row.event_id) if row.minted is None else nameless.get(row.minted)
        if number is None or number >= known or sort_of(number) is Sort.BAD or not _kept(sends, number):
            strangers.append(row.event_id)
        elif (arrival := (row.collector_id, row.sequence)) in arrivals:
            result.copies += 1
        else:
            arrivals.add(arrival)
            landed[number] += 1
    _find(result, strangers, "in the lake, though nobody sent them or they were refused")
    return landed


def _rejected(events: KnownEvents, sends: Sends, rows: Iterable[Rejected], result: Audit) -> list[int]:
    """The same of rejected events; the load counts each arrival once, by its reason."""
    known = len(sends.taken)
    rejected = [0] * known
    arrivals: set[tuple[str, int]] = set()
    strangers, otherwise = [], []
    for row in rows:
        number = events.number_in(row.body)
        if number is None or number >= known or sort_of(number) is not Sort.BAD or not _kept(sends, number):
            strangers.append(row.body)
        elif (arrival := (row.collector_id, row.sequence)) not in arrivals:
            arrivals.add(arrival)
            rejected[number] += 1
            result.reasons[row.reason] += 1
            if row.reason != reason_of(number):
                otherwise.append(f"{number}: {row.reason}, not {reason_of(number)}")
    _find(result, strangers, "in the lake as rejected, though they were good, or nobody sent them")
    _find(result, otherwise, "rejected for another reason than they have")
    return rejected


def _kept(sends: Sends, number: int) -> bool:
    """Whether any request with the event may have been kept."""
    return sends.taken[number] > 0 or sends.unknown[number] > 0


def _miscounted(events: KnownEvents, sends: Sends, landed: Iterable[int], counted: Mapping[Minute, int]) -> list[str]:
    """In words, the minutes whose rollups show another number of events than landed, each once."""
    must = Counter((events.type_of(n), sends.at[n].replace(second=0, microsecond=0)) for n in landed)
    return [
        f"{at[0]} {at[1]:%FT%H:%M}: {must[at]} landed, {counted.get(at, 0)} counted"
        for at in sorted(must.keys() | counted.keys())
        if must[at] != counted.get(at, 0)
    ]


def _only(number: int) -> range:
    return range(number, number + 1)


def _find(result: Audit, found: list[int] | list[str], what: str) -> None:
    if found:
        some = ", ".join(map(str, found[:SHOWN]))
        result.findings.append(f"{len(found):,} {what}: {some}{' …' if len(found) > SHOWN else ''}")
