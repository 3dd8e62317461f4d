"""Known events: what each is follows from its number, so that a number is all that has to be remembered of one.

Most are good and have an id. One in :data:`BAD_EVERY` breaks its contract, in one of the ways of :data:`REASONS`; one
in :data:`NAMELESS_EVERY` has no id, and is known by its time, whose microseconds are its own.
"""

import enum
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from contracts.registry import Registry

MOST = 10**12
"""Numbers are below this: they are the last part of an id."""
BAD_EVERY, NAMELESS_EVERY = 31, 37
"""Primes, so that every type and every place in a batch has its turn."""
REASONS = ("additionalProperties", "required", "maximum", "enum", "json")
"""What is wrong with the bad ones, in turn, by the keyword of the collector's reason (docs/collector.md)."""
AHEAD = timedelta(days=30)
"""In the future by any clock of these tests."""
MILLISECOND = 1000


class Sort(enum.Enum):
    """What there is to be made of an event."""

    GOOD = "good"  # it counts once, however often it is sent
    NAMELESS = "nameless"  # it counts as often as it is sent, so it is sent once
    BAD = "bad"  # it is rejected, as often as it is sent


@dataclass(frozen=True)
class KnownEvents:
    """The events of one load. ``seed``: 32 bits that no other load has; ``samples``: by type, the data of an event."""

    seed: int
    samples: Mapping[str, Mapping[str, Any]]

    @property
    def types(self) -> Sequence[str]:
        """The types in the order in which numbers go round them."""
        return sorted(self.samples)

    def type_of(self, number: int) -> str:
        """The type of the event with this number."""
        return self.types[number % len(self.samples)]

    def id_of(self, number: int) -> str:
        """Its ``event_id``, if it has one."""
        return f"{self._prefix}{number:012d}"

    def number_of(self, event_id: str | UUID) -> int | None:
        """The number of the event with this id; None when the event is none of these."""
        return self.number_in(str(event_id))

    def number_in(self, text: str) -> int | None:
        """The number of the event whose id is in a text, such as the body of a rejected one; None: none of these."""
        found = re.search(f"{self._prefix}([0-9]{{12}})", text)
        return int(found[1]) if found else None

    def time_of(self, number: int, at: datetime) -> datetime:
        """When the event occurred, sent in a batch of ``at`` (whole milliseconds)."""
        return at + timedelta(microseconds=number % MILLISECOND) if sort_of(number) is Sort.NAMELESS else at

    def body(self, numbers: Iterable[int], at: datetime) -> bytes:
        """A request's body: the events with these numbers, of a batch of ``at``, as an array."""
        return f"[{','.join(self._text(number, at) for number in numbers)}]".encode()

    @property
    def _prefix(self) -> str:
        return f"{self.seed:08x}-0000-4000-8000-"

    def _text(self, number: int, at: datetime) -> str:
        event: dict[str, Any] = {
            "event_id": self.id_of(number),
            "event_type": self.type_of(number),
            "occurred_at": _stamp(self.time_of(number, at)),
            "data": self.samples[self.type_of(number)],
        }
        match sort_of(number):
            case Sort.NAMELESS:
                del event["event_id"]
            case Sort.BAD:
                return _spoilt(event, reason_of(number), at)
        return json.dumps(event)


def sort_of(number: int) -> Sort:
    """Of what sort the event with this number is, in every load."""
    if number % BAD_EVERY == BAD_EVERY // 2:
        return Sort.BAD
    return Sort.NAMELESS if number % NAMELESS_EVERY == NAMELESS_EVERY // 2 else Sort.GOOD


def reason_of(number: int) -> str:
    """Why a bad event is rejected."""
    return REASONS[number // BAD_EVERY % len(REASONS)]


def numbers_of(first: int, count: int, *, again: bool) -> list[int]:
    """The numbers that are sent of a batch: all, but ``again`` those alone that have an id."""
    numbers = range(first, first + count)
    return [n for n in numbers if sort_of(n) is not Sort.NAMELESS] if again else list(numbers)


def _spoilt(event: Mapping[str, Any], reason: str, at: datetime) -> str:
    """The text of an event that is rejected for ``reason`` alone."""
    match reason:
        case "additionalProperties":
            return json.dumps({**event, "data": {**event["data"], "in_no_contract": 1}})
        case "required":
            return json.dumps({name: value for name, value in event.items() if name != "data"})
        case "maximum":
            return json.dumps({**event, "occurred_at": _stamp(at + AHEAD)})
        case "enum":
            return json.dumps({**event, "event_type": "unheard_of"})
    return json.dumps(event)[:-1] + ', "data": nothing}'


def _stamp(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def samples(registry: Registry, types: Iterable[str] | None = None) -> dict[str, Mapping[str, Any]]:
    """By type, the data of its first passing example: of every type there is, or of ``types``."""
    found = {}
    for type_ in types or registry.types():
        example = min((registry.path / type_ / "examples").glob("*.pass.json"))
        found[type_] = json.loads(example.read_text())["data"]
    return found
