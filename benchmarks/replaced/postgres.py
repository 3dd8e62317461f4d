"""Our Postgres, as a store of periods: COPY and replace in one transaction, as the warehouse does."""

from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg import sql

from benchmarks.replaced.periods import TABLES, Seen, race
from benchmarks.replaced.processes import running, settle
from stack import secrets
from stack.servers import postgres
from stack.settings import StackSettings


class Postgres:
    """Two connections; the reader's three queries stand on one snapshot."""

    def __init__(self, dsn: str) -> None:
        self._writer = psycopg.connect(dsn, autocommit=True)
        self._reader = psycopg.connect(dsn, autocommit=True)
        self._reader.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ

    def create(self) -> None:
        for table in TABLES:
            columns = "tenant text, period timestamptz, page text, version int, primary key (tenant, period, page)"
            self._writer.execute(sql.SQL("create table {} ({})").format(sql.Identifier(table), sql.SQL(columns)))
        self._writer.execute(
            "create table ledger (tenant text, period timestamptz, version int, primary key (tenant, period))"
        )

    def replace(self, version: int, rows: Sequence[int]) -> None:
        with self._writer.transaction(), self._writer.cursor() as cursor:
            for table, count in zip(TABLES, rows, strict=True):
                name = sql.Identifier(table)
                cursor.execute(sql.SQL("delete from {} where tenant = 'a' and period = 'epoch'").format(name))
                with cursor.copy(sql.SQL("copy {} from stdin").format(name)) as copy:
                    copy.write("".join(f"a\tepoch\t/page/{i}\t{version}\n" for i in range(count)))
            cursor.execute(
                "insert into ledger values ('a', 'epoch', %s)"
                " on conflict (tenant, period) do update set version = excluded.version",
                (version,),
            )

    def read(self) -> Seen:
        with self._reader.transaction():
            hourly, daily, ledger = (
                [row[0] for row in self._reader.execute(sql.SQL("select version from {}").format(sql.Identifier(name)))]
                for name in (*TABLES, "ledger")
            )
        return hourly, daily, ledger

    def close(self) -> None:
        self._writer.close()
        self._reader.close()


def measure(settings: StackSettings) -> dict[str, Any]:
    """Start (s), idle memory (MiB) and the race."""
    known = secrets.load(settings.watershed_state / "secrets.json")
    with running(postgres.program(settings, known), settings.logs) as server:
        settle()
        memory = server.memory_mb()
        store = Postgres(postgres.dsn(settings, known, "postgres", "postgres"))
        result = race(store)
        store.close()
        return {
            "ready_seconds": server.ready_seconds,
            "memory_mb_idle": memory,
            "memory_mb_after": server.memory_mb(),
            **result,
        }
