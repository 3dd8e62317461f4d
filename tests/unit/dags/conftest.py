"""Runs ``airflow_side.py`` with the Python of Airflow's environment, in an AIRFLOW_HOME of its own."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stack.settings import LOCAL, REPO

DAGS = REPO / "dags"
RANDOM = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFG="
MANIFEST = {
    "metadata": {"adapter_type": "postgres"},
    "sources": {},
    "nodes": {
        f"model.watershed.{name}": {
            "unique_id": f"model.watershed.{name}",
            "resource_type": "model",
            "package_name": "watershed",
            "name": name,
            "original_file_path": f"models/marts/{name}.sql",
            "depends_on": {"nodes": after},
            "tags": [],
            "config": {"tags": [], "meta": {}, "materialized": "incremental"},
            "fqn": ["watershed", "marts", name],
        }
        for name, after in (("region_hourly", []), ("region_daily", ["model.watershed.region_hourly"]))
    },
}
"""What ``dbt parse`` writes, cut down to what Cosmos reads: two models, one after the other."""


class AirflowSide:
    """Runs the script; ``bin`` is a folder for fake commands."""

    def __init__(self, place: Path) -> None:
        self._place = place
        manifest = place / "manifest.json"
        manifest.write_text(json.dumps(MANIFEST))
        self.env = {
            "PATH": os.environ["PATH"],
            "HOME": str(place),
            "PYTHONPYCACHEPREFIX": str(place / "__pycache__"),  # as in a fresh clone: nothing compiled yet
            "AIRFLOW_HOME": str(place / "airflow"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__FERNET_KEY": RANDOM,
            "AIRFLOW__API__SECRET_KEY": RANDOM,
            "AIRFLOW__API_AUTH__JWT_SECRET": RANDOM,
            "AIRFLOW__COSMOS__ENABLE_CACHE": "False",
            "AIRFLOW__COSMOS__ENABLE_TELEMETRY": "False",
            "DBT_MANIFEST": str(manifest),
            "DBT_BIN": "/bin/true",
            "WATERSHED_BIN": "/bin/false",
        }

    def run(self, *arguments: str, **env: str) -> dict[str, Any]:
        """The object that the script prints last."""
        script = Path(__file__).parent / "airflow_side.py"
        python = LOCAL / "envs" / "airflow" / "bin" / "python"
        done = subprocess.run(
            [python, script, *arguments], env={**self.env, **env}, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr[-3000:]
        result: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
        return result

    def execute(self, case: dict[str, Any], binary: Path | None = None) -> dict[str, Any]:
        """Run an operator as ``case`` says, with ``binary`` for the watershed command."""
        return self.run("execute", str(DAGS), json.dumps(case), WATERSHED_BIN=str(binary or "/bin/false"))


@pytest.fixture(scope="session")
def airflow_side(tmp_path_factory: pytest.TempPathFactory) -> AirflowSide:
    """Airflow's environment, started anew for each question."""
    return AirflowSide(tmp_path_factory.mktemp("airflow"))


@pytest.fixture(scope="session")
def facts(airflow_side: AirflowSide) -> dict[str, Any]:
    """Every DAG of the repository as Airflow understands it."""
    return airflow_side.run("facts", str(DAGS))


FakeCommand = Callable[[str], Path]


@pytest.fixture
def fake_command(tmp_path: Path) -> FakeCommand:
    """Makes an executable of a shell script's body."""

    def make(body: str) -> Path:
        path = tmp_path / "watershed"
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)
        return path

    return make
