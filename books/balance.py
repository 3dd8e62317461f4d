"""Balance hours of receipt: what collectors acknowledged against what landed, and that against what is counted."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import psycopg
from psycopg import IsolationLevel, sql

from contracts.model import Contract

_DONE = """
    delete from ledger.books_touched as b
    where
        b.received_hour = any(%(hours)s)
        and not exists (
            select from ledger.lake_files as f
            left join ledger.cursors as l on l.type = f.type
            inner join ledger.file_minutes as m on m.file_id = f.file_id
            inner join ledger.cells as c on c.type = f.type and c.tenant = m.tenant and c.minute = m.minute
            where f.type = any(%(types)s) and f.land_seq > coalesce(l.land_seq, 0) and c.received_hour = b.received_hour
        )
        and not exists (
            select from ledger.touched as t
            inner join ledger.cells as c on c.type = t.type and c.tenant = t.tenant and c.minute = t.minute
            where c.received_hour = b.received_hour
        )
"""
"""Hours with rows of a minute that waits for the load stay: the winner may change, and so what other hours counted."""
BALANCE = (Path(__file__).resolve().parent / "balance.sql").read_bytes()
_HOUR = timedelta(hours=1)
LOOK_BACK = timedelta(minutes=10)
"""A receipt's cells have the time at which their transaction began, and are seen when it ends."""


@dataclass(frozen=True)
class Known:
    """One table: before which instant all received is in it, and up to which commit the ledger knows its files."""

    through: datetime | None
    land_seq: int


def counting(contract: Contract) -> tuple[str, ...] | None:
    """The measures of a rollup whose sum is the number of its events; None where no measures count every event once."""
    counts = [m for m in contract.rollup.measures if m.kind == "count"]
    for measure in counts:
        if not measure.where:
            return (measure.name,)
    for measure in counts:
        ((name, value),) = measure.where.items() if measure.where and len(measure.where) == 1 else (("", None),)
        if isinstance(value, bool) and contract.field_named(name).default is not None:
            other = next((m for m in counts if m.where == {name: not value}), None)
            if other is not None:
                return measure.name, other.name
    return None


def due(connection: psycopg.Connection, since: datetime | None, contracts: Collection[Contract] = ()) -> list[datetime]:
    """Hours to balance: touched, not in balance yet, changed by receipts, waiting for the load, or young; newest first.

    ``since``: when the last reconciliation began; None: every hour that anything is known of, and those in which the
    rollups of ``contracts`` show what no event explains.
    """
    if since is None:
        query = """
            select received_hour from ledger.receipt_cells
            union select received_hour from ledger.file_ranges
            union select received_hour from ledger.cells
            union select received_hour from ledger.rejects
            union select received_hour from ledger.books
        """
        found = connection.execute(f"select received_hour from ({query}) as h".encode()).fetchall()  # noqa: S608
        hours = {hour for (hour,) in found}
        for contract in contracts:
            hours |= {hour for _, _, hour, _ in strays(connection, contract)}
        return sorted(hours, reverse=True)
    rows = connection.execute(
        """
        select received_hour from ledger.books_touched
        union select received_hour from ledger.books
        where not (closed and balanced and not_loaded = 0) or received_hour > now() - interval '3 hours'
        union select received_hour from ledger.receipt_cells where updated_at > %(since)s
        union
        select c.received_hour from ledger.touched as t
        inner join ledger.cells as c on c.type = t.type and c.tenant = t.tenant and c.minute = t.minute
        order by 1 desc
        """,
        {"since": since - LOOK_BACK},
    )
    return [hour for (hour,) in rows]


def balance(
    connection: psycopg.Connection,
    contracts: Collection[Contract],
    known: Mapping[str, Known],
    rejects: Known,
    hours: Sequence[datetime],
) -> list[str]:
    """Write the books of ``hours`` for the types in ``known``; gives those that a load has read further.

    Those are left as they were: of what the load counted beyond it the ledger does not know the files yet.
    """
    connection.isolation_level = IsolationLevel.REPEATABLE_READ
    try:
        with connection.transaction():
            ahead = _ahead(connection, known)
            types = {type_: k for type_, k in known.items() if type_ not in ahead}
            checked_at = connection.execute("select clock_timestamp()").fetchone()
            apart = [row for c in contracts if c.type in types for row in _apart(connection, c, hours)]
            stray = [
                row
                for c in contracts
                if c.type in types
                for first, before in ranges(hours)
                for row in strays(connection, c, first, before)
            ]
            values = {
                "hours": list(hours),
                "known": [c.type for c in contracts],
                "types": list(types),
                "through": [k.through for k in types.values()],
                "rejects_through": rejects.through,
                "apart_types": [row[0] for row in apart],
                "apart_tenants": [row[1] for row in apart],
                "apart_minutes": [row[2] for row in apart],
                "apart": [row[3] for row in apart],
                "stray_types": [row[0] for row in stray],
                "stray_tenants": [row[1] for row in stray],
                "stray_hours": [row[2] for row in stray],
                "stray": [row[3] for row in stray],
                "checked_at": checked_at[0] if checked_at else None,
            }
            connection.execute(BALANCE, values)
            connection.execute(
                """
                delete from ledger.books
                where
                    received_hour = any(%(hours)s) and type = any(%(types)s || array[''])
                    and checked_at < %(checked_at)s
                """,
                values,
            )
            if types.keys() == {c.type for c in contracts}:
                connection.execute(_DONE, values)
    finally:
        connection.isolation_level = None
    return ahead


