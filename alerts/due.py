"""Which reports are due: of days that are over and whose numbers are complete, or were waited for long enough."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

import psycopg
from psycopg import sql

from alerts.board import Board

PATIENCE = timedelta(hours=12)
"""How long after the day's end a report waits for its numbers to be complete, before it is sent as preliminary."""
NAMED = 3
"""So many of those that wait are named."""


@dataclass(frozen=True)
class Unsent:
    """A tenant's day that has data and whose report was not sent.

    ``ends`` is the local midnight after it. Everything received before ``through`` is counted; None: not known.
    ``held`` says which check keeps the newest numbers out.
    """

    tenant: str
    day: date
    ends: datetime
    through: datetime | None
    held: str | None = None

    @property
    def complete(self) -> bool:
        """Whether everything received before the day's end is counted."""
        return self.through is not None and self.through >= self.ends

    @property
    def known(self) -> str:
        """How far the numbers are complete, in words."""
        if self.through is None:
            return "how far its numbers are complete is not known, as no collector has reported"
        held = f", and a failed check holds back what is newer ({self.held})" if self.held else ""
        return f"its numbers are complete only through {self.through.astimezone(UTC):%Y-%m-%d %H:%M} UTC{held}"


@dataclass(frozen=True)
class Due:
    """A report to make. ``preliminary`` says why its numbers are not final; empty: they are."""

    tenant: str
    day: date
    preliminary: str = ""


@dataclass(frozen=True)
class Standing:
    """What is to be sent now, and what waits: for the end of its day, or for its numbers to be complete."""

    due: Sequence[Due] = ()
    running: int = 0
    incomplete: Sequence[Unsent] = field(default=())

    @property
    def why_not(self) -> str:
        """Why what is not due is not, in words; empty when nothing waits."""
        words = [f"{self.running} for their day to end"] if self.running else []
        if self.incomplete:
            named = "; ".join(f"{each.tenant}, {each.day}: {each.known}" for each in self.incomplete[:NAMED])
            words.append(f"{len(self.incomplete)} for their numbers to be complete ({named})")
        return f"reports wait: {', '.join(words)}" if words else ""


def standing(unsent: Sequence[Unsent], now: datetime) -> Standing:
    """Judge each of ``unsent``. Pure."""
    due, incomplete, running = [], [], 0
    for each in unsent:
        if each.complete:
            due.append(Due(each.tenant, each.day))
        elif now < each.ends:
            running += 1
        elif now < each.ends + PATIENCE:
            incomplete.append(each)
        else:
            hours = PATIENCE.total_seconds() / 3600
            due.append(Due(each.tenant, each.day, f"{hours:g} hours after the day's end {each.known}"))
    return Standing(due, running, incomplete)


def read_unsent(dsn: str, board: Board, days: Sequence[date], tenants: Sequence[str] = ()) -> list[Unsent]:
    """The days, of ``days`` and each tenant's own, that have data on ``board`` and whose report was not sent.

    :param tenants: only these; none: all
    """
    has_data = sql.SQL(" or ").join(
        # An hour may hold the local midnight with which the day begins.
        sql.SQL(
            "exists (select from {} as m where m.tenant = s.tenant"
            " and m.period_start > s.begins - interval '1 hour' and m.period_start < s.ends)"
        ).format(sql.Identifier("marts", mart))
        for mart in board.marts
    )
    query = sql.SQL(
        """
        with fresh as (
            select
                tenant,
                max(time_zone) as time_zone,
                case when bool_and(complete_through is not null) then min(complete_through) end as through,
                max(held_because) as held
            from marts.freshness
            where event_type = any(%(types)s)
            and (cardinality(%(tenants)s::text[]) = 0 or tenant = any(%(tenants)s))
            group by tenant
        ),

        spans as (
            select
                f.*, d.day, calendar.midnight(d.day, f.time_zone) as begins,
                calendar.midnight(d.day + interval '1 day', f.time_zone) as ends
            from fresh as f
            cross join unnest(%(days)s::date[]) as d (day)
        )

        select s.tenant, s.day, s.ends, s.through, s.held
        from spans as s
        where ({has_data})
        and not exists (
            select from ledger.reports as r
            where r.tenant = s.tenant and r.day = s.day and r.dashboard = %(dashboard)s
        )
        order by s.day, s.tenant
        """
    ).format(has_data=has_data if board.marts else sql.SQL("true"))
    values = {"days": list(days), "types": list(board.event_types), "tenants": list(tenants), "dashboard": board.slug}
    with psycopg.connect(dsn) as connection:
        return [Unsent(*row) for row in connection.execute(query, values)]
