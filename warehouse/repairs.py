"""``ledger.repairs``: which rejected event was sent again as which event, noted before it is sent.

So whatever breaks between the note and the answer, the next run sends the very same event again, which counts once; and
what was answered is never sent again.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

import psycopg
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

_REPAIR: LiteralString = """
select reject_id, run_id, tenant, type, event_id, occurred_at, received_at, sent_at, refused, loaded_at
from ledger.repairs
"""


class RepairAtWork(Exception):
    """Another repair is at work."""


@dataclass(frozen=True)
class Repair:
    """One rejection and the event that it became. ``sent_at`` None: whether the collector has it is not known."""

    reject_id: str
    run_id: UUID
    tenant: str
    type: str
    event_id: str
    occurred_at: datetime
    received_at: datetime
    sent_at: datetime | None = None
    refused: Any = None
    loaded_at: datetime | None = None


@dataclass(frozen=True)
class RepairRun:
    """One run: which rejections were ``chosen``, and the patch (None: only judged anew)."""

    run_id: UUID
    by_whom: str
    chosen: Mapping[str, Any]
    patch: Sequence[Mapping[str, Any]] | None
    at_receipt: bool
    started_at: datetime | None = None
    finished_at: datetime | None = None


@contextmanager
def only_repair(connection: psycopg.Connection) -> Iterator[None]:
    """Be the only repair there is. The lock is the connection's, which must be in autocommit mode.

    :raises RepairAtWork: another one has it.
    """
    row = connection.execute("select pg_try_advisory_lock(hashtextextended('repair', 0))").fetchone()
    if row is None or not row[0]:
        raise RepairAtWork("another repair is at work; wait for it")
    try:
        yield
    finally:
        if not connection.closed:
            connection.execute("select pg_advisory_unlock(hashtextextended('repair', 0))")


def begin(connection: psycopg.Connection, run: RepairRun) -> None:
    """Write down that a run begins."""
    patch = None if run.patch is None else Jsonb(list(run.patch))
    connection.execute(
        "insert into ledger.repair_runs (run_id, by_whom, chosen, patch, at_receipt) values (%s, %s, %s, %s, %s)",
        (run.run_id, run.by_whom, Jsonb(dict(run.chosen)), patch, run.at_receipt),
    )


def finish(connection: psycopg.Connection, run_id: UUID, result: Mapping[str, Any]) -> None:
    """Write down that a run reached its end, with its numbers."""
    connection.execute(
        "update ledger.repair_runs set finished_at = now(), result = %s where run_id = %s",
        (Jsonb(dict(result)), run_id),
    )


def note(connection: psycopg.Connection, repairs: Iterable[Repair]) -> None:
    """Note what is about to be sent, all of it or nothing.

    :raises psycopg.errors.UniqueViolation: one is noted already; nobody but :func:`only_repair` notes any.
    """
    with connection.transaction(), connection.cursor() as cursor:
        cursor.executemany(
            """
            insert into ledger.repairs (reject_id, run_id, tenant, type, event_id, occurred_at, received_at)
            values (%s, %s, %s, %s, %s, %s, %s)
            """,
            [(r.reject_id, r.run_id, r.tenant, r.type, r.event_id, r.occurred_at, r.received_at) for r in repairs],
        )


def answered(connection: psycopg.Connection, accepted: Sequence[str], refused: Mapping[str, Any]) -> None:
    """Write down the collector's answers: to rejections that it took, and to those it did not, with its reasons."""
    with connection.transaction():
        connection.execute("update ledger.repairs set sent_at = now() where reject_id = any(%s)", (list(accepted),))
        with connection.cursor() as cursor:
            cursor.executemany(
                "update ledger.repairs set sent_at = now(), refused = %s where reject_id = %s",
                [(Jsonb(reasons), reject_id) for reject_id, reasons in refused.items()],
            )


def withdraw(connection: psycopg.Connection, reject_ids: Sequence[str]) -> None:
    """Forget notes of what the collector refused at the first attempt, and so has in no form: it may be mended anew."""
    connection.execute("delete from ledger.repairs where reject_id = any(%s)", (list(reject_ids),))


def repaired(connection: psycopg.Connection, reject_ids: Collection[str]) -> frozenset[str]:
    """Which of these are noted, whatever came of it."""
    rows = connection.execute("select reject_id from ledger.repairs where reject_id = any(%s)", (list(reject_ids),))
    return frozenset(row[0] for row in rows)


def of_reject(connection: psycopg.Connection, reject_id: str) -> tuple[Repair, RepairRun] | None:
    """What a rejection became, and in which run; None: it was not repaired."""
    with connection.cursor(row_factory=class_row(Repair)) as cursor:
        found = cursor.execute(_REPAIR + "where reject_id = %s", (reject_id,)).fetchone()
    return None if found is None else (found, run_of(connection, found.run_id))


def run_of(connection: psycopg.Connection, run_id: UUID) -> RepairRun:
    """A run by its id.

    :raises LookupError: there is none.
    """
    with connection.cursor(row_factory=class_row(RepairRun)) as cursor:
        found = cursor.execute(
            """
            select run_id, by_whom, chosen, patch, at_receipt, started_at, finished_at
            from ledger.repair_runs where run_id = %s
            """,
            (run_id,),
        ).fetchone()
    if found is None:
        raise LookupError(f"there is no repair run {run_id}")
    return found


def unanswered(connection: psycopg.Connection) -> list[Repair]:
    """What was noted and has no answer: its run was cut short. Oldest first."""
    with connection.cursor(row_factory=class_row(Repair)) as cursor:
        return cursor.execute(_REPAIR + "where sent_at is null order by noted_at, reject_id").fetchall()


def awaited(connection: psycopg.Connection, type_: str) -> frozenset[tuple[str, str]]:
    """Tenant and event_id of the type's repaired events that no load has met yet."""
    rows = connection.execute(
        "select tenant, event_id from ledger.repairs where type = %s and loaded_at is null and refused is null",
        (type_,),
    )
    return frozenset(rows.fetchall())


def met(connection: psycopg.Connection, type_: str, events: Collection[tuple[str, str]]) -> None:
    """Write down that a load has met these (tenant, event_id) in the lake."""
    connection.execute(
        """
        update ledger.repairs as r set loaded_at = now()
        from unnest(%s::text[], %s::text[]) as m (tenant, event_id)
        where r.type = %s and r.tenant = m.tenant and r.event_id = m.event_id and r.loaded_at is null
        """,
        ([tenant for tenant, _ in events], [event_id for _, event_id in events], type_),
    )
