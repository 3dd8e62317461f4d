"""What a migration makes stale: marts that are new or wider, and sketches cut at a smaller size. Marked, then rebuilt.

Nothing is computed here: minutes go to ``ledger.touched`` and hours to ``ledger.unpublished``, the only ways there are.
"""

from collections.abc import Collection, Iterable, Mapping

import psycopg
from psycopg import sql

from contracts.columns import rollup_columns
from contracts.model import Contract
from warehouse.first_fillings import mark_filling
from warehouse.marts import MARTS
from warehouse.periods import TIME_ZONE


def known_marts(connection: psycopg.Connection) -> dict[str, frozenset[str]]:
    """The marts that are there, and the columns that each has."""
    rows = connection.execute(
        """
        select c.relname, array_agg(a.attname::text)
        from pg_class as c
        inner join pg_attribute as a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
        where c.relnamespace = to_regnamespace('marts') and c.relkind = 'r'
        group by c.relname
        """
    ).fetchall()
    return {name: frozenset(columns) for name, columns in rows}


def sketch_size(connection: psycopg.Connection) -> int | None:
    """How many hashes a distinct sketch keeps in this database; None where there are none yet."""
    row = connection.execute("select to_regprocedure('sketch.k()') is not null").fetchone()
    if row is None or not row[0]:
        return None
    found = connection.execute("select sketch.k()").fetchone()
    return int(found[0]) if found else None


def mark_new_marts(
    connection: psycopg.Connection, known: Mapping[str, Collection[str]], contracts: Iterable[Contract]
) -> int:
    """Have all hours built of the types that feed a mart which is not ``known``, or has a column that it had not.

    Their first publication is a filling, and no restatement. Gives how many hours that is.
    """
    now = known_marts(connection)
    new = {mart: columns for mart in MARTS if (columns := now[mart.name] - set(known.get(mart.name, ())))}
    types = {type_ for mart in new for type_ in mart.event_types}
    hours = 0
    for contract in contracts:
        if contract.type in types:
            hours += _mark_hours(connection, contract.type, sql.SQL("true"))
    for mart, columns in new.items():
        mark_filling(connection, mart, None if columns & {*mart.key} else columns)
    return hours


def mark_cut_sketches(connection: psycopg.Connection, size: int, contracts: Collection[Contract]) -> int:
    """Have recomputed what was cut at ``size`` hashes: minutes from the lake, hours of the marts; gives how many."""
    marked = 0
    for contract in contracts:
        sketches = [c.name for c in rollup_columns(contract) if c.sql_type == "bigint[]"]
        for name in sketches:
            marked += connection.execute(
                sql.SQL(
                    """
                    insert into ledger.touched (type, tenant, minute, cause, received_from)
                    select distinct %s, tenant, minute, 'reprocess', now() from {table}
                    where cardinality({sketch}) = %s
                    on conflict (type, tenant, minute) do update set change_id = excluded.change_id
                    """
                ).format(table=sql.Identifier("rollups", contract.rollup_table), sketch=sql.Identifier(name)),
                (contract.type, size),
            ).rowcount
    rows = connection.execute(
        """
        select table_name, column_name from information_schema.columns
        where table_schema = 'marts' and data_type = 'ARRAY' and column_name like '%\\_sketch'
        """
    ).fetchall()
    sketch_of: dict[str, str] = dict(rows)
    for mart in MARTS:
        if mart.name in sketch_of and mart.grain in ("hour", "day", "week", "month"):
            cut = sql.SQL(
                """
                exists (
                    select from {mart} as m
                    where
                        m.tenant = r.tenant and cardinality(m.{sketch}) = {size}
                        and m.period_start = calendar.period_start({grain}, r.minute, {time_zone})
                )
                """
            ).format(
                mart=sql.Identifier("marts", mart.name),
                sketch=sql.Identifier(sketch_of[mart.name]),
                size=sql.Literal(size),
                grain=sql.Literal(mart.grain),
                time_zone=sql.SQL(TIME_ZONE),
            )
            for type_ in (c.type for c in contracts if c.type in mart.event_types):
                marked += _mark_hours(connection, type_, cut)
    return marked


def _mark_hours(connection: psycopg.Connection, event_type: str, condition: sql.Composable) -> int:
    """Mark the hours of a type's rollup rows ``r``, of a tenant in ``zones``, for which ``condition`` holds.

    Nothing new was received, so completeness is not put back: hence ``loaded_through`` as the time of receipt.
    """
    return connection.execute(
        sql.SQL(
            """
            insert into ledger.unpublished (type, tenant, hour, cause, received_from)
            select changed.type, changed.tenant, changed.hour, 'rebuild', coalesce(c.loaded_through, now())
            from (
                select distinct {type} as type, r.tenant, date_trunc('hour', r.minute, 'UTC') as hour
                from {table} as r
                left join ledger.tenants as zones on zones.tenant = r.tenant
                where {condition}
            ) as changed
            left join ledger.cursors as c on c.type = changed.type
            order by changed.type, changed.tenant, changed.hour
            on conflict (type, tenant, hour) do nothing
            """
        ).format(
            type=sql.Literal(event_type),
            table=sql.Identifier("rollups", f"{event_type}_minute"),
            condition=condition,
        )
    ).rowcount
