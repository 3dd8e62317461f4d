"""The lander's side of Postgres: who lands which table, and what the ledger is told."""

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg import sql

from collector.land_asking import Asking
from runtime import log

PATIENCE = 5.0
"""Seconds for an answer. Kept busy by heartbeats, a session that hangs is so said to within 10 s; a network that only
swallows packets is noticed by the connection itself later than that, and a server that is stopped never."""
_PAUSE = 2.0
"""Seconds after a failed connection in which no other is tried, so that a dozen threads do not wait in turn."""
_log = log.get(__name__)


class DatabaseAway(Exception):
    """Postgres cannot be reached, went away (every lock held through it is gone), or has no ledger yet."""


@dataclass(frozen=True)
class Landed:
    """How far a type is in the lake: the row of ``ledger.landed``."""

    type: str
    land_seq: int
    through: datetime


class Database:
    """One session, shared by the threads: its advisory locks say which tables this process lands.

    The server ends the session after ``lock_seconds`` without a question (``idle_session_timeout``). That is what
    takes the locks from a process which is stopped or cut off, whose connection would otherwise hold them for ever.
    Locks only choose who works: that nothing lands twice is the commit's own doing.
    """

    def __init__(self, dsn: str, lock_seconds: float) -> None:
        self._dsn, self._lock_seconds = dsn, lock_seconds
        self._mutex = threading.RLock()
        self._connection: psycopg.Connection[Any] | None = None
        self._refused_at = float("-inf")
        self._refusal = ""
        self.session = 0
        """Grows with every new connection: a lock taken in an earlier session is gone."""
        self._asking = Asking("Postgres", PATIENCE)

    @property
    def trouble(self) -> str | None:
        """Why the server is not to be counted on now, though nobody was refused."""
        return self._asking.too_long

    def try_lock(self, table: str) -> int | None:
        """Take the lock of ``table`` if it is free; gives the session that holds it.

        :raises DatabaseAway: no connection.
        """
        rows = self._run("select pg_try_advisory_lock(hashtextextended(%s, 0))", ("land:" + table,))
        return self.session if rows[0][0] else None

    def unlock(self, table: str) -> None:
        """Give the lock back.

        :raises DatabaseAway: no connection, so that there is nothing to give back.
        """
        self._run("select pg_advisory_unlock(hashtextextended(%s, 0))", ("land:" + table,))

    def check(self, session: int) -> bool:
        """Whether ``session`` and thus its locks still exist.

        :raises DatabaseAway: no connection.
        """
        with self._mutex:
            self._run("select 1")
            return session == self.session

    def write_landed(self, rows: Iterable[Landed]) -> None:
        """Raise the rows of ``ledger.landed``; nothing in it is ever lowered.

        :raises DatabaseAway: no connection.
        """
        given = list(rows)
        self._run(
            """insert into ledger.landed as l (type, land_seq, through)
               select * from unnest(%s::text[], %s::bigint[], %s::timestamptz[])
               on conflict (type) do update set land_seq = greatest(l.land_seq, excluded.land_seq),
                   through = greatest(l.through, excluded.through), updated_at = now()""",
            ([r.type for r in given], [r.land_seq for r in given], [r.through for r in given]),
        )

    def landed_through(self) -> dict[str, datetime]:
        """Before which instant everything received is in the lake, by type.

        :raises DatabaseAway: no connection.
        """
        return dict(self._run("select type, through from ledger.landed"))

    def close(self) -> None:
        """End the session, and with it every lock."""
        with self._mutex:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    @contextmanager
    def transaction(self) -> Iterator[psycopg.Connection[Any]]:
        """One transaction on the session, which meanwhile is nobody else's.

        :raises DatabaseAway: no connection, or Postgres refused; nothing of it was kept.
        """
        with self._mutex:
            connection = self._connect()
            try:
                with self._asking(), connection.transaction():
                    yield connection
            except psycopg.Error as error:
                if connection.closed or isinstance(error, psycopg.OperationalError):
                    connection.close()
                    self._connection = None
                raise DatabaseAway(f"Postgres: {error}") from error

    def _run(self, query: str, values: Iterable[Any] = ()) -> list[Any]:
        with self.transaction() as connection:
            cursor = connection.execute(query.encode(), tuple(values))
            return cursor.fetchall() if cursor.description else []

    def _connect(self) -> psycopg.Connection[Any]:
        if self._connection is not None:
            return self._connection
        if time.monotonic() - self._refused_at < _PAUSE:
            raise DatabaseAway(self._refusal)
        try:
            connection = psycopg.connect(
                self._dsn,
                autocommit=True,
                application_name="watershed-lander",
                connect_timeout=5,
                tcp_user_timeout=10_000,
                keepalives_idle=10,
                keepalives_interval=5,
                keepalives_count=3,
            )
            milliseconds = sql.Literal(round(self._lock_seconds * 1000))
            connection.execute(sql.SQL("set idle_session_timeout = {}").format(milliseconds))
            connection.execute("set statement_timeout = 10000")
        except psycopg.OperationalError as error:
            self._refused_at, self._refusal = time.monotonic(), f"Postgres: {error}"
            raise DatabaseAway(self._refusal) from error
        self._connection = connection
        self.session += 1
        _log.info("connected to Postgres", session=self.session)
        return connection
