"""Somebody asks to be forgotten: on the real servers nothing that points to them is left, and every count is."""

import json
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from pyarrow.fs import FileSelector, FileType

from books.reconcile import reconcile
from books.settings import BooksSettings
from collector.keys import KeyFile, KeyKind
from collector.land_events import keyed_hash
from contracts.registry import Registry
from erasure.expire import finish
from erasure.settings import EraseSettings
from spark_jobs.load_rollups import load
from spark_jobs.settings import LoadSettings
from stack import backup, secrets
from tests.integration.collector.harness import CollectorProcess
from tests.integration.lander.world import World
from tests.readable import readable
from warehouse.migrate import migrate

THEN = datetime.now(UTC).replace(minute=17, second=4, microsecond=0) - timedelta(days=3)
REJECTED = "quality.rejected_events"
Rows = list[dict[str, Any]]


@dataclass
class Place:
    """A type of its own on the real servers, a collector that takes it and a lander that lands it."""

    world: World
    collector: CollectorProcess
    loader: LoadSettings
    eraser: EraseSettings
    tenant: str
    stack: Any

    def send(self, *events: dict[str, Any]) -> Mapping[str, Any]:
        answer: Mapping[str, Any] = self.collector.send(*events).json()
        return answer

    def view(self, number: int, visitor: str | None, **data: Any) -> dict[str, Any]:
        given = {"region": "DE", "page_name": "/", **data} | ({"visitor_id": visitor} if visitor else {})
        return {
            "event_type": self.world.type, "event_id": str(uuid.uuid5(uuid.NAMESPACE_OID, str(number))),
            "occurred_at": (THEN + timedelta(seconds=number)).isoformat(), "data": given,
        }  # fmt: skip

    def rows(self, table: str) -> Rows:
        if not self.world.catalog.table_exists(table):
            return []
        found: Rows = self.world.catalog.load_table(table).scan(f"tenant = '{self.tenant}'").to_arrow().to_pylist()
        return sorted(found, key=lambda row: row["sequence"])

    def landed(self, events: int, rejected: int) -> None:
        self.world.wait_for("all has landed", lambda: len(self.rows(self.world.table)) >= events, 240)
        self.world.wait_for("all rejections have landed", lambda: len(self.rows(REJECTED)) >= rejected, 240)
        assert (len(self.rows(self.world.table)), len(self.rows(REJECTED))) == (events, rejected)

    def load(self) -> None:
        summary = load([Registry.load(self.world.contracts).newest(self.world.type)], self.loader)
        assert not summary.failed, summary.failed

    def charted(self) -> tuple[int, set[int]]:
        """Page views, and the hashes of their visitors."""
        rows = self.world.ledger(
            f"select page_views, visitors from rollups.{self.world.type}_minute where tenant = %s", self.tenant
        )
        return sum(int(views) for views, _ in rows), {one for _, visitors in rows for one in visitors}

    def cells(self) -> dict[str, int]:
        names = ("landed", "counted", "duplicates", "collisions", "erased")
        sums = ", ".join(f"sum({name})::int" for name in names)
        rows = self.world.ledger(
            f"select {sums} from ledger.cells where type = %s and tenant = %s", self.world.type, self.tenant
        )
        return dict(zip(names, rows[0], strict=True))

    def books(self) -> dict[str, int]:
        """What the books say after a reconciliation, without what is 0."""
        own = self.stack.own("books")
        settings = BooksSettings(**{n: own[n.upper()] for n in BooksSettings.model_fields if n.upper() in own})
        assert reconcile([Registry.load(self.world.contracts).newest(self.world.type)], settings).failed == {}
        names = (
            "landed", "unlanded", "counted", "duplicates", "collisions", "erased", "quarantined", "not_loaded",
            "unexplained", "charted_apart", "missing",
        )  # fmt: skip
        sums = ", ".join(f"sum({name})::int" for name in names)
        rows = self.world.ledger(
            f"select {sums} from ledger.books where type = %s and tenant = %s", self.world.type, self.tenant
        )
        return {name: n for name, n in zip(names, rows[0], strict=True) if n}

    def objects(self) -> Iterator[tuple[str, bytes]]:
        """Every object of both tables, data and metadata, named by a snapshot or not."""
        for name in (self.world.table, REJECTED):
            table = self.world.catalog.load_table(name)
            io_: Any = table.io
            scheme, netloc, place = io_.parse_location(table.location())
            system = io_.fs_by_scheme(scheme, netloc)
            for info in system.get_file_info(FileSelector(place, recursive=True)):
                if info.type == FileType.File:
                    with system.open_input_file(info.path) as source:
                        yield info.path, source.read()

    def dumps(self, folder: Path) -> Iterator[tuple[str, bytes]]:
        """The text of every database."""
        known = secrets.load(self.stack.settings.watershed_state / "secrets.json")
        for database in ("warehouse", "catalog"):
            target = folder / f"{database}.sql"
            backup.run("pg_dump", ["--file", target, "--dbname", database], self.stack.settings, known)
            yield database, target.read_bytes()

    def files(self) -> Iterator[tuple[str, bytes]]:
        """What is on the collector's disk, spool included, and the logs."""
        for path in [*self.collector.keys_file.parent.rglob("*"), *(one.log for one in self.world.landers)]:
            if path.is_file():
                yield str(path), path.read_bytes()


def where(id_: str, *sources: Iterator[tuple[str, bytes]]) -> list[str]:
    """The stores that have the id, also where it is compressed."""
    return [name for source in sources for name, content in source if id_ in readable(name, content)]


