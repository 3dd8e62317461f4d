"""Replace some minutes of a rollup and their cells by what the lake says, in one transaction."""

import io
from collections.abc import Callable, Sequence

import psycopg
import pyarrow as pa
import pyarrow.csv as pa_csv
from psycopg import sql

from contracts.columns import rollup_columns
from contracts.model import Contract
from warehouse.causes import CAUSES
from warehouse.touched import Touched, months
from warehouse.unpublished import CHANGED_AGAIN

CELL_COLUMNS = (
    "type", "tenant", "minute", "received_hour",
    "landed", "counted", "duplicates", "collisions", "copies", "minted", "over_cap", "erased",
)  # fmt: skip
_ATTEMPTS = 3


def replace(
    connection: psycopg.Connection, contract: Contract, claimed: Sequence[Touched], rollup: pa.Table, cells: pa.Table
) -> None:
    """Make the ``claimed`` minutes of the rollup and of ``ledger.cells`` be ``rollup`` and ``cells``, and book it.

    A minute without rows vanishes. What was touched again meanwhile stays touched. The hours are left for publication.
    Columns are those of the tables, in any order; sketches as text, as Postgres writes them. ``connection`` must be in
    autocommit mode and hold the type's lock.
    """
    # First and by itself: a partition needs a lock on the table, which is not to be held while we write.
    connection.execute("select rollups.ensure_months(%s, %s::date[])", (contract.rollup_table, months(claimed)))
    _retried(lambda: _replace(connection, contract, claimed, rollup, cells))


def _retried(transaction: Callable[[], None]) -> None:
    """A build run claims the same hours that a load marks: whom Postgres picks to give way simply does it again."""
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            transaction()
        except psycopg.errors.DeadlockDetected:
            if attempt == _ATTEMPTS:
                raise
        else:
            return


def _replace(
    connection: psycopg.Connection, contract: Contract, claimed: Sequence[Touched], rollup: pa.Table, cells: pa.Table
) -> None:
    these = {
        "type": contract.type,
        "tenants": [t.tenant for t in claimed],
        "minutes": [t.minute for t in claimed],
        "changes": [t.change_id for t in claimed],
        "causes": [t.cause for t in claimed],
        "gravity": list(CAUSES),
        "received": [t.received_from for t in claimed],
        # Said once more as bounds, so that only their months' partitions are looked at.
        "oldest": min(t.minute for t in claimed),
        "newest": max(t.minute for t in claimed),
    }
    table = sql.Identifier("rollups", contract.rollup_table)
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute(
            sql.SQL(
                """
                delete from {} as r
                using unnest(%(tenants)s::text[], %(minutes)s::timestamptz[]) as c (tenant, minute)
                where r.tenant = c.tenant and r.minute = c.minute and r.minute between %(oldest)s and %(newest)s
                """
            ).format(table),
            these,
        )
        copy_rows(cursor, table, [c.name for c in rollup_columns(contract)], rollup)
        cursor.execute(
            """
            delete from ledger.cells as l
            using unnest(%(tenants)s::text[], %(minutes)s::timestamptz[]) as c (tenant, minute)
            where l.type = %(type)s and l.tenant = c.tenant and l.minute = c.minute
            """,
            these,
        )
        copy_rows(cursor, sql.Identifier("ledger", "cells"), CELL_COLUMNS, cells)
        cursor.execute(
            """
            delete from ledger.touched as t
            using unnest(%(tenants)s::text[], %(minutes)s::timestamptz[], %(changes)s::bigint[])
                as c (tenant, minute, change_id)
            where t.type = %(type)s and t.tenant = c.tenant and t.minute = c.minute and t.change_id = c.change_id
            """,
            these,
        )
        # In key order, as a build run claims them. Of several causes the gravest is told.
        cursor.execute(
            """
            insert into ledger.unpublished as u (type, tenant, hour, cause, received_from)
            select
                %(type)s, c.tenant, date_trunc('hour', c.minute, 'UTC') as hour,
                (array_agg(c.cause order by coalesce(array_position(%(gravity)s::text[], c.cause), 0) desc))[1],
                min(c.received_from)
            from unnest(
                %(tenants)s::text[], %(minutes)s::timestamptz[], %(causes)s::text[], %(received)s::timestamptz[]
            ) as c (tenant, minute, cause, received_from)
            group by c.tenant, hour
            order by c.tenant, hour
            """
            + CHANGED_AGAIN,
            these,
        )


def copy_rows(cursor: psycopg.Cursor, table: sql.Identifier, columns: Sequence[str], rows: pa.Table) -> None:
    """COPY Arrow rows as CSV: in Arrow's own C++, where a row at a time in Python would cost as much as Spark did."""
    if rows.num_rows == 0:
        return
    buffer = io.BytesIO()
    pa_csv.write_csv(rows.select(list(columns)), buffer, pa_csv.WriteOptions(include_header=False))
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    with cursor.copy(sql.SQL("copy {} ({}) from stdin (format csv)").format(table, names)) as copy:
        copy.write(buffer.getbuffer())
