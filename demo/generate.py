"""A stream of events from a seed: a rhythm of days and weeks, people who come back, and every kind of trouble.

A pure function of its plan: the same plan gives the same events, ids included, so sending it again counts nothing
twice. Memory stays small: one window (an hour, or a second) is made at a time.
"""

import hashlib
import heapq
import json
import random
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Literal

from contracts.registry import Registry
from demo.paint import Studio
from demo.people import Crowd, People
from demo.scenarios import Scenario
from demo.spoil import spoiled
from demo.world import busy, share

AGAIN_SHARE = 0.015
"""Of the valid events, so many are sent once more, the very same, at once or up to three days later."""
LATE_SHARE = 0.02
"""So many are sent up to days after they occurred."""
INVALID_SHARE = 0.007
"""For each valid event, so many broken ones."""
LATEST = timedelta(days=3)
_OFFSETS = (timezone(timedelta(hours=2)), timezone(timedelta(hours=-5)), timezone(timedelta(hours=5, minutes=30)))


@dataclass(frozen=True)
class Plan:
    """What to make: ``total`` valid page views (and of each other type its share), sent from ``start`` to ``end``."""

    seed: int
    start: datetime
    end: datetime
    total: int

    @classmethod
    def history(cls, seed: int, end: datetime, days: int, total: int) -> "Plan":
        """The ``days`` days before ``end``, to the second."""
        end = end.astimezone(UTC).replace(microsecond=0)
        return cls(seed, end - timedelta(days=days), end, total)


@dataclass(frozen=True, slots=True)
class Made:
    """One sending: the client's event, when it is sent, and whether it is new, sent again, or not valid."""

    event: dict[str, Any]
    at: datetime
    kind: Literal["new", "again", "invalid"]


def events(plan: Plan, registry: Registry) -> Iterator[Made]:
    """All sendings of ``plan`` in the order of sending."""
    if plan.total < 1 or plan.start >= plan.end:
        raise ValueError("a plan needs a total of at least 1 and a start before its end")
    name = f"{plan.seed}/{plan.start.isoformat()}/{plan.end.isoformat()}/{plan.total}"
    rng = random.Random(name)  # noqa: S311 - draws a demo, guards nothing
    maker = _Maker(rng, plan.start, Studio(registry, name))
    people = People(plan.seed, plan.total)
    waiting: list[tuple[datetime, int, Made]] = []  # what is to be sent again, by when; the number breaks ties
    number = 0
    for start, length, parts in _windows(plan, registry.types()):
        crowd = people.crowd(start.hour + start.minute / 60, start.weekday())
        for made in maker.window(crowd, start, length, parts):
            while waiting and waiting[0][0] <= made.at:
                yield heapq.heappop(waiting)[2]
            yield made
            if made.kind == "new" and rng.random() < AGAIN_SHARE:
                number += 1
                later = made.at + (LATEST * rng.random() ** 4)
                heapq.heappush(waiting, (later, number, Made(made.event, later, "again")))
    while waiting:
        yield heapq.heappop(waiting)[2]


def fingerprint(registry: Registry) -> str:
    """Tells generators apart, by types and code: what makes other events of a plan has another fingerprint."""
    plan = Plan(1, datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 3, tzinfo=UTC), 400)
    digest = hashlib.blake2b(digest_size=8)
    for made in events(plan, registry):
        digest.update(json.dumps(made.event).encode())
    return digest.hexdigest()