@pytest.fixture
def place(stack: Any, tmp_path: Path) -> Iterator[Place]:
    world = World(stack.env, stack.own("lander"), tmp_path)
    own = stack.own("load")
    loader = LoadSettings(**{n: own[n.upper()] for n in LoadSettings.model_fields if n.upper() in own})
    world.write_contract(type_="page_view")  # without it no collector starts
    migrate(stack.env["WAREHOUSE_DSN"], [Registry.load(world.contracts).newest(world.type)])
    folder = tmp_path / "collector"
    folder.mkdir()
    collector = CollectorProcess(stack.own("collector"), folder, {"CONTRACTS_DIR": str(world.contracts)})
    tenant = f"t-{uuid.uuid4().hex[:8]}"
    key = KeyFile(collector.keys_file).create(tenant, KeyKind.SERVER)[1]
    collector.http.headers["Authorization"] = f"Bearer {key}"
    world.env["COLLECTOR_STATE_DIR"] = str(collector.state)
    env = world.operators_env()
    eraser = EraseSettings(**{n: env[n.upper()] for n in EraseSettings.model_fields if n.upper() in env})
    try:
        collector.start()
        world.start()
        yield Place(world, collector, loader, eraser, tenant, stack)
    finally:
        if collector.process is not None and collector.process.poll() is None:
            collector.stop()
        collector.http.close()
        world.close()
        for lander in world.landers:
            sys.stdout.write(f"--- {lander.log.name}\n{lander.words()[-3000:]}\n")
        with psycopg.connect(stack.env["WAREHOUSE_DSN"]) as connection:
            connection.execute(f"drop table rollups.{world.type}_minute".encode())
            for table in ("touched", "cells", "cursors", "unpublished", "loads", "lake_files", "books"):
                connection.execute(f"delete from ledger.{table} where type = %s".encode(), (world.type,))


def test_of_somebody_forgotten_no_store_has_the_id_and_every_count_stays(
    place: Place, run_watershed: Callable[..., str], tmp_path: Path
) -> None:
    anna = f"anna-{uuid.uuid4().hex}"
    key = place.eraser.key
    of_anna, of_ben = (keyed_hash(key, place.tenant, "visitor_id", who) for who in (anna, "ben"))

    def forget(*words: str) -> dict[str, Any]:
        said = run_watershed(place.world, "forget", *words, "--json")
        found: dict[str, Any] = json.loads(said.splitlines()[-1])
        return found

    def erasures() -> dict[str, Any]:
        return {one["erasure_id"]: one for one in forget("--list")["erasures"]}

    bad = place.view(9, anna, nobody_knows_it=anna)
    place.send(place.view(1, anna, session_id=f"s-{anna}"), place.view(2, "ben"), place.view(3, anna), bad)
    place.landed(events=3, rejected=1)
    place.load()
    assert place.charted() == (3, {of_anna, of_ben})
    assert place.books() == {"landed": 3, "counted": 3}
    assert where(anna, place.objects()), "or the scan sees nothing"

    asked = ("--visitor", anna, "--tenant", place.tenant)
    before = place.world.catalog.load_table(place.world.table).metadata
    dry = forget(*asked)
    assert {t["table"]: t["rows"] for t in dry["tables"] if t["rows"]} == {place.world.table: 2, REJECTED: 1}
    assert place.world.catalog.load_table(place.world.table).metadata == before, "a dry run changes nothing"

    done = forget(*asked, "--apply", "--by", "tests")
    assert {t["table"]: t["rows"] for t in done["tables"] if t["rows"]} == {place.world.table: 2, REJECTED: 1}
    # Sent again, and sent anew, by somebody who has not heard of it.
    again = place.view(9, anna, nobody_knows_it=anna)
    place.send(place.view(3, anna), place.view(4, anna, referrer=f"https://a.example/{anna}"), again)
    place.landed(events=5, rejected=2)
    place.load()
    assert place.charted() == (4, {of_ben}), "counts stay, and uniques are restated"
    assert place.cells() == {"landed": 5, "counted": 4, "duplicates": 1, "collisions": 0, "erased": 4}
    assert place.books() == {"landed": 5, "counted": 4, "duplicates": 1, "erased": 4}, "files are others, rows the same"
    (unpublished,) = place.world.ledger("select cause from ledger.unpublished where tenant = %s", place.tenant)
    assert unpublished == ("erasure",)
    place.world.ledger(
        "insert into ledger.lake_files (type, path, manifest, rows, state) values (%s, %s, 'm', 1, 'missing')"
        " returning file_id",
        place.world.type, f"s3://lake/{place.tenant}",
    )  # fmt: skip
    said = run_watershed(place.world, "forget", *asked, "--apply", "--json", code=1)
    assert "1 files of the lake are missing" in said
    assert erasures()[done["erasure_id"]]["lake_at"] is None, "they may be in it"
    place.world.ledger("delete from ledger.lake_files where type = %s returning file_id", place.world.type)
    assert forget(*asked, "--apply")["minutes_touched"] == 0, "there was nothing left to do"

    waiting = finish(place.eraser, Registry.load(place.world.contracts))
    assert done["erasure_id"] in waiting.left, "a reader may still have an older snapshot in hand"
    assert done["erasure_id"] in finish(place.eraser, Registry.load(place.world.contracts), timedelta(0)).gone
    listed = erasures()[done["erasure_id"]]
    assert (listed["by_whom"], listed["events"], listed["rejections"]) == ("tests", 2, 1)
    assert place.collector.stop() == 0
    assert where(anna, place.objects(), place.dumps(tmp_path), place.files()) == []
    assert where(str(of_anna), place.objects(), place.dumps(tmp_path)) == []
    assert len(place.rows(place.world.table)) == 5, "every envelope is there"
    (kafka,) = (one["what"] for one in done["elsewhere"] if one["place"] == "Kafka")
    assert "at most until 20" in kafka
