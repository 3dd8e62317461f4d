"""The auditor: what must hold of every event, judged by its number alone. What was seen comes in, findings go out."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from tests.faults.events import KnownEvents
from tests.faults.journal import Answer, Known

Minute = tuple[str, datetime]
"""A type and a minute (UTC)."""
SHOWN = 5
"""How many numbers a finding names."""


@dataclass(frozen=True)
class Landed:
    """Rows of the lake: the event's id, and whose it is (collector_id, sequence)."""

    event_id: str
    collector_id: str
    sequence: int


@dataclass(frozen=True)
class Seen:
    """What there is after a fault. ``rows``: the tenant's in the lake; ``counted``: events in the rollups by minute."""

    rows: Iterable[Landed]
    counted: Mapping[Minute, int]


@dataclass
class Audit:
    """What there was, and what of it must not be."""

    sent: int
    taken: int
    unknown: int
    refused: int
    landed: int = 0
    """Different events in the lake."""
    landed_unknown: int = 0
    """Those among them that the sender got no answer for."""
    copies: int = 0
    """Rows that repeat a row: one message, twice in the topic, which the load counts once and the books as a copy."""
    counted: int = 0
    gone: int = 0
    """Acknowledged and not in the lake, of the type whose messages were deleted on purpose: the books must say so."""
    findings: list[str] = field(default_factory=list)


def audit(events: KnownEvents, known: Known, seen: Seen, gone: str | None = None) -> Audit:
    """Judge: every event that was taken is there, once, and counted once; one that may be taken at most once.

    ``gone``: a type of which messages were deleted before they landed, if any were.
    """
    answers = known.answers
    result = Audit(
        known.sent, known.count(Answer.TAKEN), known.count(Answer.UNKNOWN), known.count(Answer.REFUSED),
        counted=sum(seen.counted.values()),
    )  # fmt: skip
    whose: dict[int, tuple[str, int]] = {}
    twice: list[int] = []
    strangers: list[str] = []
    for row in seen.rows:
        number = events.number_of(row.event_id)
        if number is None or number >= len(answers) or answers[number] in {Answer.NOT_SENT, Answer.REFUSED}:
            strangers.append(row.event_id)
            continue
        identity = (row.collector_id, row.sequence)
        if number not in whose:
            whose[number] = identity
        elif whose[number] == identity:
            result.copies += 1
        else:
            twice.append(number)
    result.landed = len(whose)
    result.landed_unknown = sum(answers[number] == Answer.UNKNOWN for number in whose)
    lost = [number for number, answer in enumerate(answers) if answer == Answer.TAKEN and number not in whose]
    result.gone = sum(events.type_of(number) == gone for number in lost)
    _find(result, [n for n in lost if events.type_of(n) != gone], "acknowledged and not in the lake")
    _find(result, twice, "taken twice, though they were sent once")
    _find(result, strangers, "in the lake, though nobody sent them or they were refused")
    minute_of = dict(known.minutes())
    must = Counter((events.type_of(number), minute_of[number]) for number in whose)
    wrong = {at: (must[at], seen.counted.get(at, 0)) for at in must.keys() | seen.counted.keys()}
    _find(
        result,
        [f"{type_} {minute:%FT%H:%M}: {there} landed, {shown} counted"
         for (type_, minute), (there, shown) in sorted(wrong.items()) if there != shown],
        "minutes that are not counted as they landed",
    )  # fmt: skip
    return result


def _find(result: Audit, found: list[int] | list[str], what: str) -> None:
    if found:
        some = ", ".join(map(str, found[:SHOWN]))
        result.findings.append(f"{len(found):,} {what}: {some}{' …' if len(found) > SHOWN else ''}")
