"""A type that exists nowhere in the code: scaffolded, sent over HTTP, landed, and summed in its rollup."""

import os
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from confluent_kafka.admin import AdminClient
from psycopg import sql

from collector.keys import KeyFile, KeyKind
from collector.lake import LakeSettings, open_catalog
from collector.sender import Sender
from contracts.model import Contract
from contracts.registry import Registry
from contracts.scaffold import scaffold
from demo import compare, send
from demo.generate import Plan
from spark_jobs.load_rollups import load
from spark_jobs.settings import LoadSettings

REPO = Path(__file__).resolve().parents[3]
LEDGER = ("touched", "cells", "cursors", "unpublished", "loads", "landed")


def _free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def _wait_until(holds: Callable[[], object], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        time.sleep(0.2)


def _ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health/ready", trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """One type of a new name; its folder is all there is of it."""
    name = f"level_up_{uuid.uuid4().hex[:8]}"
    scaffold(name, tmp_path / "contracts")
    return Registry.load(tmp_path / "contracts")


@pytest.fixture
def env(stack: Any, registry: Registry, tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment of processes that know the new type only, on the stack's servers."""
    found = {
        **os.environ,
        **stack.env,
        "CONTRACTS_DIR": str(registry.path),
        "PYTHONPATH": str(REPO),
        "COLLECTOR_PORT": _free_port(),
        "COLLECTOR_STATE_DIR": str(tmp_path / "collector"),
        "KEYS_FILE": str(tmp_path / "keys.json"),
        "LANDER_PORT": _free_port(),
        "LAND_SECONDS": "1",
    }
    yield found
    (contract,) = registry
    _forget(found, contract)


@pytest.fixture
def tenant() -> str:
    """A tenant that nobody else has."""
    return f"t-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def key(env: dict[str, str], tenant: str) -> str:
    """The tenant's write key, in a file of its own."""
    return KeyFile(Path(env["KEYS_FILE"])).create(tenant, KeyKind.SERVER)[1]


@pytest.fixture
def processes(stack: Any, env: dict[str, str], key: str, tmp_path: Path) -> Iterator[None]:
    """Topic, tables and schemas made by the commands, then a collector and a lander."""
    for words in (["topics", "ensure"], ["lake", "ensure"], ["warehouse", "migrate"]):
        argv = [sys.executable, "-c", "from cli.main import main; main()", *words]
        done = subprocess.run(argv, env=env, cwd=REPO, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
    running: list[subprocess.Popen[bytes]] = []
    try:
        for module, room, port in (
            ("collector.serve", "collector", "COLLECTOR_PORT"),
            ("collector.lander", "lander", "LANDER_PORT"),
        ):
            own = {**env, **stack.own(room), "KEYS_FILE": env["KEYS_FILE"]}
            with (tmp_path / f"{module}.log").open("wb") as log:
                argv = [sys.executable, "-m", module]
                running.append(subprocess.Popen(argv, env=own, cwd=REPO, stdout=log, stderr=log))
            _wait_until(lambda port=port: _ready(f"http://127.0.0.1:{env[port]}"), 60, f"{module} is ready")
        yield
    finally:
        for process in running:
            process.terminate()
        statuses = [process.wait(60) for process in running]
    assert statuses == [0, 0]


@pytest.fixture
def settings(stack: Any, processes: None) -> LoadSettings:
    """What a load is told, with the pipeline before it at work."""
    own = {name.lower(): value for name, value in stack.own("load").items()}
    return LoadSettings(**{name: own[name] for name in LoadSettings.model_fields if name in own})


def _forget(env: Mapping[str, str], contract: Contract) -> None:
    with psycopg.connect(env["WAREHOUSE_DSN"], autocommit=True) as owner:
        owner.execute(
            sql.SQL("drop table if exists {}").format(sql.Identifier("rollups", contract.rollup_table)),
        )
        for table in LEDGER:
            owner.execute(
                sql.SQL("delete from {} where type = %s").format(sql.Identifier("ledger", table)), (contract.type,)
            )
    catalog = open_catalog(LakeSettings(**{name.lower(): value for name, value in env.items()}))
    if catalog.table_exists(contract.table):
        catalog.purge_table(contract.table)
    AdminClient({"bootstrap.servers": env["KAFKA_BOOTSTRAP_SERVERS"]}).delete_topics([contract.topic])


def _landed(env: Mapping[str, str], contract: Contract) -> int:
    catalog = open_catalog(LakeSettings(**{name.lower(): value for name, value in env.items()}))
    snapshot = catalog.load_table(contract.table).current_snapshot()
    return int(snapshot.summary["total-records"]) if snapshot is not None and snapshot.summary is not None else 0


def test_a_type_that_is_one_folder_reaches_its_rollup(
    env: dict[str, str], registry: Registry, tenant: str, key: str, settings: LoadSettings
) -> None:
    (contract,) = registry
    plan = Plan.history(seed=1, end=datetime.now(UTC), days=2, total=400_000)  # of a type of its own: 1 in 200
    with Sender(f"http://127.0.0.1:{env['COLLECTOR_PORT']}", key) as sender:
        truth, report = send.history(plan, registry, sender, tenant)
    assert truth.sent["new"] == 2000
    assert truth.sent["again"] > 0
    _wait_until(lambda: _landed(env, contract) == report.accepted, 60, "all that was accepted is in the lake")

    summary = load(registry, settings)

    assert not summary.failed
    with psycopg.connect(env["LOADER_DSN"]) as loader:
        assert compare.rollups(loader, truth, registry) == []
        query = sql.SQL("select sum(events), count(distinct region) from {} where tenant = %s").format(
            sql.Identifier("rollups", contract.rollup_table)
        )
        row = loader.execute(query, (tenant,)).fetchone()
    assert row is not None
    assert row[0] == 2000
    assert row[1] >= 3
