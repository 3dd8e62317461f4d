"""Compare what the lake gives for a span of time with what rollups and cells have, and keep what differs."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, LiteralString
from uuid import UUID

import psycopg
import pyarrow as pa
from psycopg import sql

from contracts.columns import rollup_columns
from contracts.model import Contract
from warehouse.held import NOT_TO_BE_COMPUTED
from warehouse.minute_state import states
from warehouse.replace import CELL_COLUMNS, copy_rows

FRESH_ROLLUP, FRESH_CELLS = sql.Identifier("pg_temp", "fresh_rollup"), sql.Identifier("pg_temp", "fresh_cells")
CELLS = sql.Identifier("ledger", "cells")


@dataclass(frozen=True)
class Span:
    """Whole minutes from ``start`` to before ``end``, of one tenant or (None) of all; about ``events`` events."""

    start: datetime
    end: datetime
    tenant: str | None = None
    events: int = 0

    def minutes(self) -> list[datetime]:
        """Each of them."""
        return [self.start + timedelta(minutes=n) for n in range((self.end - self.start) // timedelta(minutes=1))]


@dataclass(frozen=True)
class Books:
    """How a type stands: rows up to ``land_seq`` are in the rollups, but for touched minutes. None: no floor is set."""

    land_seq: int
    floor: datetime | None


@dataclass(frozen=True)
class Compared:
    """Minutes of a span: with rows on either side; differing; left out, because of the load (or of a file of the lake
    that is missing) or of quarantined rows.
    """

    minutes: int
    differing: int
    waiting: int
    quarantined: int


def books(connection: psycopg.Connection, type_: str) -> Books | None:
    """How the type stands; None while nothing of it was ever loaded."""
    row = connection.execute(
        """
        select c.land_seq, f.floor
        from ledger.cursors as c
        left join ledger.lake_floor as f using (type)
        where c.type = %s
        """,
        (type_,),
    ).fetchone()
    return None if row is None else Books(*row)


def days_with_rows(connection: psycopg.Connection, contract: Contract, span: Span) -> set[datetime]:
    """The starts of the days (UTC) of which the rollup or the books have something."""
    rows = connection.execute(
        sql.SQL(
            """
            select distinct date_trunc('day', r.minute, 'UTC') from {rollup} as r {which}
            union
            select distinct date_trunc('day', r.minute, 'UTC') from ledger.cells as r {which} and r.type = %(type)s
            """
        ).format(rollup=sql.Identifier("rollups", contract.rollup_table), which=_WITHIN),
        _parameters(contract, span),
    ).fetchall()
    return {day for (day,) in rows}


def minutes_below(connection: psycopg.Connection, contract: Contract, span: Span) -> int:
    """Tenants' minutes that the rollup has in a span, which lies below the floor."""
    row = connection.execute(
        sql.SQL("select count(*) from (select distinct r.tenant, r.minute from {rollup} as r {which}) as m").format(
            rollup=sql.Identifier("rollups", contract.rollup_table), which=_WITHIN
        ),
        _parameters(contract, span),
    ).fetchone()
    return int(row[0]) if row else 0


def compare(
    connection: psycopg.Connection, run_id: UUID, contract: Contract, span: Span, computed: tuple[pa.Table, pa.Table]
) -> Compared:
    """Keep for ``run_id`` what of ``span`` differs from ``computed``: rollup rows and cells of all the lake has of it.

    To be called in a transaction of isolation ``repeatable read`` whose snapshot is the one that gave the land_seq up
    to which the lake was read: only of that snapshot it is true that each minute is as the lake says, or is touched.
    """
    table = sql.Identifier("rollups", contract.rollup_table)
    given = {**_parameters(contract, span), "run_id": run_id}
    with connection.cursor() as cursor:
        for fresh, like in ((FRESH_ROLLUP, table), (FRESH_CELLS, CELLS)):
            cursor.execute(
                sql.SQL("create temporary table {} (like {} including defaults) on commit drop").format(fresh, like)
            )
        copy_rows(cursor, FRESH_ROLLUP, [c.name for c in rollup_columns(contract)], computed[0])
        copy_rows(cursor, FRESH_CELLS, CELL_COLUMNS, computed[1])
        cursor.execute(
            sql.SQL(_COMPARE).format(
                old=states(table, CELLS, _WITHIN),
                new=states(FRESH_ROLLUP, FRESH_CELLS, _WITHIN),
                waiting=sql.SQL(NOT_TO_BE_COMPUTED).format(m=sql.Identifier("j")),
            ),
            given,
        )
        row = cursor.fetchone()
        for side, part, source in (
            ("old", "rollup", table), ("old", "cells", CELLS),
            ("new", "rollup", FRESH_ROLLUP), ("new", "cells", FRESH_CELLS),
        ):  # fmt: skip
            cursor.execute(
                sql.SQL(_KEEP).format(source=source, which=_WITHIN, of_type=_OF_TYPE if part == "cells" else _ANY),
                {**given, "part": part, "side": side},
            )
    return Compared(*row) if row else Compared(0, 0, 0, 0)


def _parameters(contract: Contract, span: Span) -> Mapping[str, Any]:
    return {"type": contract.type, "start": span.start, "end": span.end, "tenant": span.tenant}


_WITHIN = sql.SQL(
    "where r.minute >= %(start)s and r.minute < %(end)s and (%(tenant)s::text is null or r.tenant = %(tenant)s)"
)
_OF_TYPE, _ANY = sql.SQL("and r.type = %(type)s"), sql.SQL("")

_COMPARE: LiteralString = """
    with sides as (
        select
            j.tenant,
            j.minute,
            j.was,
            j.becomes,
            {waiting} as waiting,
            exists (
                select from ledger.cells as q
                where q.type = %(type)s and q.tenant = j.tenant and q.minute = j.minute and q.quarantined > 0
            ) as quarantined
        from (
            select tenant, minute, o.state as was, n.state as becomes
            from ({old}) as o
            full join ({new}) as n using (tenant, minute)
        ) as j
    ),

    kept as (
        insert into ledger.reprocess_minutes (run_id, type, tenant, minute, was, becomes)
        select %(run_id)s, %(type)s, tenant, minute, was, becomes
        from sides
        where was is distinct from becomes and not waiting and not quarantined
        returning 1
    )

    select
        count(*),
        (select count(*) from kept),
        count(*) filter (where waiting),
        count(*) filter (where quarantined and not waiting)
    from sides
"""
_KEEP: LiteralString = """
    insert into ledger.reprocess_rows (run_id, type, tenant, minute, part, side, content)
    select m.run_id, m.type, m.tenant, m.minute, %(part)s, %(side)s, to_jsonb(r)
    from ledger.reprocess_minutes as m
    inner join {source} as r on r.tenant = m.tenant and r.minute = m.minute
    {which} {of_type} and m.run_id = %(run_id)s and m.type = %(type)s
        and m.minute >= %(start)s and m.minute < %(end)s
"""
