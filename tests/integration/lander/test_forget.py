"""Somebody asks to be forgotten: on the real servers nothing that points to them is left, and every count is."""

import json
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pyarrow.fs import FileSelector, FileType

from books.reconcile import reconcile
from books.settings import BooksSettings
from collector import suppressed
from collector.dead_letter import DeadLetters
from collector.land_events import keyed_hash
from collector.message import Message
from collector.suppressed import Person
from contracts.registry import Registry
from erasure.expire import finish
from erasure.run import Forget
from erasure.settings import EraseSettings
from stack import secrets
from tests.integration.lander.place import REJECTED, Place, opened
from tests.integration.lander.processes import REPO
from tests.stores import Piece, databases, files, holding

THEN = datetime.now(UTC).replace(minute=17, second=0, microsecond=0) - timedelta(days=3)


class Forgotten(Place):
    """With what erasures do; its events are three days old."""

    def view(self, number: int, visitor: str | None, **data: Any) -> dict[str, Any]:
        given = {"region": "DE", "page_name": "/", **data} | ({"visitor_id": visitor} if visitor else {})
        return {
            "event_type": self.world.type, "event_id": str(uuid.uuid5(uuid.NAMESPACE_OID, str(number))),
            "occurred_at": (THEN + timedelta(seconds=number)).isoformat(), "data": given,
        }  # fmt: skip

    def landed(self, tenant: str, events: int, rejected: int) -> None:
        found = self.wait_for_rows(self.world.table, tenant, events), self.wait_for_rows(REJECTED, tenant, rejected)
        assert tuple(map(len, found)) == (events, rejected)

    @property
    def eraser(self) -> EraseSettings:
        env = self.world.operators_env()
        return EraseSettings(**{n: env[n.upper()] for n in EraseSettings.model_fields if n.upper() in env})

    @property
    def registry(self) -> Registry:
        return Registry.load(self.world.contracts)

    def charted(self, tenant: str) -> tuple[int, set[int]]:
        """Page views, and the hashes of their visitors."""
        rows = self.world.ledger(
            f"select page_views, visitors from rollups.{self.world.type}_minute where tenant = %s", tenant
        )
        return sum(int(views) for views, _ in rows), {one for _, visitors in rows for one in visitors}

    def cells(self, tenant: str) -> dict[str, int]:
        return self.sums("cells", tenant, "landed", "counted", "duplicates", "collisions", "erased")

    def books(self, tenant: str) -> dict[str, int]:
        """What the books say after a reconciliation, without what is 0."""
        assert reconcile([self.contract()], self.settings(BooksSettings, "books")).failed == {}
        names = (
            "landed", "unlanded", "counted", "duplicates", "collisions", "erased", "quarantined", "not_loaded",
            "unexplained", "charted_apart", "missing",
        )  # fmt: skip
        return {name: n for name, n in self.sums("books", tenant, *names).items() if n}

    def objects(self) -> Iterator[Piece]:
        """Every object of both tables, data and metadata, named by a snapshot or not."""
        for name in (self.world.table, REJECTED):
            table = self.world.catalog.load_table(name)
            io_: Any = table.io
            scheme, netloc, place = io_.parse_location(table.location())
            system = io_.fs_by_scheme(scheme, netloc)
            for info in system.get_file_info(FileSelector(place, recursive=True)):
                if info.type == FileType.File:
                    with system.open_input_file(info.path) as source:
                        yield Piece(info.path, source.read())

    def databases(self, folder: Path) -> Iterator[Piece]:
        settings = self.stack.settings
        return databases(settings, secrets.load(settings.watershed_state / "secrets.json"), folder)

    def set_aside(self, tenant: str, visitor: str) -> None:
        """An event that Kafka did not take, among the collector's dead letters."""
        data = {"region": "DE", "page_name": "/", "visitor_id": visitor}
        event = self.world.message(tenant=tenant, data=data)
        message = Message(
            self.world.topic, tenant.encode(), json.dumps(event).encode(),
            time.time_ns() // 1000, event["collector_id"], event["sequence"],
        )  # fmt: skip
        DeadLetters.of(self.collector.state).put(message, "tests", time.time())

    def files(self) -> Iterator[Piece]:
        """What is on the collector's disk, spool and dead letters included, and the landers' logs."""
        yield from files(self.world.folder)


