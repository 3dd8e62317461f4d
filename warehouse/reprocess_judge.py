"""What is to become of each minute that a reprocessing found to differ, judged by how rollups and books are now."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import LiteralString
from uuid import UUID

import psycopg
from psycopg import sql

from contracts.model import Contract
from warehouse.held import NOT_TO_BE_COMPUTED
from warehouse.minute_state import states

REPLACED = "replaced"


@dataclass(frozen=True)
class FoundSpan:
    """Where the minutes of one type lie: the first days of their months, the oldest and the newest."""

    months: Sequence[date]
    oldest: datetime
    newest: datetime

    def bounds(self, run_id: UUID, contract: Contract) -> Mapping[str, object]:
        """Parameters of a query; with the bounds only the partitions of these months are looked at."""
        return {"run_id": run_id, "type": contract.type, "oldest": self.oldest, "newest": self.newest}


def spans_of(connection: psycopg.Connection, run_id: UUID) -> Mapping[str, FoundSpan]:
    """Where what ``run_id`` found lies, by type; a type of which it found nothing is not in it."""
    rows = connection.execute(
        """
        select type, array_agg(distinct date_trunc('month', minute, 'UTC')::date), min(minute), max(minute)
        from ledger.reprocess_minutes
        where run_id = %s
        group by type
        """,
        (run_id,),
    ).fetchall()
    return {type_: FoundSpan(*rest) for type_, *rest in rows}


def judge_all(connection: psycopg.Connection, run_id: UUID, contracts: Collection[Contract]) -> Mapping[str, int]:
    """Say of each minute that was found what would become of it now; gives minutes by outcome."""
    found = spans_of(connection, run_id)
    for contract in contracts:
        if contract.type in found:
            judge(connection, contract, found[contract.type].bounds(run_id, contract))
    return outcomes(connection, run_id)


def outcomes(connection: psycopg.Connection, run_id: UUID) -> Mapping[str, int]:
    """Minutes by outcome, of a run that is judged."""
    rows = connection.execute(
        "select outcome, count(*) from ledger.reprocess_minutes where run_id = %s group by outcome", (run_id,)
    ).fetchall()
    return dict(rows)


def judge(connection: psycopg.Connection, contract: Contract, given: Mapping[str, object]) -> None:
    """Say of each minute of a type what becomes of it, ``given`` its :meth:`FoundSpan.bounds`."""
    connection.execute(
        sql.SQL(_JUDGE).format(
            now=states(sql.Identifier("rollups", contract.rollup_table), sql.Identifier("ledger", "cells"), _FOUND),
            waiting=sql.SQL(NOT_TO_BE_COMPUTED).format(m=sql.Identifier("m")),
        ),
        given,
    )


_FOUND = sql.SQL("""
    inner join ledger.reprocess_minutes as f
        on f.run_id = %(run_id)s and f.type = %(type)s and f.tenant = r.tenant and f.minute = r.minute
    where r.minute between %(oldest)s and %(newest)s
""")
_JUDGE: LiteralString = """
    update ledger.reprocess_minutes as m
    set
        outcome = case
            when m.minute < (select floor from ledger.lake_floor where type = %(type)s) then 'below the floor'
            when {waiting} then 'waiting'
            when s.state is distinct from m.was then 'newer'
            else 'replaced'
        end
    from (
        select f.tenant, f.minute, n.state
        from ledger.reprocess_minutes as f
        left join ({now}) as n using (tenant, minute)
        where f.run_id = %(run_id)s and f.type = %(type)s
    ) as s
    where m.run_id = %(run_id)s and m.type = %(type)s and m.tenant = s.tenant and m.minute = s.minute
"""
