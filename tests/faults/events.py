"""Known events: what each is follows from its number, so that a number is all that has to be remembered of one."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from contracts.registry import Registry

MOST = 10**12
"""Numbers are below this: they are the last part of an id."""


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
        """Its ``event_id``."""
        return f"{self.seed:08x}-0000-4000-8000-{number:012d}"

    def number_of(self, event_id: str | UUID) -> int | None:
        """The number of the event with this id; None when the event is none of these."""
        text = str(event_id)
        start, last = text[:24], text[24:]
        return int(last) if start == self.id_of(0)[:24] and last.isdecimal() else None

    def batch(self, first: int, count: int, occurred_at: datetime) -> list[dict[str, Any]]:
        """The events ``first`` to ``first + count - 1``, as they are sent; all occurred at the same time."""
        at = occurred_at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return [
            {
                "event_id": self.id_of(number),
                "event_type": self.type_of(number),
                "occurred_at": at,
                "data": self.samples[self.type_of(number)],
            }
            for number in range(first, first + count)
        ]


def samples(registry: Registry, types: Iterable[str] | None = None) -> dict[str, Mapping[str, Any]]:
    """By type, the data of its first passing example: of every type there is, or of ``types``."""
    found = {}
    for type_ in types or registry.types():
        example = min((registry.path / type_ / "examples").glob("*.pass.json"))
        found[type_] = json.loads(example.read_text())["data"]
    return found