@pytest.fixture(scope="module")
def place(stack: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forgotten]:
    with opened(Forgotten, stack, tmp_path_factory.mktemp("forget"), "lake_files", "books") as made:
        made.world.env["COLLECTOR_STATE_DIR"] = str(made.collector.state)
        yield made


KILLED = """
import importlib, itertools, os
module, calls = importlib.import_module({module!r}), itertools.count(1)
plainly = getattr(module, {name!r})

def dies(*given, **named):
    if {when!r} == "before" and next(calls) == {call}:
        os.kill(os.getpid(), 9)
    found = plainly(*given, **named)
    if {when!r} == "after" and next(calls) == {call}:
        os.kill(os.getpid(), 9)
    return found

setattr(module, {name!r}, dies)
"""
"""Python that has a process killed at a call of a function: where the lake changes, a lock in Postgres (ADR 0039) would
stop the lander as well."""
STEPS = {
    "it is begun": ("collector.suppressed", "add", "before"),
    "it is on the list": ("collector.suppressed", "add", "after"),
    "a table asserts the list": ("collector.suppressed", "require", "after"),
    "all assert it": ("warehouse.erasures", "suppressed", "after"),
    "it is noted what to count anew": ("erasure.rewrite", "_commit", "before"),
    "the events are tombstones": ("erasure.rewrite", "_commit", "after"),
    "of the manifests, too": ("erasure.rewrite", "add_snapshot", "after"),
    "the rejections are": ("erasure.rewrite", "_commit", "after"),
    "half of it is touched": ("warehouse.rejects", "touch", "before"),
    "all of it is touched": ("warehouse.erasures", "touch", "after"),
    "it is through": ("warehouse.erasures", "done", "after"),
}
"""The boundaries between the steps of an erasure, in their order: each run goes on from the one that was killed before.

A rename of a function turns the test red.
"""
ENDS = {
    "snapshots are expired": ("erasure.expire", "expire", "after"),
    "files of the first table are deleted": ("erasure.expire", "_sweep", "after"),
    "all is deleted": ("warehouse.erasures", "gone", "before"),
}


def killed(  # noqa: PLR0917 - a step's own words, last
    place: Forgotten, program: str, module: str, name: str, when: str, call: int = 1
) -> None:
    """Run a program until it is killed at its step."""
    script = KILLED.format(module=module, name=name, when=when, call=call) + program
    env = place.world.operators_env()
    done = subprocess.run(
        [sys.executable, "-c", script], check=False, env=env, cwd=REPO, capture_output=True, text=True
    )
    assert done.returncode == -signal.SIGKILL, f"{module}.{name}: {done.stderr}"


def forgotten(place: Forgotten, tenant: str, who: str) -> tuple[Any, ...]:
    """Ask for an erasure until its end; gives what it has left in the ledger, and takes away what it touched."""
    erasure_id = (
        Forget(place.eraser, place.registry, Person(tenant, "visitor", who), lambda *_: None).apply("tests").erasure_id
    )
    (found,) = place.world.ledger(
        """
        select
            e.events, e.rejections, e.by_whom, e.suppressed_at < e.lake_at, e.gone_at,
            (select count(*) from ledger.erasures where tenant = e.tenant and subject_hash = e.subject_hash),
            (select count(*) from ledger.erasure_touches where erasure_id = e.erasure_id),
            (select count(*) from ledger.erasure_files where erasure_id = e.erasure_id),
            (select count(*) from ledger.touched where tenant = e.tenant and cause = 'erasure'),
            (select count(*) from ledger.rejects_touched)
        from ledger.erasures as e where e.erasure_id::text = %s
        """,
        erasure_id,
    )
    place.world.ledger("delete from ledger.touched where tenant = %s returning 1", tenant)
    place.world.ledger("delete from ledger.rejects_touched returning 1")
    return tuple(found)


