"""Postgres is lost, with everything in it, while events flow: what docs/operations.md says to do brings it all back.

The commands are the runbook's own. What was counted before is counted again, to the checksum; what came between the
backup and the loss, and after it, is there once; and the books balance.
"""

import json
import random
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import pytest

from collector.lake import LakeSettings, open_catalog
from collector.lake_metadata import Bucket
from stack import environment
from stack.programs import Program
from stack.rooms import WATERSHED
from stack.settings import REPO, StackSettings
from tests.faults.bout import Bout
from tests.faults.fitting import Fitting
from tests.faults.plant import Plant
from tests.faults.run import up
from tests.faults.sends import Sends
from tests.faults.verdict import Verdict
from tests.integration.lander.processes import wait_for
from tests.ports import PLANT, PORT_OFFSET
from warehouse.checksum import Checksum

PARTS = ("spark-connect", "collector", "lander")
TYPES = ("page_view", "purchase")
pytestmark = pytest.mark.timeout(1500)
COMMAND_SECONDS = 600


class Hurried(Fitting):
    """A plant whose landers commit without a pause: what a backup's catalog names is gone in seconds, not minutes."""

    def program(self, program: Program) -> Program:
        """The lander in a hurry, the others as they are."""
        return replace(program, env={**program.env, "LAND_SECONDS": "0.1"}) if program.name == "lander" else program


@dataclass(frozen=True)
class Lost:
    """The backup there is; what was counted before it was made, with its checksums, and what was sent after it."""

    backup: str
    early: Bout
    taken: int
    checksums: Mapping[str, Checksum]
    late: Bout


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plant]:
    settings = StackSettings(watershed_state=tmp_path_factory.mktemp("lost") / "state", port_offset=PORT_OFFSET + PLANT)
    with up(Plant(settings, Hurried()), PARTS) as running:
        yield running


def watershed(plant: Plant, *words: str) -> subprocess.CompletedProcess[str]:
    """A command as the operator gives it, who knows the stack's folder and nothing else."""
    env = {
        **environment.base(),
        "PYTHONPATH": str(REPO),
        "WATERSHED_STATE": str(plant.stack.settings.watershed_state),
    }
    return subprocess.run(
        [WATERSHED, *words], env=env, capture_output=True, text=True, check=False, timeout=COMMAND_SECONDS, cwd=REPO
    )


def done(plant: Plant, *words: str) -> str:
    """What a command said that went well."""
    made = watershed(plant, *words)
    assert made.returncode == 0, f"{words}: {made.stdout[-2000:]}{made.stderr[-2000:]}"
    return made.stdout


def lose_postgres(plant: Plant) -> None:
    """The folder goes first: the supervisor starts the server again at once, and it must find nothing."""
    place = plant.stack.settings.data / "postgres"
    gone = place.with_name("postgres.gone")
    place.rename(gone)
    plant.kill_family("postgres")
    shutil.rmtree(gone)


def put_back(plant: Plant, backup: str, *only: str) -> None:
    """What the runbook says, in its order; and what refuses another order."""
    done(plant, "stack", "down")
    done(plant, "stack", "up", "--only", "postgres-roles", "--only", "lake-bucket", "--only", "collector")
    refused = watershed(plant, "lake", "ensure")
    assert refused.returncode == 1, "a table is made over what the bucket has"
    assert "`watershed lake recover` puts it back" in refused.stdout
    done(plant, "backup", "restore", backup, *only, "--yes")
    shown = json.loads(done(plant, "lake", "recover", "--json").splitlines()[-1])
    assert {f"events.{type_}" for type_ in TYPES} <= {t["table"] for t in shown["tables"] if t["what"] == "put back"}
    done(plant, "lake", "recover", "--yes")
    done(plant, "stack", "up", *(word for part in PARTS for word in ("--only", part)))


@pytest.fixture(scope="module")
def lost(plant: Plant, tmp_path_factory: pytest.TempPathFactory) -> Lost:
    """Events counted, a backup, more events until what the backup's catalog names is gone, and Postgres is lost."""
    folder = tmp_path_factory.mktemp("journals")
    early = Bout(plant, folder, random.getrandbits(32), TYPES, most=2000).begin()
    taken = Sends(early.rest(180)).must_count
    assert taken > 0
    checksums = early.observer.checksums()
    done(plant, "backup", "create")
    (backup,) = (plant.stack.settings.watershed_state / "backups").iterdir()
    lake = open_catalog(LakeSettings(**{n: plant.env[n.upper()] for n in LakeSettings.model_fields}))  # type: ignore[arg-type]
    named = [lake.load_table(f"events.{type_}").metadata_location for type_ in TYPES]
    bucket = Bucket(lake)
    late = Bout(plant, folder, random.getrandbits(32), TYPES, rate=80).begin()
    try:
        wait_for("what the backup's catalog names is gone", lambda: not any(map(bucket.has, named)), 300)
        plant.command("load", "load")
        lose_postgres(plant)
        so_far = late.load.taken
        wait_for("events are taken without Postgres", lambda: late.load.taken > so_far + 400)
    finally:
        late.load.stop()
        lake.close()
    return Lost(backup.name, early, taken, checksums, late)


def all_is_there(lost: Lost) -> None:
    """Each event that was taken, once, and counted once, to the checksum where it was counted before; books balance."""
    for bout in (lost.late, lost.early):
        verdict = Verdict("Postgres is lost", "pipeline")
        bout.judge(bout.rest(180), verdict)
        assert (verdict.findings, verdict.books, verdict.checksums) == ([], "balance", "equal")
    assert verdict.counted == lost.taken
    assert lost.early.observer.checksums() == lost.checksums


def test_from_the_lake_an_empty_warehouse_is_what_was_lost(plant: Plant, lost: Lost) -> None:
    put_back(plant, lost.backup, "--only", "catalog")
    all_is_there(lost)


def test_from_a_backup_both_databases_are_brought_to_what_the_bucket_has(plant: Plant, lost: Lost) -> None:
    if (plant.stack.settings.data / "postgres").exists():
        lose_postgres(plant)
    put_back(plant, lost.backup)
    all_is_there(lost)
