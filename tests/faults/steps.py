"""Stops a command at a step of its work, to be killed there (docs/adr/0039): by a lock that it has to wait for.

What works through Postgres shows where it is by what it waits for. No code of ours knows that it is tested.
"""

from functools import partial
from types import TracebackType
from typing import Any, Self

import psycopg
from psycopg import sql

from tests.integration.lander.processes import wait_for

WAITS = "select count(*) from pg_locks where not granted and relation = to_regclass(%s)"
"""Who waits for a lock of a table."""


class Step:
    """Whoever is the next to write to a table stops there. ``way``: tables, in the order in which they are written to.

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
        row = self._eyes.execute(WAITS, (table,)).fetchone()
        return bool(row and row[0])

    def _lock(self, table: str) -> None:
        connection = psycopg.connect(self._dsn)
        connection.execute(
            sql.SQL("lock table {} in exclusive mode").format(sql.Identifier(*table.split(".")))  # reading goes on
        )
        self._locks.append(connection)
