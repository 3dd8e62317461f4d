"""What the marts say of one day, whichever marts there are."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import psycopg
from psycopg import sql

from warehouse.marts import MARTS, Mart

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
    """Everything about one day. ``complete_through``: of each tenant the least of its event types; None: unknown."""

    day: date
    tenants: tuple[str, ...]
    complete_through: dict[str, datetime | None]
    marts: tuple[Rows, ...]

    def is_final(self, tenant: str) -> bool:
        """Whether everything received before the day's end is in its numbers."""
        through = self.complete_through.get(tenant)
        return through is not None and through >= bounds(self.day)[1]


def bounds(day: date) -> tuple[datetime, datetime]:
    """The day's start and end, UTC."""
    start = datetime.combine(day, time.min, UTC)
    return start, start + timedelta(days=1)


def read_day(dsn: str, day: date, marts: Iterable[Mart] | None = None, tenant: str | None = None) -> Day:
    """Read the daily marts (or ``marts``) of ``day``, of all tenants or one."""
    wanted = [m for m in MARTS if m.grain == "day"] if marts is None else list(marts)
    with psycopg.connect(dsn, options=SESSION) as connection:
        through: dict[str, datetime | None] = dict(
            connection.execute(
                """
                select tenant, case when count(*) = count(complete_through) then min(complete_through) end
                from marts.freshness
                where %(tenant)s::text is null or tenant = %(tenant)s
                group by tenant
                """,
                {"tenant": tenant},
            ).fetchall()
        )
        found = tuple(_read(connection, mart, day, tenant) for mart in wanted)
    seen = {row[[c.name for c in one.columns].index("tenant")] for one in found for row in one.rows}
    return Day(day, tuple(sorted(seen | set(through))), through, found)


def _read(connection: psycopg.Connection, mart: Mart, day: date, tenant: str | None) -> Rows:
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
        select {columns} from {mart}
        where period_start >= %(start)s and period_start < %(end)s and (%(tenant)s::text is null or tenant = %(tenant)s)
        order by {key}
        """
    ).format(
        columns=sql.SQL(", ").join(sql.Identifier(c.name) for c in columns),
        mart=sql.Identifier("marts", mart.name),
        key=sql.SQL(", ").join(map(sql.Identifier, mart.key)),
    )
    start, end = bounds(day)
    return Rows(mart, columns, connection.execute(query, {"start": start, "end": end, "tenant": tenant}).fetchall())
