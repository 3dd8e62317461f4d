"""The collectors as the ledger knows them, and which of them hold "complete through" back."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from collector.land_db import Database

SILENT = timedelta(seconds=60)
"""A collector publishes a receipt every few seconds: one that is open and quiet for so long is dead or cut off."""

State = Literal["at work", "silent", "closed", "retired"]


@dataclass(frozen=True)
class Collector:
    """A collector process. ``heard``: its last receipt; all it received before ``durable_through`` is in Kafka."""

    collector_id: str
    assigned: int
    acknowledged: int
    durable_through: datetime
    closed: bool
    heard: datetime
    retired_by: str | None
    retired_because: str | None

    def state(self, now: datetime) -> State:
        """How it is; only those that are neither closed nor retired hold anything back."""
        if self.closed:
            return "closed" if self.retired_by is None else "retired"
        return "silent" if now - self.heard > SILENT else "at work"

    def as_json(self, now: datetime) -> dict[str, Any]:
        """For the last line of commands."""
        return {
            "collector_id": self.collector_id,
            "state": self.state(now),
            "assigned": self.assigned,
            "acknowledged": self.acknowledged,
            "durable_through": self.durable_through.isoformat(),
            "heard": self.heard.isoformat(),
            "retired_by": self.retired_by,
            "retired_because": self.retired_because,
        }


def known(database: Database, *, closed: bool) -> list[Collector]:
    """The open ones, and with ``closed`` all; what holds back most comes first.

    :raises DatabaseAway: Postgres is away.
    """
    with database.transaction() as connection:
        rows = connection.execute(
            """
            select collector_id, assigned, acknowledged, durable_through, closed, seen_at, retired_by, retired_because
            from ledger.collectors where %s or not closed order by closed, durable_through
            """,
            (closed,),
        ).fetchall()
    return [Collector(*row) for row in rows]


def one(database: Database, collector_id: str) -> Collector | None:
    """The collector of this id, if any receipt of it was read.

    :raises DatabaseAway: Postgres is away.
    """
    return next((c for c in known(database, closed=True) if c.collector_id == collector_id), None)


def held_back(collectors: Sequence[Collector]) -> list[str]:
    """A line for each that holds "complete through" back as nobody at work does: those that fell silent."""
    now = datetime.now(UTC)
    return [
        f"collector {c.collector_id} holds it at {c.durable_through:%Y-%m-%d %H:%M:%S} UTC: open, and silent since "
        f"{c.heard:%Y-%m-%d %H:%M:%S}. Start a collector on its state folder, or `watershed collectors retire`"
        for c in collectors
        if c.state(now) == "silent"
    ]