def test_an_erasure_killed_at_every_step_and_asked_for_again_ends_as_one_that_was_not(
    place: Forgotten, tmp_path: Path
) -> None:
    tenant, marked = place.tenant(), uuid.uuid4().hex
    people = [f"{name}-{marked}" for name in ("killed", "not")]
    for number, who in enumerate(people):
        bad = place.view(600 + number, who, nobody_knows_it=who)
        answer = place.post(tenant, place.view(number, who), place.view(600 + number, who), bad)
        assert (answer["accepted"], answer["rejected"]) == (2, 1)
    place.landed(tenant, 4, 2)
    place.load()
    assert len(place.charted(tenant)[1]) == 2
    place.world.ledger("delete from ledger.rejects_touched returning 1")

    asked = ["watershed", "forget", "--visitor", people[0], "--tenant", tenant, "--apply", "--by", "tests"]
    for step in STEPS.values():
        killed(place, f"import sys; sys.argv = {asked}\nfrom cli.main import main\nmain()", *step)
    ended = [forgotten(place, tenant, who) for who in people]
    assert ended == [(2, 1, "tests", True, None, 1, 0, 0, 2, 1)] * 2
    listed = suppressed.read(place.world.catalog, place.eraser.key, 0)
    assert all(listed.holds(tenant, "visitor", who) for who in people)
    hashes = place.world.catalog.load_table(suppressed.LIST.identifier).scan(f"tenant = '{tenant}'").to_arrow()
    assert len(hashes) == 2, "each of them once"

    place.world.ledger(
        "insert into ledger.touched (type, tenant, minute, cause, received_from)"
        " select distinct type, tenant, minute, 'erasure', now() from ledger.cells where tenant = %s"
        " on conflict (type, tenant, minute) do nothing returning 1",
        tenant,
    )  # fmt: skip
    place.load()
    assert place.charted(tenant) == (4, set())
    assert place.books(tenant) == {"landed": 4, "counted": 4, "erased": 4}

    at_once = "from datetime import timedelta; from contracts.registry import Registry; from erasure import expire"
    at_once += "; from erasure.settings import EraseSettings"
    at_once += "\nexpire.finish(EraseSettings.read(), Registry.load(), timedelta(0))"
    for step in ENDS.values():
        killed(place, at_once, *step)
    finish(place.eraser, place.registry, timedelta(0))
    gone = place.world.ledger("select gone_at is not null from ledger.erasures where tenant = %s", tenant)
    assert gone == [(True,)] * 2
    assert holding(marked, place.objects(), place.databases(tmp_path), place.files()) == []


def test_dead_letters_of_somebody_forgotten_are_told_of_and_land_as_tombstones(
    place: Forgotten, run_watershed: Callable[..., str]
) -> None:
    tenant, anna = place.tenant(), f"anna-{uuid.uuid4().hex}"
    place.post(tenant, place.view(1, anna))
    place.wait_for_rows(place.world.table, tenant, 1)
    place.set_aside(tenant, anna)
    assert "dead-letter" in {Path(name).parent.name for name in holding(anna, place.files())}

    def told(*words: str) -> int:
        asked = ("--visitor", anna, "--tenant", tenant, "--by", "tests", "--json")
        said = json.loads(run_watershed(place.world, "forget", *asked, *words).splitlines()[-1])
        (found,) = (one for one in said["elsewhere"] if one["place"].startswith("dead letters"))
        return int(found["messages"])

    assert (told(), told("--apply"), told()) == (1, 1, 1), "it is for somebody to decide"
    place.collector.watershed("spool", "requeue", "--all")
    assert told() == 0
    rows = place.wait_for_rows(place.world.table, tenant, 2)
    assert [(row["erased"], row["visitor_id"]) for row in rows] == [(True, None)] * 2
    assert place.collector.stop() == 0
    assert holding(anna, place.files()) == []
    place.collector.start()


