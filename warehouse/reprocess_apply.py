"""Put what a reprocessing found into rollups and books: one transaction for all its types, between two build runs.

A reader of the marts sees what publications publish, and those what a build run claimed. So nothing shows between old
and new if all of it becomes visible at once (one transaction) and no run claims before and builds after (the wait). A
minute that a load recomputed since it was compared is newer than what was found, and stays as it is.
"""

import time
from collections.abc import Collection, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import LiteralString
from uuid import UUID

import psycopg
from psycopg import sql

from contracts.model import Contract
from warehouse.causes import CAUSES, REPROCESS
from warehouse.load_state import type_lock
from warehouse.reprocess_judge import judge, outcomes, spans_of
from warehouse.reprocess_runs import finish
from warehouse.unpublished import CHANGED_AGAIN

_LOOK_AGAIN_SECONDS = 0.2


class BuildAtWork(Exception):
    """A build run holds its claim for longer than we could wait; nothing was changed, and what was found is kept."""


@dataclass(frozen=True)
class Patience:
    """How long locks and build runs are waited for. ``supersede``: after that, take the claim of a run away."""

    seconds: float
    supersede: bool = False


def apply(
    connection: psycopg.Connection, run_id: UUID, contracts: Collection[Contract], patience: Patience
) -> Mapping[str, int]:
    """Replace the minutes that ``run_id`` found to differ; gives minutes by outcome. The run is then done.

    ``connection`` must be in autocommit mode.

    :raises Busy: a load kept a type for too long.
    :raises BuildAtWork: a build run kept its claim for too long.
    """
    found = spans_of(connection, run_id)
    concerned = sorted((c for c in contracts if c.type in found), key=lambda c: c.type)
    if concerned:
        with _Between(connection, patience) as gate:
            gate.wait()  # for the most part here, where no load has to wait too
    with ExitStack() as held:
        for contract in concerned:  # in one order, and a load waits for no type while it has another: no deadlock
            held.enter_context(type_lock(connection, contract.type, patience.seconds))
            # First and by itself: a partition needs a lock on the table, which is not to be held while we write.
            months = (contract.rollup_table, found[contract.type].months)
            connection.execute("select rollups.ensure_months(%s, %s::date[])", months)
        gate = held.enter_context(_Between(connection, patience))
        with connection.transaction():
            for contract in concerned:
                given = found[contract.type].bounds(run_id, contract)
                judge(connection, contract, given)  # under the type's lock, so that it stays true
                _replace(connection, contract, given)
            if concerned:
                gate.wait()
                _mark(connection, run_id)
            finish(connection, run_id, "done")
    return outcomes(connection, run_id)


def _replace(connection: psycopg.Connection, contract: Contract, given: Mapping[str, object]) -> None:
    rollup, cells = sql.Identifier("rollups", contract.rollup_table), sql.Identifier("ledger", "cells")
    for part, table, of_type in (("rollup", rollup, sql.SQL("")), ("cells", cells, sql.SQL("and r.type = m.type"))):
        connection.execute(sql.SQL(_REMOVE).format(table=table, of_type=of_type), given)
        connection.execute(sql.SQL(_PUT).format(table=table), {**given, "part": part})


_REMOVE: LiteralString = """
    delete from {table} as r
    using ledger.reprocess_minutes as m
    where
        m.run_id = %(run_id)s and m.type = %(type)s and m.outcome = 'replaced'
        and r.tenant = m.tenant and r.minute = m.minute {of_type}
        and r.minute between %(oldest)s and %(newest)s
"""
_PUT: LiteralString = """
    insert into {table}
    select p.*
    from ledger.reprocess_minutes as m
    inner join ledger.reprocess_rows as k
        on k.run_id = m.run_id and k.type = m.type and k.tenant = m.tenant and k.minute = m.minute
    cross join lateral jsonb_populate_record(null::{table}, k.content) as p
    where
        m.run_id = %(run_id)s and m.type = %(type)s and m.outcome = 'replaced'
        and k.part = %(part)s and k.side = 'new'
"""


