"""Whole periods of one mart: what would change in closed ones is written down, then the candidate replaces them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Self
from uuid import UUID

import psycopg
from psycopg import sql

from warehouse.causes import REPROCESS
from warehouse.marts import Mart, written_down
from warehouse.periods import touched
from warehouse.publish_claim import Candidate


@dataclass(frozen=True)
class Periods:
    """The (tenant, period) to replace: start, end, cause of the change, and whether it was closed before."""

    tenants: tuple[str, ...]
    starts: tuple[datetime, ...]
    ends: tuple[datetime | None, ...]
    """None where the period never ends."""
    causes: tuple[str, ...]
    closed: tuple[bool, ...]
    reprocesses: frozenset[tuple[str, UUID]] = frozenset()
    """Tenants and the runs of a reprocessing that changed hours of theirs."""

    def __bool__(self) -> bool:
        return bool(self.tenants)

    @classmethod
    def of(cls, connection: psycopg.Connection, candidate: Candidate, mart: Mart) -> Self:
        """The periods of ``mart`` that the candidate's hours touch.

        Closed is a period whose end the tenant's charts had been complete through, in all of the mart's types that the
        tenant has: its numbers were final until now.
        """
        hours = [(type_, hour) for type_ in mart.event_types for hour in candidate.hours(type_)]
        if not hours:
            return cls((), (), (), (), ())
        given = (
            "(select * from unnest("
            "%(tenants)s::text[], %(types)s::text[], %(hours)s::timestamptz[], %(causes)s::text[]"
            ") as given (tenant, event_type, hour, cause))"
        )
        periods = touched(mart, given, (f"marts.{mart.name}", f"marts_build.{mart.name}"))
        rows = connection.execute(
            f"""
            select
                p.tenant, p.period_start, nullif(p.period_end, 'infinity'), p.cause,
                coalesce(p.period_end <= f.complete_through, false)
            from ({periods}) as p
            left join (
                select tenant, min(coalesce(complete_through, '-infinity')) as complete_through
                from marts.freshness
                where event_type = any(%(of_mart)s)
                group by tenant
            ) as f on f.tenant = p.tenant
            order by 1, 2
            """.encode(),  # noqa: S608 - names of marts and types, from warehouse/marts.py
            {
                "of_mart": list(mart.event_types),
                "tenants": [hour.tenant for _, hour in hours],
                "types": [type_ for type_, _ in hours],
                "hours": [hour.start for _, hour in hours],
                "causes": [hour.cause for _, hour in hours],
            },
        ).fetchall()
        tenants, starts, ends, causes, closed = tuple(zip(*rows, strict=True)) or ((), (), (), (), ())
        runs = frozenset((h.tenant, h.reprocessed_by) for _, h in hours if h.reprocessed_by is not None)
        return cls(tenants, starts, ends, causes, closed, runs)


def replace_periods(connection: psycopg.Connection, mart: Mart, periods: Periods) -> dict[str, int]:
    """Make the mart's rows of ``periods`` those of the candidate; gives the rows changed by tenant.

    A row that is the same is not written again: a month's sketches would else be rewritten each minute. What lies in a
    period and began elsewhere, when the tenant had another time zone, goes.
    """
    columns = _columns(connection, mart)
    measures = [name for name in columns if name not in mart.key]
    parameters = {"tenants": list(periods.tenants), "starts": list(periods.starts), "ends": list(periods.ends)}
    names = {
        "mart": sql.Identifier("marts", mart.name),
        "candidate": sql.Identifier("marts_build", mart.name),
        "key": _list(mart.key),
        "columns": _list(columns),
        "same_key": sql.SQL(" and ").join(
            sql.SQL("{} = {}").format(sql.Identifier("m", name), sql.Identifier("b", name)) for name in mart.key
        ),
        "old": _list(measures, "m"),
        "new": _list(measures, "excluded"),
        "assignments": sql.SQL(", ").join(
            sql.SQL("{} = {}").format(sql.Identifier(name), sql.Identifier("excluded", name)) for name in measures
        ),
    }
    gone = connection.execute(
        sql.SQL(
            """
            with deleted as (
                delete from {mart} as m
                using unnest(%(tenants)s::text[], %(starts)s::timestamptz[], %(ends)s::timestamptz[])
                    as p (tenant, period_start, period_end)
                where
                    m.tenant = p.tenant and m.period_start >= p.period_start
                    and m.period_start < coalesce(p.period_end, 'infinity')
                    and not exists (select from {candidate} as b where {same_key})
                returning m.tenant
            )
            select tenant, count(*) from deleted group by tenant
            """
        ).format(**names),
        parameters,
    ).fetchall()
    written = connection.execute(
        sql.SQL(
            """
            with written as (
                insert into {mart} as m ({columns})
                select {columns}
                from {candidate}
                inner join unnest(%(tenants)s::text[], %(starts)s::timestamptz[]) as p (tenant, period_start)
                    using (tenant, period_start)
                on conflict ({key}) do update set {assignments}
                where ({old}) is distinct from ({new})
                returning m.tenant
            )
            select tenant, count(*) from written group by tenant
            """
        ).format(**names),
        parameters,
    ).fetchall()
    rows: dict[str, int] = {}
    for tenant, count in [*gone, *written]:
        rows[tenant] = rows.get(tenant, 0) + count
    return rows


def write_restatements(connection: psycopg.Connection, run_id: UUID, mart: Mart, periods: Periods) -> int:
    """Write down each row of a closed period that is about to change; gives how many. Call it before replacing.

    A quiet day that is only now known to be one, or not to lie between busy days any more, is no changed number; nor is
    one of a mart, or of a column, that a tenant's readers have not had yet (``first_fillings.py``).
    """
    told = [name for name in _columns(connection, mart) if written_down(name)]
    measures = [name for name in told if name not in mart.key]
    shown = {
        "mart": sql.Identifier("marts", mart.name),
        "candidate": sql.Identifier("marts_build", mart.name),
        "key": _list(mart.key),
        "measures": _json(measures),
        "row_key": _json(mart.dimensions),
        "quiet": sql.SQL(mart.quiet or "false"),
    }
    query = sql.SQL(
        """
        with closed as (
            select
                p.tenant, p.period_start as first, coalesce(p.period_end, 'infinity') as behind, p.cause,
                coalesce(f.columns, '{{}}') as filling
            from unnest(
                %(tenants)s::text[], %(starts)s::timestamptz[], %(ends)s::timestamptz[], %(causes)s::text[],
                %(closed)s::boolean[]
            ) as p (tenant, period_start, period_end, cause, closed)
            left join ledger.fillings as f on f.mart = %(mart)s and f.tenant = p.tenant
            where p.closed and (f.tenant is null or f.columns is not null)
        ),

        old as (
            select {key}, {measures} - closed.filling as measures, {quiet} as is_quiet, closed.cause
            from {mart} inner join closed using (tenant)
            where period_start >= closed.first and period_start < closed.behind
        ),

        new as (
            select {key}, {measures} - closed.filling as measures, {quiet} as is_quiet, closed.cause
            from {candidate} inner join closed using (tenant)
            where period_start = closed.first
        ),

        reprocesses as (
            select tenant, array_agg(run order by run) as runs
            from unnest(%(reprocessed)s::text[], %(reprocesses)s::uuid[]) as r (tenant, run)
            group by tenant
        ),

        restated as (
            insert into ledger.restatements (run_id, mart, tenant, period_start, key, old, new, cause, reprocessed_by)
            select %(run_id)s, %(mart)s, tenant, period_start, {row_key}, old.measures, new.measures,
                coalesce(new.cause, old.cause),
                case
                    when %(reprocess)s = any(string_to_array(coalesce(new.cause, old.cause), ','))
                        then reprocesses.runs
                end
            from old
            full outer join new using ({key})
            left join reprocesses using (tenant)
            where
                old.measures is distinct from new.measures
                and not ((old.measures is null and new.is_quiet) or (new.measures is null and old.is_quiet))
            order by {key}
            returning run_id, mart, tenant, period_start, cause
        ),

        periods as (
            insert into ledger.restated_periods as p (run_id, mart, tenant, period_start, cause, rows)
            select run_id, mart, tenant, period_start, cause, count(*)
            from restated
            group by run_id, mart, tenant, period_start, cause
            on conflict (run_id, mart, tenant, period_start, cause) do update set rows = p.rows + excluded.rows
            returning rows
        )

        select count(*) from restated
        """
    ).format(**shown)
    row = connection.execute(
        query,
        {
            "run_id": run_id,
            "mart": mart.name,
            "tenants": list(periods.tenants),
            "starts": list(periods.starts),
            "ends": list(periods.ends),
            "causes": list(periods.causes),
            "closed": list(periods.closed),
            "reprocess": REPROCESS,
            "reprocessed": [tenant for tenant, _ in periods.reprocesses],
            "reprocesses": [run for _, run in periods.reprocesses],
        },
    ).fetchone()
    assert row is not None  # noqa: S101 - an aggregate without group by always gives a row
    return int(row[0])


def _columns(connection: psycopg.Connection, mart: Mart) -> list[str]:
    """The columns of the published table: what readers know decides, not what the candidate happens to have."""
    found = connection.execute(
        """
        select attname
        from pg_attribute
        where attrelid = %s::regclass and attnum > 0 and not attisdropped
        order by attnum
        """,
        (f"marts.{mart.name}",),
    ).fetchall()
    return [name for (name,) in found]


def _list(names: Sequence[str], alias: str | None = None) -> sql.Composable:
    return sql.SQL(", ").join(sql.Identifier(alias, name) if alias else sql.Identifier(name) for name in names)


def _json(names: Sequence[str]) -> sql.Composable:
    pairs = [part for name in names for part in (sql.Literal(name), sql.Identifier(name))]
    return sql.SQL("jsonb_build_object({})").format(sql.SQL(", ").join(pairs))
