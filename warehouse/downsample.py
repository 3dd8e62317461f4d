"""Old minutes of a rollup become quarter-hours: only below the lake's floor, where nothing is recomputed any more.

Quarter-hours, because every business time zone's day begins on one. A rollup's row at 12:15 then holds the minutes
12:15 to 12:29, merged as a mart would merge them, so that marts rebuilt from it have the numbers they had.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import LiteralString

import psycopg
from psycopg import sql

from contracts.columns import rollup_columns
from contracts.model import Contract, Measure
from warehouse import lake_floor
from warehouse.marts import MARTS

COARSE: frozenset[str] = frozenset({"hour", "day", "week", "month", "ever"})
"""Grains that quarter-hours can be added up to; a type with a finer mart keeps its minutes."""
_LONG_MAX: LiteralString = "9223372036854775807"


@dataclass(frozen=True)
class Downsampled:
    """Rollup rows before and after; ``kept_because`` says why minutes stay, if they do."""

    rows_before: int = 0
    rows_after: int = 0
    kept_because: str | None = None


def why_not(connection: psycopg.Connection, type_: str, floor: datetime) -> str | None:
    """Why minutes of the type below ``floor`` have to stay; None: they need not."""
    grains: set[str] = {mart.grain for mart in MARTS if type_ in mart.event_types}
    if not grains:
        return "no mart holds them"
    if finer := grains - COARSE:
        return f"a mart by {', '.join(sorted(finer))} is built from them"
    row = connection.execute(
        "select count(*) from ledger.unpublished where type = %s and hour < %s", (type_, floor)
    ).fetchone()
    return f"{row[0]} hours are not published yet" if row and row[0] else None


def downsample(connection: psycopg.Connection, contract: Contract, *, dry_run: bool = False) -> Downsampled:
    """Merge the minutes below the type's floor that are not merged yet, a day in one transaction.

    ``connection`` must be in autocommit mode.
    """
    state = lake_floor.read(connection, contract.type)
    if state.floor is None:
        return Downsampled(kept_because="there is no floor")
    if reason := why_not(connection, contract.type, state.floor):
        return Downsampled(kept_because=reason)
    before = after = 0
    for day in _days(connection, contract, state):
        # A dry run does the same and takes it back, so that its numbers are those of a real one.
        with connection.transaction(force_rollback=dry_run):
            minutes, quarters = _merge(connection, contract, day, day + timedelta(days=1))
            lake_floor.downsampled(connection, contract.type, day + timedelta(days=1))
        before, after = before + minutes, after + quarters
    if not dry_run:
        lake_floor.downsampled(connection, contract.type, state.floor)
    return Downsampled(before, after)


def _days(connection: psycopg.Connection, contract: Contract, state: lake_floor.Floor) -> Iterator[datetime]:
    """The starts of the days that have minutes to merge, oldest first."""
    rows = connection.execute(
        sql.SQL(
            """
            select distinct date_trunc('day', minute, 'UTC') as day from {table}
            where minute < %s and minute >= coalesce(%s, '-infinity'::timestamptz)
            order by day
            """
        ).format(table=sql.Identifier("rollups", contract.rollup_table)),
        (state.floor, state.downsampled_to),
    ).fetchall()
    yield from (day for (day,) in rows)


def _merge(connection: psycopg.Connection, contract: Contract, start: datetime, end: datetime) -> tuple[int, int]:
    dimensions = [d.name for d in contract.rollup.dimensions]
    values = [part for measure in contract.rollup.measures for part in _merged(contract, measure)]
    row = connection.execute(
        sql.SQL(
            """
            with minutes as (
                delete from {table} where minute >= %s and minute < %s returning *
            ),

            quarters as (
                insert into {table} ({columns})
                select tenant, date_bin('15 minutes', minute, timestamptz '2000-01-01 00:00+00'), {dimensions}, {values}
                from minutes
                group by tenant, date_bin('15 minutes', minute, timestamptz '2000-01-01 00:00+00'), {dimensions}
                returning 1
            )

            select (select count(*) from minutes), (select count(*) from quarters)
            """
        ).format(
            table=sql.Identifier("rollups", contract.rollup_table),
            columns=sql.SQL(", ").join(sql.Identifier(c.name) for c in rollup_columns(contract)),
            dimensions=sql.SQL(", ").join(map(sql.Identifier, dimensions)),
            values=sql.SQL(", ").join(values),
        ),
        (start, end),
    ).fetchone()
    assert row is not None  # noqa: S101 - a select of two scalars gives a row
    return row[0], row[1]


def _merged(contract: Contract, measure: Measure) -> list[sql.Composable]:
    """The measure's columns, in the order of :func:`contracts.columns.rollup_columns`."""
    name, at = sql.Identifier(measure.name), sql.Identifier(f"{measure.name}_at")
    words = _WORDS[measure.kind]
    if measure.kind == "sum" and contract.field_named(measure.field or "").kind != "decimal":
        words = (_WHOLE_SUM,)
    return [sql.SQL(text).format(value=name, at=at) for text in words]


_WHOLE_SUM: LiteralString = f"""
case when count({{value}}) > 0 then greatest(least(sum({{value}}), {_LONG_MAX}), -{_LONG_MAX})::bigint end
"""
"""Held to what the column takes, as the load holds it."""
_WORDS: Mapping[str, tuple[LiteralString, ...]] = {
    "count": ("sum({value})::bigint",),
    "sum": ("sum({value})",),
    "min": ("min({value})",),
    "max": ("max({value})",),
    "last": ("(array_agg({value} order by {at} desc) filter (where {at} is not null))[1]", "max({at})"),
    "quantile": ("sketch.merge_buckets({value})",),
    "distinct": ("sketch.merge_distinct({value})",),
}
"""By kind of measure, how two minutes are merged: as a mart would."""
