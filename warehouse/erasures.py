"""``ledger.erasures``: who asked to be forgotten, by keyed hash, and what has to be counted anew because of it."""

import uuid
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import LiteralString

import psycopg
from psycopg.rows import class_row

from warehouse import rejects
from warehouse.reprocess_runs import KEEPING

REJECTED = "rejected_events"
"""The ``type`` of touches that are hours of receipt of rejected events."""


class ErasureAtWork(Exception):
    """Another erasure, or a maintenance of the lake, is at work."""


class ReprocessingAtWork(Exception):
    """A reprocessing that may have read the lake as it was did not end in time; the message says which, and the way."""


@dataclass(frozen=True)
class Erasure:
    """One row; an instant that is None has not come."""

    erasure_id: uuid.UUID
    tenant: str
    subject: str
    subject_hash: str
    by_whom: str
    asked_at: datetime
    suppressed_at: datetime | None
    lake_at: datetime | None
    gone_at: datetime | None
    events: int
    rejections: int


@contextmanager
def alone(connection: psycopg.Connection) -> Iterator[None]:
    """Be the only erasure, and keep the lake's maintenance waiting; ``connection`` must be in autocommit mode.

    :raises ErasureAtWork: another has the lock.
    """
    row = connection.execute("select pg_try_advisory_lock(hashtextextended('maintain', 0))").fetchone()
    if not row or not row[0]:
        raise ErasureAtWork("another erasure or a maintenance of the lake is at work: ask again when it is through")
    try:
        yield
    finally:
        if not connection.closed:
            connection.execute("select pg_advisory_unlock(hashtextextended('maintain', 0))")


def begin(connection: psycopg.Connection, tenant: str, subject: str, subject_hash: str, by: str) -> Erasure:
    """The erasure of this person, which is begun again where it was asked for before."""
    connection.execute(
        """
        insert into ledger.erasures as e (erasure_id, tenant, subject, subject_hash, by_whom)
        values (%s, %s, %s, %s, %s)
        on conflict (tenant, subject, subject_hash) do update set lake_at = null, gone_at = null
        """,
        (uuid.uuid4(), tenant, subject, subject_hash, by),
    )
    with connection.cursor(row_factory=class_row(Erasure)) as cursor:
        found = cursor.execute(
            "select * from ledger.erasures where tenant = %s and subject = %s and subject_hash = %s",
            (tenant, subject, subject_hash),
        ).fetchone()
    assert found is not None  # noqa: S101 - it was just written
    return found


def erasures(connection: psycopg.Connection, *, unfinished: bool = False) -> list[Erasure]:
    """All of them, or those of which something is left; oldest first."""
    with connection.cursor(row_factory=class_row(Erasure)) as cursor:
        return cursor.execute(
            "select * from ledger.erasures where gone_at is null or not %s order by asked_at", (unfinished,)
        ).fetchall()


def suppressed(connection: psycopg.Connection, erasure_id: uuid.UUID) -> None:
    """From now on nothing of theirs lands."""
    connection.execute(
        "update ledger.erasures set suppressed_at = coalesce(suppressed_at, now()) where erasure_id = %s", (erasure_id,)
    )


def note(
    connection: psycopg.Connection,
    erasure_id: uuid.UUID,
    type_: str,
    touches: Collection[tuple[str, datetime]],
    rows: Mapping[str, int],
) -> None:
    """Write down what has to be counted anew once the lake is changed, and the files it is in. To be called before.

    ``rows``: how many of theirs are in which file. Of a file that is noted again it is as many.
    """
    with connection.transaction():
        connection.execute(
            """
            insert into ledger.erasure_touches (erasure_id, type, tenant, minute)
            select %s, %s, n.tenant, n.minute from unnest(%s::text[], %s::timestamptz[]) as n (tenant, minute)
            on conflict do nothing
            """,
            (erasure_id, type_, [tenant for tenant, _ in touches], [minute for _, minute in touches]),
        )
        connection.execute(
            """
            insert into ledger.erasure_files (erasure_id, type, path, rows)
            select %s, %s, f.path, f.rows from unnest(%s::text[], %s::bigint[]) as f (path, rows)
            on conflict (erasure_id, path) do update set rows = excluded.rows
            """,
            (erasure_id, type_, list(rows), list(rows.values())),
        )


def withdraw(connection: psycopg.Connection, erasure_id: uuid.UUID, paths: Collection[str]) -> None:
    """Forget of files that others had replaced before how many rows were in them: they are in others, and noted there.

    What is to be counted anew stays noted.
    """
    connection.execute(
        "delete from ledger.erasure_files where erasure_id = %s and path = any(%s)", (erasure_id, list(paths))
    )