def _ahead(connection: psycopg.Connection, known: Mapping[str, Known]) -> list[str]:
    rows = connection.execute(
        """
        select c.type from ledger.cursors as c
        inner join unnest(%s::text[], %s::bigint[]) as k (type, land_seq) on k.type = c.type
        where c.land_seq > k.land_seq
        """,
        (list(known), [k.land_seq for k in known.values()]),
    )
    return [type_ for (type_,) in rows]


def _apart(
    connection: psycopg.Connection, contract: Contract, hours: Sequence[datetime]
) -> list[tuple[str, str, datetime, int]]:
    """Minutes with rows of ``hours`` in which the rollup shows another number of events than the cells count.

    Where old minutes were merged into quarter-hours nothing is left to compare, nor of a type without a rollup yet.
    """
    total = _total(connection, contract)
    if total is None:
        return []
    query = sql.SQL(
        """
        select %(type)s, m.tenant, m.minute, abs(c.counted - r.shown)
        from (
            select distinct tenant, minute from ledger.cells where type = %(type)s and received_hour = any(%(hours)s)
        ) as m
        cross join lateral (
            select coalesce(sum(l.counted), 0)::bigint as counted from ledger.cells as l
            where l.type = %(type)s and l.tenant = m.tenant and l.minute = m.minute
        ) as c
        cross join lateral (
            select coalesce(sum({total}), 0)::bigint as shown from {table} as r
            where r.tenant = m.tenant and r.minute = m.minute
        ) as r
        where
            c.counted <> r.shown
            and m.minute >= coalesce(
                (select f.downsampled_to from ledger.lake_floor as f where f.type = %(type)s), '-infinity'
            )
        """
    ).format(total=total, table=sql.Identifier("rollups", contract.rollup_table))
    return connection.execute(query, {"type": contract.type, "hours": list(hours)}).fetchall()


def strays(
    connection: psycopg.Connection, contract: Contract, first: datetime | None = None, before: datetime | None = None
) -> list[tuple[str, str, datetime, int]]:
    """What the rollup shows in minutes that ``ledger.cells`` know nothing of: no event of the lake explains it.

    By type, tenant and hour, with how many events it shows, at least one. Nobody knows when they were received: the
    hour is that of the minutes, in [``first``, ``before``). Merged quarter-hours are left out, as above.
    """
    total = _total(connection, contract)
    if total is None:
        return []
    # Instants as Postgres plans with them: not known until the query runs they would be guessed (ADR 0035).
    within = [
        sql.SQL("r.minute {} {}").format(sql.SQL(sign), sql.Literal(instant))
        for sign, instant in ((">=", first), ("<", before), (">=", _downsampled_to(connection, contract)))
        if instant is not None
    ]
    query = sql.SQL(
        """
        with unexplained as materialized (
            select s.tenant, s.minute
            from (select distinct r.tenant, r.minute from {table} as r where {within}) as s
            where not exists (
                select from ledger.cells as c where c.type = {type} and c.tenant = s.tenant and c.minute = s.minute
            )
        )

        select {type}, u.tenant, date_trunc('hour', u.minute, 'UTC'), greatest(sum({total}), 1)::bigint
        from unexplained as u
        inner join {table} as r on r.tenant = u.tenant and r.minute = u.minute
        group by 2, 3
        """
    ).format(
        total=total,
        type=sql.Literal(contract.type),
        table=sql.Identifier("rollups", contract.rollup_table),
        within=sql.SQL(" and ").join([sql.SQL("true"), *within]),
    )
    return connection.execute(query).fetchall()


def ranges(hours: Sequence[datetime]) -> list[tuple[datetime, datetime]]:
    """``hours``, the newest first, as spans without gaps, of which the end is not within."""
    spans: list[tuple[datetime, datetime]] = []
    for hour in hours:
        if spans and spans[-1][0] == hour + _HOUR:
            spans[-1] = (hour, spans[-1][1])
        else:
            spans.append((hour, hour + _HOUR))
    return spans


def _total(connection: psycopg.Connection, contract: Contract) -> sql.Composable | None:
    """SQL of how many events a row ``r`` of the rollup shows; None where it cannot be told, or there is no rollup."""
    measures = counting(contract)
    there = connection.execute("select to_regclass('rollups.' || quote_ident(%s))", (contract.rollup_table,)).fetchone()
    if measures is None or not there or there[0] is None:
        return None
    return sql.SQL(" + ").join(sql.SQL("r.{}").format(sql.Identifier(name)) for name in measures)


def _downsampled_to(connection: psycopg.Connection, contract: Contract) -> datetime | None:
    row = connection.execute(
        "select downsampled_to from ledger.lake_floor where type = %s", (contract.type,)
    ).fetchone()
    return row[0] if row else None
