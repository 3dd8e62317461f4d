"""Rejected events are mended and sent again: through a real collector, Kafka, lander and load, each counted once."""

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from collector.keys import KeyFile, KeyKind
from contracts.registry import Registry
from rejects.recipe import Recipe
from rejects.reject import Chosen
from rejects.repair import Disagreement
from rejects.run_repair import RepairWork
from rejects.settings import RepairSettings
from tests.integration.lander.place import REJECTED, Place, Rows, opened
from tests.integration.lander.processes import REPO
from warehouse.repairs import RepairAtWork

NO_DEBUG = '[{"op": "remove", "path": "/data/debug"}]'
MARKED = '[{"op": "remove", "path": "/data/debug"}, {"op": "replace", "path": "/data/page_name", "value": "/other"}]'
KILL = "lambda *a, **k: os.kill(os.getpid(), 9)"
TWO_WEEKS_AGO = (datetime.now(UTC) - timedelta(days=14)).replace(minute=17, second=4, microsecond=250_000)


class Repaired(Place):
    """With what repairs do; its events are two weeks old."""

    def event(self, number: int, **changes: Any) -> dict[str, Any]:
        """A bad event: the contract knows no field ``debug``."""
        return {
            "event_type": self.world.type, "event_id": str(uuid.uuid5(uuid.NAMESPACE_OID, str(number))),
            "occurred_at": (TWO_WEEKS_AGO + timedelta(minutes=number)).isoformat(),
            "data": {"region": "DE", "page_name": f"/{number}", "debug": number},
        } | changes  # fmt: skip

    def send(self, tenant: str, *events: Any) -> None:
        """Have all of them rejected."""
        answer = self.post(tenant, *events)
        assert answer["rejected"] == len(events), answer

    def wait_for_rejects(self, tenant: str, count: int) -> list[str]:
        """The ids of the tenant's rejections, once there are as many."""
        return [row["reject_id"] for row in self.wait_for_rows(REJECTED, tenant, count)]

    def lake(self, tenant: str) -> Rows:
        """The tenant's events in the lake, by time."""
        rows = self.rows(self.world.table, tenant)
        return sorted(rows, key=lambda row: (row["occurred_at"], row["received_at"]))

    def wait_for_events(self, tenant: str, count: int) -> Rows:
        self.wait_for_rows(self.world.table, tenant, count)
        return self.lake(tenant)

    def env(self) -> dict[str, str]:
        repairer = self.stack.own("repair")
        own = {**repairer, "COLLECTOR_URL": self.collector.url, "KEYS_FILE": str(self.collector.keys_file)}
        return {**os.environ, **own, "CONTRACTS_DIR": str(self.world.contracts), "PYTHONPATH": str(REPO)}

    def run(self, *words: str, before: str = "", code: int = 0) -> subprocess.CompletedProcess[str]:
        """A ``watershed`` command with the repair's own credentials; ``before``: Python that runs first."""
        program = f"import os\n{before}\nfrom cli.main import main\nmain()"
        argv = [sys.executable, "-c", program, *words, "--json"]
        done = subprocess.run(argv, env=self.env(), cwd=REPO, capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stdout + done.stderr
        return done

    def repair(
        self, tenant: str | None, patch: str | None = None, *, apply: bool = False, by: str = "tests", **chosen: Any
    ) -> dict[str, Any]:
        """What a repair says: of one tenant or of all, mended by ``patch`` or judged anew."""
        env = {name.lower(): value for name, value in self.env().items()}
        settings = RepairSettings(**{name: env[name] for name in RepairSettings.model_fields if name in env})
        recipe = Recipe.read(patch) if patch else Recipe()
        wanted = Chosen(event_type=self.world.type, tenant=tenant, **chosen)
        work = RepairWork(settings, Registry.load(self.world.contracts), wanted, recipe, lambda _: None)
        return work.apply(by) if apply else work.look()

    def cells(self, tenant: str) -> Mapping[str, int]:
        """The tenant's cells, summed."""
        return self.sums("cells", tenant, "landed", "counted", "duplicates", "collisions")

    def counted(self, tenant: str) -> int:
        """What the rollup counts of the tenant."""
        query = f"select coalesce(sum(page_views), 0)::int from rollups.{self.world.type}_minute where tenant = %s"
        return int(self.world.ledger(query, tenant)[0][0])


@pytest.fixture(scope="module")
def place(stack: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Repaired]:
    with opened(Repaired, stack, tmp_path_factory.mktemp("repair"), "repairs") as made:
        yield made


def repairs_of(place: Repaired, tenant: str) -> list[Any]:
    return place.world.ledger(
        "select reject_id, event_id, sent_at is not null, loaded_at is not null from ledger.repairs where tenant = %s",
        tenant,
    )


def keys_left(place: Repaired) -> list[str]:
    now = datetime.now(UTC)
    keys = KeyFile(place.collector.keys_file).keys()
    return [key.note for key in keys if key.kind is KeyKind.IMPORT and key.usable(now)]


def test_what_passes_is_counted_once_under_its_own_identity_and_a_second_run_adds_nothing(place: Repaired) -> None:
    tenant = place.tenant()
    own, bare = place.event(1), {k: v for k, v in place.event(2).items() if k in ("event_type", "data")}
    hopeless = place.event(3, data={"region": "XX", "page_name": "/", "debug": 3})
    place.send(tenant, own, bare, hopeless)
    place.send(tenant, own)
    rejected = place.wait_for_rejects(tenant, 4)

    looked = place.repair(tenant, NO_DEBUG, reason="additionalProperties")
    assert (looked["seen"], looked["would_pass"], looked["still_refused"]) == (4, 3, 1)
    (why,) = looked["reasons"]
    assert (why["reason"], why["field"], why["events"]) == ("pattern", "/data/region", 1)
    assert why["example"]["reject_id"] in rejected
    assert repairs_of(place, tenant) == []
    assert place.world.ledger("select from ledger.repair_runs where run_id::text = %s", str(looked.get("run_id"))) == []
    assert keys_left(place) == []

    words = ("--tenant", tenant, "--reason", "additionalProperties", "--patch", NO_DEBUG, "--apply", "--by", "ann")
    done = json.loads(place.run("repair", *words).stdout.splitlines()[-1])
    assert (done["sent"], done["would_pass"], done["still_refused"], done["unanswered"]) == (3, 3, 1, 0)
    first, again, minted = place.wait_for_events(tenant, 3)
    assert first["event_id"] == again["event_id"] == own["event_id"]
    assert first["occurred_at"] == TWO_WEEKS_AGO + timedelta(minutes=1)
    assert uuid.UUID(minted["event_id"]).version == 5
    assert [row["minted"] for row in (first, again, minted)] == [False] * 3
    assert keys_left(place) == []

    place.load()
    assert place.cells(tenant) == {"landed": 3, "counted": 2, "duplicates": 1, "collisions": 0}
    assert place.counted(tenant) == 2
    causes = place.world.ledger(
        "select distinct cause from ledger.unpublished where type = %s and tenant = %s", place.world.type, tenant
    )
    assert causes == [("repair",)], "restatements tell it"

    more = place.repair(tenant, MARKED, apply=True, reason="additionalProperties")
    assert (more["sent"], more["already_repaired"], more["still_refused"]) == (0, 3, 1)
    place.load()
    assert len(place.lake(tenant)) == 3
    assert place.counted(tenant) == 2

    shown = json.loads(place.run("rejects", "show", repairs_of(place, tenant)[0][0]).stdout.splitlines()[-1])
    assert shown["repair"]["event_id"] in {own["event_id"], minted["event_id"]}
    assert (shown["repair"]["by"], shown["repair"]["patch"]) == ("ann", json.loads(NO_DEBUG))
    assert shown["repair"]["loaded_at"] is not None
    assert '"debug"' in shown["body"]
    listed = json.loads(place.run("rejects", "list", "--tenant", tenant).stdout.splitlines()[-1])
    assert listed["events"] == 4
    assert [one["repaired"] for one in listed["newest"]].count(True) == 3


@pytest.mark.parametrize(
    ("killed_at", "landed"),
    [
        ("import collector.sender as s; s.Sender.send = " + KILL, 0),
        ("import warehouse.repairs as r; r.answered = " + KILL, 2),
    ],
    ids=["before it sent", "after it sent"],
)
def test_a_killed_repair_is_finished_by_the_next_as_it_was_begun_and_counts_once(
    place: Repaired, killed_at: str, landed: int
) -> None:
    tenant = place.tenant()
    place.send(tenant, place.event(1), {k: v for k, v in place.event(2).items() if k in ("event_type", "data")})
    place.wait_for_rejects(tenant, 2)
    words = ("repair", "--tenant", tenant, "--patch", NO_DEBUG, "--apply")
    place.run(*words, before=killed_at, code=-9)
    assert [row[2:] for row in repairs_of(place, tenant)] == [(False, False)] * 2
    place.wait_for_events(tenant, landed)

    done = place.repair(tenant, MARKED, apply=True)
    assert (done["resumed"], done["sent"], done["already_repaired"], done["unanswered"]) == (2, 0, 2, 0)
    rows = place.wait_for_events(tenant, landed + 2)
    assert len(rows) == landed + 2
    assert {row["page_name"] for row in rows} == {"/1", "/2"}, "by the patch of the run that was cut short"
    place.load()
    assert place.cells(tenant) == {"landed": landed + 2, "counted": 2, "duplicates": landed, "collisions": 0}
    assert [row[2:] for row in repairs_of(place, tenant)] == [(True, True)] * 2
    assert keys_left(place) == [], "the key of the killed run is gone too"


def test_an_event_stays_its_tenants_whoever_repairs_and_whatever_the_patch(place: Repaired) -> None:
    ours, theirs = place.tenant(), place.tenant()
    place.send(ours, place.event(1))
    place.send(theirs, place.event(1))
    message = place.world.message(tenant=theirs, event_id=place.event(2)["event_id"])
    message["data"]["debug"] = 2
    place.world.raw(json.dumps(message).encode())
    place.wait_for_rejects(ours, 1)
    place.wait_for_rejects(theirs, 2)

    place.repair(ours, NO_DEBUG, apply=True)
    assert [row["tenant"] for row in place.wait_for_events(ours, 1)] == [ours]
    assert repairs_of(place, theirs) == []
    assert place.repair(theirs, '[{"op": "add", "path": "/tenant", "value": "' + ours + '"}]')["would_pass"] == 0
    done = place.repair(None, NO_DEBUG, apply=True)
    assert {one["tenant"] for one in done["passing"]} == {theirs}
    place.wait_for_events(theirs, 2)
    assert len(place.lake(ours)) == 1
    place.load()
    assert (place.counted(ours), place.counted(theirs)) == (1, 2)


def test_two_repairs_do_not_work_at_once(place: Repaired) -> None:
    tenant = place.tenant()
    place.send(tenant, place.event(1))
    place.wait_for_rejects(tenant, 1)
    with psycopg.connect(place.stack.own("repair")["REPAIRER_DSN"], autocommit=True) as other:
        other.execute("select pg_advisory_lock(hashtextextended('repair', 0))")
        with pytest.raises(RepairAtWork):
            place.repair(tenant, NO_DEBUG, apply=True)
    assert repairs_of(place, tenant) == []


def test_a_newer_contract_lets_them_in_once_the_collector_has_it(place: Repaired) -> None:
    tenant = place.tenant()
    place.send(tenant, place.event(1))
    (reject_id,) = place.wait_for_rejects(tenant, 1)
    assert place.repair(tenant)["would_pass"] == 0
    number = {"type": "integer", "minimum": 0, "maximum": 1000, "description": "A number."}
    place.world.write_contract(2, debug=number)
    assert place.repair(tenant)["would_pass"] == 1
    with pytest.raises(Disagreement, match="Does it run with these contracts"):
        place.repair(tenant, apply=True)
    assert repairs_of(place, tenant) == [], "it can be mended another time"
    assert place.collector.stop() == 0
    place.collector.start()
    assert place.repair(tenant, ids=(reject_id,), apply=True)["sent"] == 1
    (row,) = place.wait_for_events(tenant, 1)
    assert (row["debug"], row["schema_version"], row["event_id"]) == (1, 2, place.event(1)["event_id"])