def touch(connection: psycopg.Connection, erasure_id: uuid.UUID, wait: timedelta) -> tuple[int, int]:
    """Have everything that was noted counted anew, in one transaction; to be called after the lake's commits.

    What reprocessings keep of those minutes goes, with the keyed hashes in it: no undo puts them back. A reprocessing
    that computes at this moment is waited for, as it may have read the lake as it was: a piece of it, and not longer
    than ``wait``.

    Gives how many minutes that is, and how many more lie below the lake's floor, where nothing is recomputed.

    :raises ReprocessingAtWork: it did not end; nothing is touched, and what was noted stays noted.
    """
    with connection.transaction():
        _wait_for_what_is_kept(connection, wait)
        for kept in (_ROWS_KEPT, _MINUTES_KEPT):
            connection.execute(kept, (erasure_id,))
        below = connection.execute(
            """
            delete from ledger.erasure_touches as n using ledger.lake_floor as f
            where n.erasure_id = %s and f.type = n.type and n.minute < f.floor
            """,
            (erasure_id,),
        ).rowcount
        minutes = connection.execute(
            """
            insert into ledger.touched (type, tenant, minute, cause, received_from)
            select n.type, n.tenant, n.minute, 'erasure', now()
            from ledger.erasure_touches as n
            where n.erasure_id = %s and n.type <> %s
            order by n.type, n.tenant, n.minute
            on conflict (type, tenant, minute) do update set
                change_id = excluded.change_id, cause = excluded.cause, touched_at = now()
            """,
            (erasure_id, REJECTED),
        ).rowcount
        hours = connection.execute(
            "select minute from ledger.erasure_touches where erasure_id = %s and type = %s", (erasure_id, REJECTED)
        ).fetchall()
        rejects.touch(connection, [hour for (hour,) in hours])
        connection.execute("delete from ledger.erasure_touches where erasure_id = %s", (erasure_id,))
    return minutes, below


def _wait_for_what_is_kept(connection: psycopg.Connection, wait: timedelta) -> None:
    milliseconds = max(1, round(wait.total_seconds() * 1000))  # 0 would be for ever
    try:
        with connection.transaction():  # a savepoint: who holds the lock can still be asked for
            connection.execute("select set_config('lock_timeout', %s, true)", (str(milliseconds),))
            connection.execute("select pg_advisory_xact_lock(hashtextextended(%s, 0))", (KEEPING,))
            connection.execute("select set_config('lock_timeout', '0', true)")
    except psycopg.errors.LockNotAvailable as error:
        holders = connection.execute(_HOLDERS, (KEEPING,)).fetchall()
        said = ", ".join(f"process {pid} of Postgres, role {role}" for pid, role in holders)
        raise ReprocessingAtWork(
            f"a reprocessing computes what somebody forgotten may be in, and did not end within {wait}:"
            f" {said or 'it has just ended'}. Their events are tombstones already; what is left is to have them counted"
            " anew. `watershed reprocess --list` says how far it is: ask again when it is through, or stop it, and"
            " run it again later, where it goes on. If nothing runs there, `select pg_terminate_backend(<process>)`"
        ) from error


_HOLDERS: LiteralString = """
    select l.pid, coalesce(a.usename, '?')
    from pg_locks as l
    left join pg_stat_activity as a on l.pid = a.pid
    where
        l.locktype = 'advisory' and l.granted and l.objsubid = 1 and l.pid <> pg_backend_pid()
        and l.database = (select oid from pg_database where datname = current_database())
        and (l.classid::bigint << 32 | l.objid::bigint) = hashtextextended(%s, 0)
    order by l.pid
"""
_ROWS_KEPT: LiteralString = """
    delete from ledger.reprocess_rows as k using ledger.erasure_touches as n
    where n.erasure_id = %s and k.type = n.type and k.tenant = n.tenant and k.minute = n.minute
"""
_MINUTES_KEPT: LiteralString = """
    delete from ledger.reprocess_minutes as k using ledger.erasure_touches as n
    where n.erasure_id = %s and k.type = n.type and k.tenant = n.tenant and k.minute = n.minute
"""


def done(connection: psycopg.Connection, erasure_id: uuid.UUID, newest: datetime, *, through: bool) -> Erasure:
    """The newest snapshots have them no more; not ``through``: but for files that are missing.

    ``newest``: the time of the newest of these snapshots, by the clock of whoever made it, which may be ahead: what is
    expired is decided by such times. What was noted of files is counted, of runs too that were cut short; gives the
    erasure as it is then.
    """
    with connection.transaction(), connection.cursor(row_factory=class_row(Erasure)) as cursor:
        found = cursor.execute(
            """
            update ledger.erasures as e
            set
                lake_at = case when %(through)s then greatest(now(), %(newest)s) end,
                events = e.events + f.events,
                rejections = e.rejections + f.rejections
            from (
                select
                    coalesce(sum(rows) filter (where type <> %(rejected)s), 0) as events,
                    coalesce(sum(rows) filter (where type = %(rejected)s), 0) as rejections
                from ledger.erasure_files where erasure_id = %(id)s
            ) as f
            where e.erasure_id = %(id)s
            returning e.*
            """,
            {"through": through, "newest": newest, "rejected": REJECTED, "id": erasure_id},
        ).fetchone()
        cursor.execute("delete from ledger.erasure_files where erasure_id = %s", (erasure_id,))
    assert found is not None  # noqa: S101 - it was begun
    return found


def gone(connection: psycopg.Connection, before: datetime) -> list[Erasure]:
    """Note that of everybody whose erasure was through with the lake before ``before``, nothing is left in it."""
    with connection.cursor(row_factory=class_row(Erasure)) as cursor:
        return cursor.execute(
            "update ledger.erasures set gone_at = now() where gone_at is null and lake_at < %s returning *", (before,)
        ).fetchall()