def live(
    seed: int,
    start: datetime,
    rate: float,
    registry: Registry,
    scenario: Scenario | None = None,
    *,
    after: int = 0,
) -> Iterator[list[Made]]:
    """What to send in each second from ``start`` on, without end: ``rate`` events in it, all types together.

    ``scenario`` begins ``after`` so many seconds; it makes more of some types, and fewer of others.
    """
    whole = sum(share(type_) for type_ in registry.types())
    name = f"{seed}/{start.isoformat()}/live"
    rng = random.Random(name)  # noqa: S311
    maker = _Maker(rng, start - LATEST, Studio(registry, name))
    people = People(seed, round(rate * 86400))
    owed = dict.fromkeys(registry.types(), 0.0)
    again: list[Made] = []
    second = 0
    while True:
        at = start + timedelta(seconds=second)
        parts: dict[str, int] = {}
        happening = scenario if second >= after else None
        for type_ in owed:
            owed[type_] += rate * share(type_) / whole * (happening.factor(type_) if happening else 1.0)
            parts[type_] = int(owed[type_])
            owed[type_] -= parts[type_]
        made = list(maker.window(people.crowd(at.hour, at.weekday()), at, timedelta(seconds=1), parts, happening))
        yield made + again
        again = [Made(m.event, at, "again") for m in made if m.kind == "new" and rng.random() < AGAIN_SHARE]
        second += 1


class _Maker:
    """Makes the events of one window after the other."""

    def __init__(self, rng: random.Random, earliest: datetime, studio: Studio) -> None:
        self._rng, self._earliest, self._studio = rng, earliest, studio

    def window(
        self,
        crowd: Crowd,
        start: datetime,
        length: timedelta,
        parts: dict[str, int],
        scenario: Scenario | None = None,
    ) -> Iterator[Made]:
        """``parts[type]`` valid events of each type and a few broken ones, by when they are sent."""
        rng = self._rng
        drawn = [(start + length * rng.random(), type_) for type_, count in parts.items() for _ in range(count)]
        drawn.sort()
        for at, type_ in drawn:
            event = self._event(crowd, at, type_, scenario)
            if rng.random() < INVALID_SHARE:
                broken = {**event, "event_id": self._id()}
                yield Made(spoiled(rng, broken), at, "invalid")
            yield Made(event, at, "new")

    def _event(self, crowd: Crowd, at: datetime, type_: str, scenario: Scenario | None) -> dict[str, Any]:
        rng = self._rng
        occurred = at
        # What a scenario adds is not late, or it would come from before the scenario.
        if rng.random() < LATE_SHARE / max(1.0, scenario.factor(type_) if scenario else 1.0):
            occurred = max(self._earliest, at - LATEST * rng.random() ** 3)
        happened, data = self._studio.paint(type_, rng, crowd, occurred)
        event = {
            "event_type": happened,
            "event_id": self._id(),
            "occurred_at": self._spelled(occurred),
            "data": data,
        }
        if scenario is not None and occurred == at:  # what is late occurred before
            scenario.alter(rng, event)
        return event

    def _id(self) -> str:
        return str(uuid.UUID(int=self._rng.getrandbits(128), version=4))

    def _spelled(self, at: datetime) -> str:
        """One instant as different clients write it: to the millisecond or microsecond, with Z or another offset."""
        draw = self._rng.random()
        if draw < 0.05:
            return at.astimezone(self._rng.choice(_OFFSETS)).isoformat(timespec="microseconds")
        return at.isoformat(timespec="microseconds" if draw < 0.3 else "milliseconds").replace("+00:00", "Z")


def _windows(plan: Plan, types: tuple[str, ...]) -> Iterator[tuple[datetime, timedelta, dict[str, int]]]:
    """Hours, and how many events of each type fall into each; all together exactly the plan's total."""
    hour = timedelta(hours=1)
    starts = [plan.start + hour * n for n in range(-((plan.start - plan.end) // hour))]
    lengths = [min(hour, plan.end - start) for start in starts]
    weights = [busy(start) * (length / hour) for start, length in zip(starts, lengths, strict=True)]
    whole = sum(weights)
    wanted = {type_: max(1, round(plan.total * share(type_))) for type_ in types}
    done, seen = dict.fromkeys(wanted, 0), 0.0
    for start, length, weight in zip(starts, lengths, weights, strict=True):
        seen += weight
        parts = {type_: round(total * min(1.0, seen / whole)) - done[type_] for type_, total in wanted.items()}
        for type_, count in parts.items():
            done[type_] += count
        yield start, length, parts
