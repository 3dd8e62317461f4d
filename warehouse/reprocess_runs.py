"""``ledger.reprocesses``: runs of ``watershed reprocess``, each to be taken up again where it was left."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID, uuid4

import psycopg

Kind = Literal["dry run", "apply", "undo"]

KEEPING = "reprocess keeping"
"""Name of the lock that is shared by transactions which write ``ledger.reprocess_rows``."""

GOES_ON = timedelta(days=1)
"""After so long a run that was cut short while it compared begins anew."""


class AlreadyAtWork(Exception):
    """Another reprocessing runs; two would put the same in place, and two dry runs take up the same run."""


@dataclass(frozen=True)
class Asked:
    """What is to be compared: whole minutes of ``start`` to before ``end``, of ``types``, of one tenant or of all.

    ``code`` stands for the contracts and the code that compute.
    """

    kind: Kind
    start: datetime
    end: datetime
    types: tuple[str, ...]
    tenant: str | None
    code: str
    undoes: UUID | None = None


@dataclass(frozen=True)
class Run:
    """A run: what was asked, and whether an earlier call had begun it."""

    run_id: UUID
    asked: Asked
    state: str
    resumed: bool


@dataclass(frozen=True)
class Progress:
    """How far a run is with one type, and what it left out."""

    compared_through: datetime
    events: int = 0
    minutes_compared: int = 0
    minutes_waiting: int = 0
    minutes_quarantined: int = 0
    minutes_below_floor: int = 0


@contextmanager
def alone(connection: psycopg.Connection, *, dry_run: bool = False) -> Iterator[None]:
    """Be the only reprocessing that changes anything, or the only dry run: each night's looks beside a month's work.

    The lock is the connection's, which must be in autocommit mode.

    :raises AlreadyAtWork: there is another.
    """
    name = "reprocess dry run" if dry_run else "reprocess"
    row = connection.execute("select pg_try_advisory_lock(hashtextextended(%s, 0))", (name,)).fetchone()
    if row is None or not row[0]:
        what = "`watershed reprocess --dry-run`" if dry_run else "`watershed reprocess`"
        raise AlreadyAtWork(f"another {what} is at work; `watershed reprocess --list` says how far it is")
    try:
        yield
    finally:
        if not connection.closed:
            connection.execute("select pg_advisory_unlock(hashtextextended(%s, 0))", (name,))


@contextmanager
def keeping(connection: psycopg.Connection) -> Iterator[None]:
    """Compute or copy rows that a run keeps; to be entered before the transaction that does it.

    An erasure that takes somebody's hashes out of what is kept (``warehouse/erasures.py``) waits for the end of it, and
    what begins after it sees neither the lake nor the rollups of before. The lock is the connection's, as above.
    """
    connection.execute("select pg_advisory_lock_shared(hashtextextended(%s, 0))", (KEEPING,))
    try:
        yield
    finally:
        if not connection.closed:
            connection.execute("select pg_advisory_unlock_shared(hashtextextended(%s, 0))", (KEEPING,))


def begin(connection: psycopg.Connection, asked: Asked) -> Run:
    """The newest run of the same that is not done, or a new one. To be called by who is alone.

    What was begun with other code is given up: half of its findings would be another program's. So is what is still
    comparing and was begun longer than :data:`GOES_ON` ago: what has changed since in what it had compared, it does
    not see.
    """
    found = connection.execute(
        """
        select run_id, state, code, state = 'comparing' and started_at < now() - %(goes_on)s as is_old
        from ledger.reprocesses
        where
            state in ('comparing', 'compared') and kind = %(kind)s and range_from = %(start)s and range_to = %(end)s
            and types = %(types)s::text[] and tenant is not distinct from %(tenant)s::text
            and undoes is not distinct from %(undoes)s::uuid
        order by started_at desc
        """,
        {**_parameters(asked), "goes_on": GOES_ON},
    ).fetchall()
    for run_id, state, code, is_old in found:
        if code == asked.code and not is_old:
            return Run(run_id, asked, state, resumed=True)
        finish(connection, run_id, "given up")
    run_id = uuid4()
    connection.execute(
        """
        insert into ledger.reprocesses (run_id, kind, range_from, range_to, types, tenant, undoes, code, state)
        values (
            %(run_id)s, %(kind)s, %(start)s, %(end)s, %(types)s::text[], %(tenant)s, %(undoes)s, %(code)s, 'comparing'
        )
        """,
        {**_parameters(asked), "run_id": run_id},
    )
    return Run(run_id, asked, "comparing", resumed=False)


def _parameters(asked: Asked) -> dict[str, object]:
    return {**vars(asked), "types": list(asked.types)}


def read(connection: psycopg.Connection, run_id: UUID) -> Run | None:
    """One run, as it was asked for; None: there is none of this id, or it was forgotten."""
    row = connection.execute(
        """
        select kind, range_from, range_to, types, tenant, code, undoes, state
        from ledger.reprocesses
        where run_id = %s
        """,
        (run_id,),
    ).fetchone()
    if row is None:
        return None
    kind, start, end, types, tenant, code, undoes, state = row
    return Run(run_id, Asked(kind, start, end, tuple(types), tenant, code, undoes), state, resumed=True)


def progress(connection: psycopg.Connection, run_id: UUID, type_: str) -> Progress | None:
    """How far the run is with the type; None: it has not begun."""
    row = connection.execute(
        """
        select
            compared_through, events, minutes_compared, minutes_waiting, minutes_quarantined, minutes_below_floor
        from ledger.reprocess_types
        where run_id = %s and type = %s
        """,
        (run_id, type_),
    ).fetchone()
    return None if row is None else Progress(*row)


def note(connection: psycopg.Connection, run_id: UUID, type_: str, done: Progress) -> None:
    """Write ``done``, in the transaction that keeps what was found."""
    connection.execute(
        """
        insert into ledger.reprocess_types (
            run_id, type, compared_through, events, minutes_compared, minutes_waiting, minutes_quarantined,
            minutes_below_floor
        )
        values (
            %(run_id)s, %(type)s, %(compared_through)s, %(events)s, %(minutes_compared)s, %(minutes_waiting)s,
            %(minutes_quarantined)s, %(minutes_below_floor)s
        )
        on conflict (run_id, type) do update set
            compared_through = excluded.compared_through,
            events = excluded.events,
            minutes_compared = excluded.minutes_compared,
            minutes_waiting = excluded.minutes_waiting,
            minutes_quarantined = excluded.minutes_quarantined,
            minutes_below_floor = excluded.minutes_below_floor
        """,
        {**vars(done), "run_id": run_id, "type": type_},
    )
    connection.execute("update ledger.reprocesses set updated_at = now() where run_id = %s", (run_id,))


def finish(connection: psycopg.Connection, run_id: UUID, state: Literal["compared", "done", "given up"]) -> None:
    """Say how the run stands. Of a run that is given up, and of a dry run that is done, no rows are kept."""
    connection.execute(
        """
        update ledger.reprocesses
        set state = %(state)s, updated_at = now(), finished_at = case when %(state)s <> 'compared' then now() end
        where run_id = %(run_id)s
        """,
        {"state": state, "run_id": run_id},
    )
    for table in ("reprocess_rows", "reprocess_minutes"):
        connection.execute(
            f"delete from ledger.{table} as d using ledger.reprocesses as r"  # noqa: S608 - our own names
            " where d.run_id = %(run_id)s and r.run_id = d.run_id"
            " and (r.state = 'given up' or (r.state = 'done' and r.kind = 'dry run'))".encode(),
            {"run_id": run_id},
        )


def forget(connection: psycopg.Connection, keep: timedelta, *, dry_run: bool = False) -> int:
    """Forget the runs that ended, or were last worked at, longer ago than ``keep``; gives how many."""
    old = "from ledger.reprocesses where coalesce(finished_at, updated_at) < now() - %s::interval"
    if dry_run:
        row = connection.execute(f"select count(*) {old}".encode(), (keep,)).fetchone()
        return int(row[0]) if row else 0
    return connection.execute(f"delete {old}".encode(), (keep,)).rowcount


def listed(connection: psycopg.Connection, most: int = 20) -> Sequence[dict[str, object]]:
    """The newest runs with what they found and changed, for who looks."""
    rows = connection.execute(
        """
        select
            r.run_id::text, r.kind, r.state, r.range_from, r.range_to, r.types, r.tenant, r.undoes::text, r.started_at,
            r.updated_at, (select min(t.compared_through) from ledger.reprocess_types as t where t.run_id = r.run_id),
            (select count(*) from ledger.reprocess_minutes as m where m.run_id = r.run_id),
            (select count(*) from ledger.reprocess_minutes as m where m.run_id = r.run_id and m.outcome = 'replaced')
        from ledger.reprocesses as r
        order by r.started_at desc
        limit %s
        """,
        (most,),
    ).fetchall()
    names = (
        "run_id", "kind", "state", "from", "to", "types", "tenant", "undoes", "started_at", "updated_at",
        "compared_through", "differing", "replaced",
    )  # fmt: skip
    return [
        {k: v.isoformat() if isinstance(v, datetime) else v for k, v in zip(names, row, strict=True)} for row in rows
    ]
