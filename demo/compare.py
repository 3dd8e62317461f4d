"""Hold the charts against the truth: equal to the last event, or every difference by name."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

import psycopg
from psycopg import sql

from contracts.registry import Registry
from demo import charted
from demo.truth import Truth, Views


@dataclass(frozen=True)
class Difference:
    """One number that is not what it should be; ``where`` names the table, ``key`` the region or the measure."""

    where: str
    day: str
    key: str
    expected: str
    found: str


@dataclass(frozen=True)
class Freshness:
    """What the platform itself says of a tenant's page views."""

    complete_through: str | None
    pending_minutes: int
    held_because: str | None


def marts(connection: psycopg.Connection, truth: Truth) -> list[Difference]:
    """Where the marts of the truth's tenant differ from it. Needs the rights of a reader of ``marts``.

    Page views are compared by region and day, the other types by day, and money by currency. Every row of the tenant is
    compared, so what was never sent is a difference too.
    """
    found = _shown(connection, truth.tenant)
    expected = {(day, region): views for day, regions in truth.views.items() for region, views in regions.items()}
    return [
        Difference(
            "marts.region_daily", day, region, _words(expected.get((day, region))), _words(found.get((day, region)))
        )
        for day, region in sorted(expected.keys() | found.keys())
        if expected.get((day, region), Views()) != found.get((day, region), Views())
    ] + _others(connection, truth)


def _others(connection: psycopg.Connection, truth: Truth) -> list[Difference]:
    expected, found = charted.sent(truth), charted.shown(connection, truth.tenant)
    differences: list[Difference] = []
    for mart, day, column, currency in sorted(expected.keys() | found.keys()):
        wanted, have = (Decimal(numbers.get((mart, day, column, currency), 0)) for numbers in (expected, found))
        if wanted != have:
            key = f"{column} {currency}".strip()
            differences.append(Difference(f"marts.{mart}", day, key, f"{wanted:f}", f"{have:f}"))
    return differences


def rollups(connection: psycopg.Connection, truth: Truth, registry: Registry) -> list[Difference]:
    """Where the counts and sums of the rollups differ from the truth, by type, day and measure.

    Needs the rights to read schema ``rollups``. A distinct count is not compared here: it is what the mart shows.
    """
    differences: list[Difference] = []
    for contract in registry:
        measures = [m.name for m in contract.rollup.measures if m.kind in ("count", "sum")]
        found = dict(_sums(connection, truth.tenant, contract.rollup_table, measures))
        expected = truth.totals.get(contract.type, {})
        for day in sorted(found.keys() | expected.keys()):
            for name in measures:
                wanted, have = Decimal(expected.get(day, {}).get(name, 0)), found.get(day, {}).get(name, Decimal(0))
                if wanted != have:
                    where = f"rollups.{contract.rollup_table}"
                    differences.append(Difference(where, day, name, f"{wanted:f}", f"{have:f}"))
    return differences


def shows_more(reader: psycopg.Connection, warehouse: psycopg.Connection, truth: Truth, registry: Registry) -> bool:
    """Whether marts or rollups of the truth's tenant count anything beyond it: events of somebody else.

    Too little is no such sign: it may still be on its way.
    """
    if any(Decimal(d.found) > Decimal(d.expected) for d in rollups(warehouse, truth, registry)):
        return True
    return any(
        shown.page_views > sent.page_views or shown.bot_page_views > sent.bot_page_views
        for (day, region), shown in _shown(reader, truth.tenant).items()
        for sent in [truth.views.get(day, {}).get(region, Views())]
    )


def freshness(connection: psycopg.Connection, tenant: str) -> Freshness | None:
    """The tenant's row for page views in ``marts.freshness``; None before the first publication."""
    row = connection.execute(
        """
        select complete_through, pending_minutes, held_because from marts.freshness
        where tenant = %s and event_type = 'page_view'
        """,
        (tenant,),
    ).fetchone()
    return Freshness(row[0].isoformat() if row[0] else None, row[1], row[2]) if row else None


def _shown(connection: psycopg.Connection, tenant: str) -> dict[tuple[str, str], Views]:
    rows = connection.execute(
        """
        select (period_start at time zone 'UTC')::date, region, page_views, bot_page_views, visitors
        from marts.region_daily where tenant = %s
        """,
        (tenant,),
    ).fetchall()
    return {(day.isoformat(), region): Views(*counts) for day, region, *counts in rows}


def _sums(
    connection: psycopg.Connection, tenant: str, table: str, measures: list[str]
) -> Iterator[tuple[str, dict[str, Decimal]]]:
    if not measures:
        return
    query = sql.SQL("select (minute at time zone 'UTC')::date, {} from rollups.{} where tenant = %s group by 1").format(
        sql.SQL(", ").join(sql.SQL("coalesce(sum({}), 0)").format(sql.Identifier(name)) for name in measures),
        sql.Identifier(table),
    )
    for row in connection.execute(query, (tenant,)):
        day: date = row[0]
        yield day.isoformat(), {name: Decimal(value) for name, value in zip(measures, row[1:], strict=True)}


def _words(views: Views | None) -> str:
    if views is None:
        return "no row"
    return f"{views.page_views} views, {views.bot_page_views} by bots, {views.visitors} visitors"
