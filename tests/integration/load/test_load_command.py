"""`watershed load` as Airflow and people run it: a process, its last line, its exit code."""

import json
import os
import subprocess
import sys

import pytest

from stack.settings import LOCAL


@pytest.fixture
def watershed(stack, probe):
    """Runs a `watershed` command that knows only the probe's type."""

    def run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        known = {**os.environ, **stack.own("load"), "CONTRACTS_DIR": str(probe.folder), **environment}
        command = [sys.executable, "-c", "from cli.main import main; main()", *words]
        return subprocess.run(command, env=known, capture_output=True, text=True, check=False, timeout=300)

    return run


def test_the_last_line_says_what_changed(probe, tenant, watershed, arrival):
    probe.arrive(tenant, arrival(event=1, sequence=1))
    done = watershed("load", "--json")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    assert (said["changed"], said["minutes_left"], said["failed"]) == (1, 0, {})
    assert said["types"][probe.contract.type]["events_read"] == 1
    assert said["reads"] == [f"lake.{probe.contract.table}"]
    assert said["writes"] == [f"rollups.{probe.contract.rollup_table}"]
    again = json.loads(watershed("load", "--json").stdout.splitlines()[-1])
    assert (again["changed"], again["idle"]) == (0, [probe.contract.type])
    assert again["reads"] == again["writes"] == []


def test_a_load_without_json_is_for_people(probe, tenant, watershed, arrival):
    probe.arrive(tenant, arrival(event=1, sequence=1))
    said = watershed("load", "--type", probe.contract.type).stdout
    assert probe.contract.type in said
    assert "new events" in said


def test_an_unknown_type_is_a_usage_error(watershed):
    done = watershed("load", "--type", "no_such_type")
    assert done.returncode == 2
    assert "no_such_type" in done.stderr


def test_without_spark_the_load_fails_by_exit_code_and_says_which_type(probe, tenant, watershed, arrival):
    probe.arrive(tenant, arrival(event=1, sequence=1))
    done = watershed("load", "--json", SPARK_REMOTE="sc://127.0.0.1:1")
    assert done.returncode == 1
    assert list(json.loads(done.stdout.splitlines()[-1])["failed"]) == [probe.contract.type]
    assert probe.load().loads[0].minutes_recomputed == 1


def test_a_spark_master_of_ones_own_gives_the_same(probe, tenant, watershed, arrival):
    probe.arrive(tenant, arrival(event=1, sequence=1))
    done = watershed("load", "--json", SPARK_MASTER="local[1]", SPARK_JARS=str(LOCAL / "jars" / "spark" / "*.jar"))
    assert done.returncode == 0, done.stderr
    assert [row["seen"] for row in probe.rollup(tenant)] == [1]
