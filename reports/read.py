"""What the marts say of one day, whichever marts there are."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
from psycopg import sql

from warehouse.marts import MARTS, Grain, Mart

SESSION = "-c timezone=UTC -c default_transaction_isolation=repeatable\\ read"
"""One transaction sees one state of all marts, whatever is published meanwhile."""


@dataclass(frozen=True)
class Column:
    """A column and its type as Postgres spells it."""

    name: str
    sql_type: str


@dataclass(frozen=True)
class Rows:
    """Rows of one mart, in key order."""

    mart: Mart
    columns: tuple[Column, ...]
    rows: Sequence[tuple[Any, ...]]

    def of_tenant(self, tenant: str) -> "Rows":
        """Those of one tenant."""
        at = [c.name for c in self.columns].index("tenant")
        return Rows(self.mart, self.columns, [row for row in self.rows if row[at] == tenant])


@dataclass(frozen=True)
class Day:
    """Everything about one day, each tenant's in its own time zone (UTC where ``time_zones`` names none).

    ``complete_through``: of each tenant the least of its event types; None: unknown.
    """

    day: date
    tenants: tuple[str, ...]
    complete_through: dict[str, datetime | None]
    marts: tuple[Rows, ...]
    time_zones: Mapping[str, str] = field(default_factory=dict)

    def is_final(self, tenant: str) -> bool:
        """Whether everything received before the day's end is in its numbers."""
        through = self.complete_through.get(tenant)
        return through is not None and through >= _end(self.day, self.time_zones.get(tenant, "UTC"))


def _end(day: date, time_zone: str) -> datetime:
    """When the day ends in a time zone, in UTC, in which instants compare as they follow each other."""
    return datetime.combine(day + timedelta(days=1), time.min, ZoneInfo(time_zone)).astimezone(UTC)


def first_day(grain: Grain, day: date) -> date:
    """The day with which the period of ``grain`` that holds ``day`` begins; of what has no period, the first of all."""
    if grain == "week":
        return day - timedelta(days=day.weekday())
    if grain == "month":
        return day.replace(day=1)
    return date(1970, 1, 1) if grain == "ever" else day


def read_day(dsn: str, day: date, marts: Iterable[Mart] | None = None, tenant: str | None = None) -> Day:
    """Read the daily marts (or ``marts``) of ``day``, of all tenants or one.

    Of marts of longer grains that is the period which holds the day.
    """
    wanted = [m for m in MARTS if m.grain == "day"] if marts is None else list(marts)
    with psycopg.connect(dsn, options=SESSION) as connection:
        fresh = connection.execute(
            """
            select
                tenant, case when count(*) = count(complete_through) then min(complete_through) end, max(time_zone)
            from marts.freshness
            where %(tenant)s::text is null or tenant = %(tenant)s
            group by tenant
            """,
            {"tenant": tenant},
        ).fetchall()
        through: dict[str, datetime | None] = {name: until for name, until, _ in fresh}
        zones: dict[str, str] = {name: zone for name, _, zone in fresh}
        found = tuple(_read(connection, mart, day, tenant) for mart in wanted)
    seen = {row[[c.name for c in one.columns].index("tenant")] for one in found for row in one.rows}
    return Day(day, tuple(sorted(seen | set(through))), through, found, zones)


def _read(connection: psycopg.Connection, mart: Mart, day: date, tenant: str | None) -> Rows:
    first, zone = first_day(mart.grain, day), "UTC" if mart.grain == "ever" else None
    columns = tuple(
        Column(*row)
        for row in connection.execute(
            """
            select attname, format_type(atttypid, atttypmod) from pg_attribute
            where attrelid = %s::regclass and attnum > 0 and not attisdropped
            order by attnum
            """,
            (f"marts.{mart.name}",),
        )
    )
    query = sql.SQL(
        """
        with days as (
            select
                m.*,
                coalesce(
                    %(zone)s::text,
                    (select max(f.time_zone) from marts.freshness as f where f.tenant = m.tenant),
                    'UTC'
                ) as zone
            from {mart} as m
            -- Clocks go up to fourteen hours ahead of UTC and twelve behind.
            where
                m.period_start > %(day)s::date - interval '1 day' and m.period_start < %(day)s::date + interval '2 days'
                and (%(tenant)s::text is null or m.tenant = %(tenant)s)
        )

        select {columns} from days
        where
            period_start >= calendar.midnight(%(day)s::date, zone)
            and period_start < calendar.midnight(%(day)s::date + 1, zone)
        order by {key}
        """
    ).format(
        columns=sql.SQL(", ").join(sql.Identifier(c.name) for c in columns),
        mart=sql.Identifier("marts", mart.name),
        key=sql.SQL(", ").join(map(sql.Identifier, mart.key)),
    )
    return Rows(mart, columns, connection.execute(query, {"day": first, "zone": zone, "tenant": tenant}).fetchall())