def _mark(connection: psycopg.Connection, run_id: UUID) -> None:
    """Leave the hours for publication, and the hours of receipt for the books.

    Nothing new was received, so completeness is not put back: hence ``loaded_through`` as the time of receipt.
    """
    connection.execute(
        """
        insert into ledger.unpublished as u (type, tenant, hour, cause, received_from, reprocessed_by)
        select h.type, h.tenant, h.hour, %(cause)s, coalesce(c.loaded_through, now()), %(run_id)s
        from (
            select distinct type, tenant, date_trunc('hour', minute, 'UTC') as hour
            from ledger.reprocess_minutes
            where run_id = %(run_id)s and outcome = 'replaced'
        ) as h
        left join ledger.cursors as c on c.type = h.type
        order by h.type, h.tenant, h.hour
        """  # noqa: S608 - our own words
        + CHANGED_AGAIN,
        {"cause": REPROCESS, "run_id": run_id, "gravity": list(CAUSES)},
    )
    # Else the books of an hour that balances would be those of before until every hour is balanced anew, once a day.
    connection.execute(
        """
        insert into ledger.books_touched (received_hour)
        select distinct (k.content ->> 'received_hour')::timestamptz as received_hour
        from ledger.reprocess_minutes as m
        inner join ledger.reprocess_rows as k using (run_id, type, tenant, minute)
        where m.run_id = %s and m.outcome = 'replaced' and k.part = 'cells'
        order by received_hour
        on conflict (received_hour) do update set touched_at = now()
        """,
        (run_id,),
    )


class _Between:
    """Waits until no build run is between its claim and its publication, and keeps the next from claiming until left.

    The locks are those of ``warehouse/publication_lock.py``, in its order, but the session's and only tried: a
    transaction that waits for a lock in vain is lost, and with it all that was replaced.
    """

    def __init__(self, connection: psycopg.Connection, patience: Patience) -> None:
        self._connection, self._patience = connection, patience
        self._held: list[str] = []

    def __enter__(self) -> "_Between":
        return self

    def __exit__(self, *_: object) -> None:
        if not self._connection.closed:
            self._release()

    def wait(self) -> None:
        """Return when it is so.

        :raises BuildAtWork: it did not become so in time.
        """
        deadline = time.monotonic() + self._patience.seconds
        while True:
            late = time.monotonic() >= deadline
            why = self._why_not(supersede=late and self._patience.supersede)
            if why is None:
                return
            self._release()
            if late:
                raise BuildAtWork(
                    f"{why}: nothing is replaced. What was found is kept: ask for the same again when the run is over,"
                    " or with --supersede take its claim away (the next run builds all of it)"
                )
            time.sleep(_LOOK_AGAIN_SECONDS)

    def _why_not(self, *, supersede: bool) -> str | None:
        if not self._try("publish"):
            return "a claim or a publication is running"
        run = self._connection.execute(
            f"select u.claimed_by::text, min(u.claimed_at)::text {_CLAIMED} group by 1"
        ).fetchone()
        if run is not None and not supersede:
            return f"build run {run[0]} claimed hours at {run[1]} and has not published them"
        # Not before: a build that finds the lock taken does not wait for it, and one comes only after a claim.
        if not self._try("marts_build"):
            return "a build is running"
        if run is not None:
            self._take_claims()
        return None

    def _try(self, name: str) -> bool:
        row = self._connection.execute("select pg_try_advisory_lock(hashtextextended(%s, 0))", (name,)).fetchone()
        got = bool(row and row[0])
        if got:
            self._held.append(name)
        return got

    def _take_claims(self) -> None:
        self._connection.execute(
            f"""
            update ledger.unpublished set
                claimed_by = null, claimed_change_id = null, claimed_at = null, claimed_complete_through = null
            where (type, tenant, hour) in (select u.type, u.tenant, u.hour {_CLAIMED})
            """  # noqa: S608 - our own words
        )

    def _release(self) -> None:
        while self._held:
            self._connection.execute("select pg_advisory_unlock(hashtextextended(%s, 0))", (self._held.pop(),))


_CLAIMED: LiteralString = """
    from ledger.unpublished as u
    where
        u.claimed_by is not null
        and not exists (
            select from ledger.publications as p
            where p.run_id = u.claimed_by and p.published_at >= coalesce(u.claimed_at, '-infinity')
        )
"""
"""A run that has published keeps the claim of the tenants that a gate held: it is over all the same."""
