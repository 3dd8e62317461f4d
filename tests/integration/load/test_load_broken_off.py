"""A load is killed, or cut off, at each of its steps: the next makes it good, and nothing is counted twice."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import pytest

from spark_jobs.load_rollups import Summary, load
from tests.faults.steps import Step
from tests.faults.wire import Wire
from tests.integration.lander.processes import wait_for

LOADERS = "select count(*) as n from pg_stat_activity where usename = 'loader' and datname = current_database()"
STEPS = {
    "before step 1": ("ledger.loads",),
    "in step 1": ("ledger.touched",),
    "at the end of step 1": ("ledger.touched", "ledger.cursors"),
    "between the steps": ("{rollup}",),
    "in step 2, with the rollup replaced": ("ledger.cells",),
    "at the end of step 2": ("ledger.unpublished",),
    "after step 2": ("ledger.unpublished", "ledger.loads"),
}
"""Where a load is broken off: which tables it has to write to until then."""


class Loading:
    """Loads of the probe's type that are broken off."""

    def __init__(self, stack: Any, probe: Any) -> None:
        self._probe, self._env, self._owner = probe, stack.own("load"), stack.env["WAREHOUSE_DSN"]

    def at(self, step: str) -> Step:
        """Stops whoever loads at this step."""
        return Step(
            self._owner, *(t.format(rollup=f"rollups.{self._probe.contract.rollup_table}") for t in STEPS[step])
        )

    def kill_at(self, step: str) -> None:
        """Begin a load as a process of its own, and kill it."""
        command = [
            sys.executable,
            "-c",
            "from cli.main import main; main()",
            "load",
            "--type",
            self._probe.contract.type,
        ]
        env = {**os.environ, **self._env, "CONTRACTS_DIR": str(self._probe.folder)}
        with self.at(step) as failpoint:
            process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                failpoint.reached()
            finally:
                process.kill()
                process.wait()
        self.gone()

    def unheard_at(self, step: str) -> Summary:
        """Load, and lose what Postgres says to the commit that follows ``step``."""
        dsn: str = self._probe.settings.loader_dsn
        server = urlsplit(dsn)
        wire = Wire(server.hostname or "", server.port or 0)
        wired = self._probe.settings.model_copy(
            update={"loader_dsn": dsn.replace(f":{server.port}/", f":{wire.port}/")}
        )
        try:
            with self.at(step) as failpoint, ThreadPoolExecutor(1) as pool:
                running = pool.submit(load, [self._probe.contract], wired)
                failpoint.reached()
                wire.lose_reply_to(b"COMMIT")
                failpoint.release()
                summary = running.result(120)
        finally:
            wire.close()
        assert wire.lost == 1
        self.gone()
        return summary

    def gone(self) -> None:
        """Wait until Postgres has noticed."""
        wait_for("its session is gone", lambda: self._probe.query(LOADERS)[0]["n"] == 0)


@pytest.fixture
def loading(stack: Any, probe: Any) -> Loading:
    return Loading(stack, probe)


@pytest.mark.parametrize("step", STEPS)
def test_a_load_killed_at_any_step_is_made_good_by_the_next(probe, tenant, arrival, loading, step):
    probe.arrive(tenant, arrival(event=1))
    probe.load()
    old = (probe.rollup(tenant), probe.cells(tenant))
    probe.arrive(tenant, arrival(event=2, sequence=2), arrival(event=1, sequence=3))
    loading.kill_at(step)
    if step == "after step 2":
        assert [row["seen"] for row in probe.rollup(tenant)] == [2], "what was replaced stays replaced"
    else:
        assert (probe.rollup(tenant), probe.cells(tenant)) == old, "the old minute is whole"
    probe.load()
    assert [row["seen"] for row in probe.rollup(tenant)] == [2]
    assert [(c["landed"], c["counted"], c["duplicates"]) for c in probe.cells(tenant)] == [(3, 2, 1)]
    assert probe.touched(tenant) == []


def test_what_is_quarantined_by_a_load_that_is_killed_is_booked_once(probe, tenant, arrival, loading):
    """It is added to the books, not put in their place: noted and booked are one transaction, or it would be twice."""
    type_, floor = probe.contract.type, datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
    probe.arrive(tenant, arrival(event=1))
    probe.load()
    before = probe.cells(tenant)
    probe.arrive(tenant, arrival(event=2, sequence=2), arrival(event=3, sequence=3, minute=60))
    probe.watershed.execute("insert into ledger.lake_floor (type, floor) values (%s, %s)", (type_, floor))
    try:
        loading.kill_at("at the end of step 1")
        assert probe.cells(tenant) == before
        assert probe.load().loads[0].quarantined == 1
        assert [(c["landed"], c["counted"], c["quarantined"]) for c in probe.cells(tenant)] == [(2, 1, 1), (1, 1, 0)]
    finally:
        probe.watershed.execute("delete from ledger.lake_floor where type = %s", (type_,))


@pytest.mark.parametrize("step", ["at the end of step 1", "at the end of step 2"])
def test_a_load_that_hears_nothing_of_its_commit_is_made_good_by_the_next(probe, tenant, arrival, loading, step):
    probe.arrive(tenant, arrival(event=1))
    probe.load()
    probe.arrive(tenant, arrival(event=2, sequence=2))
    summary = loading.unheard_at(step)
    assert list(summary.failed) == [probe.contract.type]
    if step == "at the end of step 1":
        assert len(probe.touched(tenant)) == 1, "what landed is noted"
    else:
        assert [row["seen"] for row in probe.rollup(tenant)] == [2], "it is counted"
    probe.load()
    assert [row["seen"] for row in probe.rollup(tenant)] == [2]
    assert [(c["landed"], c["counted"]) for c in probe.cells(tenant)] == [(2, 2)]
    assert probe.touched(tenant) == []
