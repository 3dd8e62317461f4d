"""Checksums of tables: equal rows give equal checksums, whatever their order, on whatever server they lie."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

import psycopg
from psycopg import sql
from psycopg.rows import tuple_row

from contracts.model import Contract
from warehouse.marts import MARTS

SESSION = "-c timezone=UTC -c datestyle=ISO,YMD -c extra_float_digits=1"
"""Options of the connection: a row's text depends on them."""


@dataclass(frozen=True)
class Checksum:
    """Of the rows of one table: how many, and a sum that no order changes."""

    rows: int
    sum: str


def of_rollups(
    connection: psycopg.Connection,
    contracts: Iterable[Contract],
    *,
    start: datetime | None = None,
    end: datetime | None = None,
    tenant: str | None = None,
) -> Mapping[str, Checksum]:
    """Of each type's rollup and of its cells, of all minutes or those of a span."""
    found = {}
    for contract in contracts:
        given = {"type": contract.type, "start": start, "end": end, "tenant": tenant}
        name = f"rollups.{contract.rollup_table}"
        found[name] = _of(connection, ("rollups", contract.rollup_table), _WITHIN, given)
        which = sql.SQL("{} and r.type = %(type)s").format(_WITHIN)
        found[f"ledger.cells {contract.type}"] = _of(connection, ("ledger", "cells"), which, given)
    return found


def of_marts(connection: psycopg.Connection) -> Mapping[str, Checksum]:
    """Of every mart."""
    return {f"marts.{m.name}": _of(connection, ("marts", m.name), sql.SQL(""), {}) for m in MARTS}


_WITHIN = sql.SQL("""
    where
        r.minute >= coalesce(%(start)s, '-infinity'::timestamptz)
        and r.minute < coalesce(%(end)s, 'infinity'::timestamptz)
        and (%(tenant)s::text is null or r.tenant = %(tenant)s)
""")


def _of(
    connection: psycopg.Connection, table: tuple[str, str], which: sql.Composable, given: Mapping[str, object]
) -> Checksum:
    """Rows are summed as 128-bit numbers (their MD5, in two halves), so that memory does not grow with the table."""
    row = (
        connection.cursor(row_factory=tuple_row)
        .execute(
            sql.SQL(
                """
            select
                count(*),
                md5(concat(
                    coalesce(sum(('x' || left(h.hash, 16))::bit(64)::bigint::numeric), 0), ' ',
                    coalesce(sum(('x' || right(h.hash, 16))::bit(64)::bigint::numeric), 0)
                ))
            from (select md5(r::text) as hash from {table} as r {which}) as h
            """
            ).format(table=sql.Identifier(*table), which=which),
            given,
        )
        .fetchone()
    )
    assert row is not None  # noqa: S101 - an aggregate without group by always gives a row
    return Checksum(*row)
