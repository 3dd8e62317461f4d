"""Stops a command at a step of its work, to be killed there (docs/adr/0039): by a lock that it has to wait for.

What works through Postgres shows where it is by what it waits for. No code of ours knows that it is tested. Others may
wait for the lock too, as Airflow's loads do: only who was started from here counts.
"""

import re
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Any, Self

import psutil
import psycopg
from psycopg import sql

from tests.integration.lander.processes import wait_for

WAITS = "select pid from pg_locks where not granted and relation = to_regclass(%s)"
"""Which of Postgres's processes wait for a lock of a table."""
CLIENT = re.compile(r"\((\d+)\)")
"""The client's port, in the title of the process that serves it."""


class Step:
    """Whoever is the next to write to a table stops there; known are those whom this process started, and itself.

    ``way``: tables, in the order in which they are written to.

    It is let through to each but the last; so a table that is written to twice can be reached the second time.
    """

    def __init__(self, dsn: str, *way: str) -> None:
        self._dsn, self._way = dsn, way
        self._locks: list[psycopg.Connection[Any]] = []
        self._eyes = psycopg.connect(dsn, autocommit=True)

    def __enter__(self) -> Self:
        self._lock(self._way[0])
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
        self._eyes.close()

    def reached(self, seconds: float = 90) -> None:
        """Wait until somebody has come as far as the last table."""
        for table, following in zip(self._way, [*self._way[1:], None], strict=True):
            wait_for(f"somebody wants to write to {table}", partial(self._waits, table), seconds)
            if following is not None:
                self._lock(following)
                self._locks.pop(0).close()

    def release(self) -> None:
        """Let everybody through."""
        while self._locks:
            self._locks.pop().close()

    def _waits(self, table: str) -> bool:
        waiting = self._eyes.execute(WAITS, (table,)).fetchall()
        return bool(waiting) and any(_client(pid) in _ports() for (pid,) in waiting)

    def _lock(self, table: str) -> None:
        connection = psycopg.connect(self._dsn)
        connection.execute(
            sql.SQL("lock table {} in exclusive mode").format(sql.Identifier(*table.split(".")))  # reading goes on
        )
        self._locks.append(connection)


def _client(pid: int) -> int | None:
    """The port from which the client came that Postgres's process ``pid`` serves."""
    try:
        found = CLIENT.search(" ".join(psutil.Process(pid).cmdline()))
    except psutil.NoSuchProcess:
        return None
    return int(found.group(1)) if found else None


def _ports() -> set[int]:
    """The ports of this process's connections, and of those whom it started."""
    me = psutil.Process()
    found = set()
    for process in (me, *me.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            found |= {connection.laddr.port for connection in process.net_connections("tcp")}
    return found
