"""Faults of the pipeline's own work: restarts in mid-transaction, the same run twice, overlapping spans, dbt killed."""

import subprocess
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

from stack import environment
from stack.programs import nothing
from stack.rooms import WATERSHED
from stack.settings import REPO
from tests.faults.bout import End, Fault
from tests.faults.killed import SHOWS, postgres_immediate
from tests.faults.plant import CommandFailed, Plant
from tests.faults.steps import Step

BETWEEN_MODELS = "marts_build.region_hourly"
"""A table that dbt writes to when it has built others."""


def postgres_in_mid_transaction() -> Fault:
    """Postgres is restarted at once while a load has replaced a rollup's minutes and is about to commit."""

    def make(plant: Plant) -> End:
        failed: list[str] = []

        def load() -> None:
            try:
                plant.command("load", "load")
            except CommandFailed as error:
                failed.append(str(error))

        loading = threading.Thread(target=load)
        with Step(plant.env["WAREHOUSE_DSN"], "ledger.unpublished") as failpoint:
            loading.start()
            failpoint.reached()
            postgres_immediate().make(plant)
            loading.join()
        assert failed, "a load that lost its database says so"
        return nothing

    return Fault("postgres: immediate restart in mid-transaction", "pipeline", make, SHOWS["postgres"])


def at_once() -> Fault:
    """Two loads and two reprocessings of overlapping spans at the same time: as two runs of a DAG, or two backfills."""

    def make(plant: Plant) -> End:
        now = datetime.now(UTC)
        spans = [(now - timedelta(days=days), now + timedelta(days=1)) for days in (2, 1)]
        loads = [("load", "load")] * 2
        again = [
            ("load", "reprocess", "--from", f"{first:%Y-%m-%d}", "--to", f"{last:%Y-%m-%d}") for first, last in spans
        ]

        def run(words: tuple[str, ...]) -> bool:
            try:
                plant.command(words[0], *words[1:])
            except CommandFailed:
                return False
            return True

        with ThreadPoolExecutor(4) as pool:
            done = list(pool.map(run, [*loads, *again]))
        assert any(done[:2]), "of two loads one is through"
        assert any(done[2:]), "of two reprocessings one is through; the other is refused, or waited"
        return nothing

    return Fault("two loads and two overlapping reprocessings at once", "pipeline", make, ("lander",))


def dbt_between_models() -> Fault:
    """Dbt is killed when it has built some models and not others; the next run takes over its claim and publishes."""

    def make(plant: Plant) -> End:
        _build(plant, kill=True)
        _build(plant)
        return nothing

    return Fault("dbt: kill -9 between models", "pipeline", make, ("postgres",), marts=True)


def publish_all(plant: Plant) -> None:
    """A run of `build_marts`, as its DAG does it."""
    _build(plant)


def _build(plant: Plant, *, kill: bool = False) -> None:
    while plant.command("load", "load")["minutes_left"]:
        time.sleep(0.1)
    run = str(uuid.uuid4())
    if not plant.command("publish", "marts", "claim", "--run-id", run)["hours"]:
        raise AssertionError("nothing to build, though events flow")
    plant.command("gate", "gate", "rollups", "--run-id", run)
    if kill:
        with Step(plant.env["WAREHOUSE_DSN"], BETWEEN_MODELS) as failpoint:
            env = {**environment.base(), "PYTHONPATH": str(REPO), **plant.own("dbt")}
            with subprocess.Popen(
                [WATERSHED, "marts", "build", "--run-id", run],
                env=env, cwd=REPO, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            ) as process:  # fmt: skip
                try:
                    failpoint.reached(180)
                finally:
                    process.kill()
        return
    plant.command("dbt", "marts", "build", "--run-id", run)
    plant.command("gate", "gate", "marts", "--run-id", run)
    published = plant.command("publish", "publish", "--run-id", run)
    assert not published["held"], published