def test_of_somebody_forgotten_no_store_has_the_id_and_every_count_stays(
    place: Forgotten, run_watershed: Callable[..., str], tmp_path: Path
) -> None:
    tenant, key = place.tenant(), place.eraser.key
    anna = f"anna-{uuid.uuid4().hex}"
    of_anna, of_ben = (keyed_hash(key, tenant, "visitor_id", who) for who in (anna, "ben"))

    def forget(*words: str) -> dict[str, Any]:
        said = run_watershed(place.world, "forget", *words, "--json")
        found: dict[str, Any] = json.loads(said.splitlines()[-1])
        return found

    def erasures() -> dict[str, Any]:
        return {one["erasure_id"]: one for one in forget("--list")["erasures"]}

    bad = place.view(9, anna, nobody_knows_it=anna)
    place.post(tenant, place.view(1, anna, session_id=f"s-{anna}"), place.view(2, "ben"), place.view(3, anna), bad)
    place.landed(tenant, events=3, rejected=1)
    place.load()
    assert place.charted(tenant) == (3, {of_anna, of_ben})
    assert place.books(tenant) == {"landed": 3, "counted": 3}
    assert holding(anna, place.objects()), "or the scan sees nothing"

    asked = ("--visitor", anna, "--tenant", tenant)
    before = place.world.catalog.load_table(place.world.table).metadata
    dry = forget(*asked)
    assert {t["table"]: t["rows"] for t in dry["tables"] if t["rows"]} == {place.world.table: 2, REJECTED: 1}
    assert place.world.catalog.load_table(place.world.table).metadata == before, "a dry run changes nothing"

    done = forget(*asked, "--apply", "--by", "tests")
    assert {t["table"]: t["rows"] for t in done["tables"] if t["rows"]} == {place.world.table: 2, REJECTED: 1}
    # Sent again, and sent anew, by somebody who has not heard of it.
    again = place.view(9, anna, nobody_knows_it=anna)
    place.post(tenant, place.view(3, anna), place.view(4, anna, referrer=f"https://a.example/{anna}"), again)
    place.landed(tenant, events=5, rejected=2)
    place.load()
    assert place.charted(tenant) == (4, {of_ben}), "counts stay, and uniques are restated"
    assert place.cells(tenant) == {"landed": 5, "counted": 4, "duplicates": 1, "collisions": 0, "erased": 4}
    assert place.books(tenant) == {"landed": 5, "counted": 4, "duplicates": 1, "erased": 4}, (
        "files are others, rows the same"
    )
    (unpublished,) = place.world.ledger("select cause from ledger.unpublished where tenant = %s", tenant)
    assert unpublished == ("erasure",)
    place.world.ledger(
        "insert into ledger.lake_files (type, path, manifest, rows, state) values (%s, %s, 'm', 1, 'missing')"
        " returning file_id",
        place.world.type, f"s3://lake/{tenant}",
    )  # fmt: skip
    said = run_watershed(place.world, "forget", *asked, "--apply", "--json", code=1)
    assert "1 files of the lake are missing" in said
    assert erasures()[done["erasure_id"]]["lake_at"] is None, "they may be in it"
    place.world.ledger("delete from ledger.lake_files where type = %s returning file_id", place.world.type)
    assert forget(*asked, "--apply")["minutes_touched"] == 0, "there was nothing left to do"

    waiting = finish(place.eraser, place.registry)
    assert done["erasure_id"] in waiting.left, "a reader may still have an older snapshot in hand"
    assert done["erasure_id"] in finish(place.eraser, place.registry, timedelta(0)).gone
    listed = erasures()[done["erasure_id"]]
    assert (listed["by_whom"], listed["events"], listed["rejections"]) == ("tests", 2, 1)
    assert place.collector.stop() == 0
    assert holding(anna, place.objects(), place.databases(tmp_path), place.files()) == []
    assert holding(str(of_anna), place.objects(), place.databases(tmp_path)) == []
    assert len(place.rows(place.world.table, tenant)) == 5, "every envelope is there"
    (kafka,) = (one["what"] for one in done["elsewhere"] if one["place"] == "Kafka")
    assert "at most until 20" in kafka
