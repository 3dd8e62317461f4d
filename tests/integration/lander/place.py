"""One event type on the real servers and all of its way: a collector that takes it, a lander that lands it, a load."""

import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import psycopg

from collector.keys import KeyFile, KeyKind
from contracts.model import Contract
from contracts.registry import Registry
from spark_jobs.load_rollups import load
from spark_jobs.settings import LoadSettings
from tests.integration.collector.harness import CollectorProcess
from tests.integration.lander.world import World
from warehouse.migrate import migrate

REJECTED = "quality.rejected_events"
Rows = list[dict[str, Any]]
S = TypeVar("S")


@dataclass
class Place:
    """What there is; tests of one kind of work add what it needs."""

    world: World
    collector: CollectorProcess
    stack: Any
    keys: dict[str, str] = field(default_factory=dict)

    def tenant(self) -> str:
        """A tenant that nobody else has, with a server key."""
        name = f"t-{uuid.uuid4().hex[:8]}"
        self.keys[name] = KeyFile(self.collector.keys_file).create(name, KeyKind.SERVER)[1]
        return name

    def post(self, tenant: str, *events: Any) -> Mapping[str, Any]:
        """Send events of a tenant; gives the answer."""
        answer = self.collector.send(*events, headers={"Authorization": f"Bearer {self.keys[tenant]}"})
        found: Mapping[str, Any] = answer.json()
        return found

    def rows(self, table: str, tenant: str) -> Rows:
        """What of a tenant is in a table of the lake, in the order in which the collector took it."""
        if not self.world.catalog.table_exists(table):
            return []
        found: Rows = self.world.catalog.load_table(table).scan(f"tenant = '{tenant}'").to_arrow().to_pylist()
        return sorted(found, key=lambda row: row["sequence"] or 0)

    def wait_for_rows(self, table: str, tenant: str, count: int) -> Rows:
        """The same, once there are as many, at least."""
        self.world.wait_for(f"all has landed in {table}", lambda: len(self.rows(table, tenant)) >= count, 240)
        return self.rows(table, tenant)

    def contract(self) -> Contract:
        """The type's newest."""
        return Registry.load(self.world.contracts).newest(self.world.type)

    def load(self) -> None:
        """One load of the type."""
        summary = load([self.contract()], self.settings(LoadSettings, "load"))
        assert not summary.failed, summary.failed

    def settings(self, kind: type[S], room: str) -> S:
        """A room's settings, with its own credentials."""
        own = self.stack.own(room)
        return kind(**{n: own[n.upper()] for n in kind.model_fields if n.upper() in own})  # type: ignore[attr-defined]

    def sums(self, table: str, tenant: str, *names: str) -> dict[str, int]:
        """Columns of a table of the ledger, summed over the tenant's rows."""
        summed = ", ".join(f"sum({name})::int" for name in names)
        (row,) = self.world.ledger(
            f"select {summed} from ledger.{table} where type = %s and tenant = %s", self.world.type, tenant
        )
        return dict(zip(names, row, strict=True))


P = TypeVar("P", bound=Place)


@contextmanager
def opened(kind: type[P], stack: Any, folder: Path, *of_the_type: str) -> Iterator[P]:
    """A place in which collector and lander run; nothing of its type is left, in tables ``of_the_type`` neither."""
    world = World(stack.env, stack.own("lander"), folder)
    migrate(stack.env["WAREHOUSE_DSN"], [Registry.load(world.contracts).newest(world.type)])
    (folder / "collector").mkdir()
    collector = CollectorProcess(stack.own("collector"), folder / "collector", {"CONTRACTS_DIR": str(world.contracts)})
    try:
        collector.start()
        world.start()
        yield kind(world, collector, stack)
    finally:
        if collector.process is not None and collector.process.poll() is None:
            collector.stop()
        collector.http.close()
        world.close()
        for lander in world.landers:
            sys.stdout.write(f"--- {lander.log.name}\n{lander.words()[-3000:]}\n")
        with psycopg.connect(stack.env["WAREHOUSE_DSN"]) as connection:
            connection.execute(f"drop table rollups.{world.type}_minute".encode())
            for table in (*of_the_type, "touched", "cells", "cursors", "unpublished", "loads"):
                connection.execute(f"delete from ledger.{table} where type = %s".encode(), (world.type,))
