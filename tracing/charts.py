"""The rows of rollups and marts in which an event counts, as they are now."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from psycopg import sql

from contracts.model import OTHER, Contract
from tracing.judge import Identity
from tracing.key import mart_key, rollup_key
from tracing.ledger import Connection
from warehouse.marts import MARTS, NO_NUMBERS, Mart

_MOST = 200
"""Most rows of one mart that are told of; an event is in one, or in two where a mart ranks in two ways."""


class RollupRow(NamedTuple):
    """``row``: the measures, None where there is no such row; ``over_cap``: it is summed under ``(other)``."""

    table: str
    minute: datetime
    key: dict[str, str | int]
    row: dict[str, Any] | None
    over_cap: bool


class MartRows(NamedTuple):
    """The period of a mart that holds the event, and its rows there; ``restated``: what changed after it was final."""

    mart: str
    period_start: datetime
    rows: list[dict[str, Any]]
    restated: list[dict[str, Any]]


def rollup_row(
    connection: Connection, event: Identity, contract: Contract, row: Mapping[str, Any], downsampled_to: datetime | None
) -> RollupRow:
    """The rollup row of a winner.

    A key that is over the cap has no row of its own, so where there is none, and one for ``(other)``, that is it.
    Below ``downsampled_to`` minutes are summed to quarter-hours.
    """
    minute = event.minute
    if downsampled_to is not None and minute < downsampled_to:
        minute = minute.replace(minute=minute.minute // 15 * 15)
    keys = [rollup_key(row, contract)]
    if any(dimension.capped for dimension in contract.rollup.dimensions):
        keys.append(rollup_key(row, contract, over_cap=True))
    for key in keys:
        found = _one(connection, contract, event.tenant, minute, key)
        if found is not None:
            return RollupRow(contract.rollup_table, minute, key, found, OTHER in key.values() and key == keys[-1])
    return RollupRow(contract.rollup_table, minute, keys[0], None, False)


def _one(
    connection: Connection, contract: Contract, tenant: str, minute: datetime, key: Mapping[str, str | int]
) -> dict[str, Any] | None:
    conditions = [sql.SQL("{} = %s").format(sql.Identifier(name)) for name in key]
    # Sketches are how a number merges, and too long to be read.
    measures = [m.name for m in contract.rollup.measures if m.kind not in ("distinct", "quantile")]
    query = sql.SQL("select {} from {} where tenant = %s and minute = %s and {}").format(
        sql.SQL(", ").join(map(sql.Identifier, measures)) if measures else sql.SQL("1 as there"),
        sql.Identifier("rollups", contract.rollup_table),
        sql.SQL(" and ").join(conditions) if conditions else sql.SQL("true"),
    )
    return connection.execute(query, [tenant, minute, *key.values()]).fetchone()


def mart_rows(
    connection: Connection, event: Identity, rollup: Mapping[str, str | int], time_zone: str
) -> list[MartRows]:
    """By mart of the event's type the period that holds it and its rows there, none where it is not (yet) in it."""
    found = []
    for mart in MARTS:
        if event.type in mart.event_types:
            start = _period(connection, mart, event.minute, time_zone)
            rows = _rows(connection, mart, event.tenant, start, mart_key(mart, rollup))
            found.append(MartRows(mart.name, start, rows, _restated(connection, mart, event.tenant, start, rows)))
    return found


def _period(connection: Connection, mart: Mart, minute: datetime, time_zone: str) -> datetime:
    row = connection.execute(
        "select calendar.period_start(%s, %s, %s) as start", (mart.grain, minute, time_zone)
    ).fetchone()
    assert row is not None  # noqa: S101 - a select without from gives a row
    start: datetime = row["start"]
    return start


def _rows(
    connection: Connection, mart: Mart, tenant: str, start: datetime, key: Mapping[str, Sequence[str | int]]
) -> list[dict[str, Any]]:
    """The rows without the columns that repeat tenant and period, and without what no person reads."""
    conditions = [sql.SQL("{} = any(%s)").format(sql.Identifier(name)) for name in key]
    query = sql.SQL("select * from {} where tenant = %s and period_start = %s and {} limit {}").format(
        sql.Identifier("marts", mart.name),
        sql.SQL(" and ").join(conditions) if conditions else sql.SQL("true"),
        sql.Literal(_MOST),
    )
    rows = connection.execute(query, [tenant, start, *(list(values) for values in key.values())]).fetchall()
    hidden = ("tenant", "period_start")
    return [
        {name: value for name, value in row.items() if name not in hidden and not name.endswith(NO_NUMBERS)}
        for row in rows
    ]


def _restated(
    connection: Connection, mart: Mart, tenant: str, start: datetime, rows: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    keys = [{name: row[name] for name in mart.dimensions} for row in rows]
    found = connection.execute(
        """
        select key, old, new, cause, run_id, restated_at, reprocessed_by::text[] as reprocessed_by
        from ledger.restatements
        where mart = %s and tenant = %s and period_start = %s order by restated_at
        """,
        (mart.name, tenant, start),
    ).fetchall()
    return [row for row in found if row["key"] in keys]
