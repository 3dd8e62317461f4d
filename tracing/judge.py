"""What became of each arrival of an event: the rule of ``spark_jobs/dedupe.py``, said again for a few rows. Pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any, Literal, NamedTuple

Verdict = Literal["winner", "duplicate", "collision"]
WINNER: Verdict = "winner"
DUPLICATE: Verdict = "duplicate"
COLLISION: Verdict = "collision"


class Identity(NamedTuple):
    """One event, as the load tells them apart: the id comes with the event's own time."""

    type: str
    tenant: str
    minute: datetime
    event_id: str


class Arrival(NamedTuple):
    """One row of the lake, where it lies, and what the load makes of it. ``copy``: the very same arrival once more."""

    row: Mapping[str, Any]
    file: str
    verdict: Verdict = WINNER
    copy: bool = False

    @property
    def order(self) -> tuple[Any, ...]:
        """The least is the winner."""
        return tuple(self.row[name] for name in ("received_at", "collector_id", "sequence", "content_hash"))

    def identity(self, type_: str) -> Identity:
        """Which event it is of."""
        minute = self.row["occurred_at"].replace(second=0, microsecond=0)
        return Identity(type_, self.row["tenant"], minute, self.row["event_id"])


def judged(arrivals: Sequence[Arrival]) -> list[Arrival]:
    """All arrivals of one :class:`Identity`, in their order, each with its verdict: the first is the winner.

    Its verdict depends on the set of rows only, not on the order in which they landed or are given.
    """
    # Of the very same arrival landed twice, the load takes either; here it is the one that landed first.
    placed = sorted(arrivals, key=lambda arrival: (*arrival.order, arrival.row["land_seq"]))
    if not placed:
        return []
    winner = placed[0].row
    found = [placed[0]._replace(verdict=WINNER, copy=False)]
    for before, one in pairwise(placed):
        same = one.row["content_hash"] == winner["content_hash"]
        again = all(one.row[name] == before.row[name] for name in ("collector_id", "sequence"))
        found.append(one._replace(verdict=DUPLICATE if same else COLLISION, copy=same and again))
    return found


def standing(arrivals: Sequence[Arrival], land_seq: int) -> list[Arrival]:
    """All arrivals of one event as the charts have them: rows up to ``land_seq`` are loaded, and judged by themselves.

    Those that are not come after them, with the verdict that they will get.
    """
    loaded = [arrival for arrival in arrivals if arrival.row["land_seq"] <= land_seq]
    return judged(loaded) + [arrival for arrival in judged(arrivals) if arrival.row["land_seq"] > land_seq]
