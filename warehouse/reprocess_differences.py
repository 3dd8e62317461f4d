"""What a reprocessing found, by period and measure: the value there is, and the value that the lake gives."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal, LiteralString
from uuid import UUID

import psycopg
from psycopg import sql

from contracts.columns import rollup_columns
from contracts.model import Contract

Grain = Literal["hour", "day"]
BOOKED = ("landed", "counted", "duplicates", "collisions", "copies", "minted", "over_cap", "quarantined", "erased")


@dataclass(frozen=True)
class Difference:
    """One measure of one tenant's period (UTC): ``rows`` rows of minutes differ in it.

    ``old`` and ``new`` are its sums over the whole period; None for what cannot be summed (least, last, sketches).
    ``part`` is `rollup`, or `cells` for what the books count.
    """

    type: str
    tenant: str
    period: datetime
    part: str
    measure: str
    old: Decimal | None
    new: Decimal | None
    rows: int

    def as_json(self) -> dict[str, object]:
        """For the command's last line; numbers as text, since sums have more digits than JSON's readers keep."""
        shown = {**vars(self), "period": self.period.isoformat()}
        return {**shown, "old": _words(self.old), "new": _words(self.new)}


def _words(value: Decimal | None) -> str | None:
    return None if value is None else f"{value:f}"


@dataclass(frozen=True)
class _Part:
    """One of the two tables a type's minutes are in: its key, its measures, and which of them can be summed."""

    name: Literal["rollup", "cells"]
    table: sql.Identifier
    key: Sequence[str]
    measures: Sequence[str]
    summed: Sequence[str]


def differences(
    connection: psycopg.Connection, run_id: UUID, contract: Contract, grain: Grain, most: int
) -> tuple[Sequence[Difference], int]:
    """What ``run_id`` would change in the type and has not yet: in order of period the first ``most``, and how many.

    To be called when it is judged what becomes of each minute that was found.
    """
    columns = rollup_columns(contract)
    rollup = _Part(
        "rollup",
        sql.Identifier("rollups", contract.rollup_table),
        [c.name for c in columns if c.role == "key"],
        [c.name for c in columns if c.role == "measure"],
        [m.name for m in contract.rollup.measures if m.kind in ("count", "sum")],
    )
    booked = ("type", "tenant", "minute", "received_hour")
    cells = _Part("cells", sql.Identifier("ledger", "cells"), booked, BOOKED, BOOKED)
    parts = [_of_part(connection, run_id, contract, grain, part, most) for part in (rollup, cells)]
    found = sorted(
        (d for first, _ in parts for d in first), key=lambda d: (d.period, d.tenant, d.part != "rollup", d.measure)
    )
    return found[:most], sum(count for _, count in parts)


def _of_part(  # noqa: PLR0917
    connection: psycopg.Connection, run_id: UUID, contract: Contract, grain: Grain, part: _Part, most: int
) -> tuple[list[Difference], int]:
    names = [sql.Identifier(f"sum_{n}") for n in range(len(part.summed))]
    sums = [
        sql.SQL("sum(r.{})::numeric as {}").format(sql.Identifier(m), n)
        for m, n in zip(part.summed, names, strict=True)
    ]
    named = [sql.SQL("({}, s.{})").format(sql.Literal(m), n) for m, n in zip(part.summed, names, strict=True)]
    rows = connection.execute(
        sql.SQL(_DIFFERENCES).format(
            table=part.table,
            of_type=sql.SQL("and r.type = %(type)s" if part.name == "cells" else ""),
            sums=sql.SQL(", ").join(sums) if sums else sql.SQL("0 as none"),
            named=sql.SQL(", ").join(named) if named else sql.SQL("(null::text, null::numeric)"),
        ),
        {
            "run_id": run_id,
            "type": contract.type,
            "part": part.name,
            "grain": grain,
            "key": list(part.key),
            "measures": list(part.measures),
            "summed": list(part.summed),
            "most": most,
        },
    ).fetchall()
    found = [Difference(contract.type, t, period, part.name, m, old, new, n) for t, period, m, old, new, n, _ in rows]
    return found, rows[0][-1] if rows else 0


_DIFFERENCES: LiteralString = """
    with kept as (
        select tenant, minute, side, content, content - array(
            select name from jsonb_object_keys(content) as name where name <> all(%(key)s::text[])
        ) as key
        from ledger.reprocess_rows
        inner join ledger.reprocess_minutes using (run_id, type, tenant, minute)
        where run_id = %(run_id)s and type = %(type)s and part = %(part)s and outcome = 'replaced'
    ),

    pairs as (
        select tenant, minute, o.content as old, n.content as new
        from (select * from kept where side = 'old') as o
        full join (select * from kept where side = 'new') as n using (tenant, minute, key)
    ),

    changed as (
        select
            p.tenant,
            date_trunc(%(grain)s, p.minute, 'UTC') as period,
            m.name as measure,
            sum(
                case
                    when m.name = any(%(summed)s::text[])
                        then coalesce((p.new ->> m.name)::numeric, 0) - coalesce((p.old ->> m.name)::numeric, 0)
                end
            ) as difference,
            count(*) as differing
        from pairs as p
        cross join unnest(%(measures)s::text[]) as m (name)
        where nullif(p.old -> m.name, 'null') is distinct from nullif(p.new -> m.name, 'null')
        group by 1, 2, 3
    ),

    periods as (
        select tenant, period, period + ('1 ' || %(grain)s::text)::interval as behind from changed group by 1, 2
    ),

    totals as (
        select s.tenant, s.period, v.measure, v.total
        from (
            select w.tenant, w.period, {sums}
            from periods as w
            inner join {table} as r on r.tenant = w.tenant and r.minute >= w.period and r.minute < w.behind {of_type}
            group by w.tenant, w.period
        ) as s
        cross join lateral (values {named}) as v (measure, total)
    )

    select
        c.tenant,
        c.period,
        c.measure,
        case when c.difference is not null then coalesce(t.total, 0) end,
        coalesce(t.total, 0) + c.difference,
        c.differing,
        count(*) over ()
    from changed as c
    left join totals as t on t.tenant = c.tenant and t.period = c.period and t.measure = c.measure
    order by 2, 1, 3
    limit %(most)s
"""
