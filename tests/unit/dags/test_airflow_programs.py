"""What the stack tells Airflow's four processes, and what Airflow refuses."""

import json
import os
import socket
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from stack import airflow, lineage, secrets
from stack.programs import Program, StackError, Step
from stack.settings import REPO, StackSettings

LOCAL_SETTINGS = REPO / "dags" / "config"
KEYS = ("AIRFLOW__CORE__FERNET_KEY", "AIRFLOW__API__SECRET_KEY", "AIRFLOW__API_AUTH__JWT_SECRET")


@pytest.fixture
def settings(tmp_path: Path) -> StackSettings:
    return StackSettings(watershed_state=tmp_path, port_offset=7000)


@pytest.fixture
def known(tmp_path: Path) -> dict[str, str]:
    return dict(secrets.load(tmp_path / "secrets.json"))


def start(env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """What every Airflow process does first."""
    argv = [sys.executable, "-c", "import airflow_local_settings"]
    full = {"PATH": os.environ["PATH"], "PYTHONPATH": str(LOCAL_SETTINGS), **env}
    return subprocess.run(argv, env=full, capture_output=True, text=True, check=False)


def test_airflow_starts_with_the_secrets_that_the_stack_generates(
    settings: StackSettings, known: dict[str, str]
) -> None:
    variables = airflow.variables(settings, known)
    assert start({name: variables[name] for name in KEYS}).returncode == 0


@pytest.mark.parametrize("name", KEYS)
@pytest.mark.parametrize(
    "value", ["", "short", "a" * 64, "changeme-changeme-changeme-changeme-1234567890", "temporary_key" * 4]
)
def test_airflow_refuses_a_secret_that_is_missing_or_weak_and_names_it(
    settings: StackSettings, known: dict[str, str], name: str, value: str
) -> None:
    variables = airflow.variables(settings, known)
    done = start({**{key: variables[key] for key in KEYS}, name: value})
    assert done.returncode == 1
    assert name in done.stderr
    assert value == "" or value not in done.stderr


def test_everything_listens_on_this_machine_only(settings: StackSettings, known: dict[str, str]) -> None:
    variables = airflow.variables(settings, known)
    assert variables["AIRFLOW__API__HOST"] == "127.0.0.1"
    assert variables["AIRFLOW__API__PORT"] == "28080"
    assert variables["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] == "http://127.0.0.1:28080/execution/"
    for program in airflow.programs(settings, known):
        if program.name in {"airflow-scheduler", "airflow-triggerer"}:
            assert "--skip-serve-logs" in program.argv  # those servers would listen on every address


def test_what_a_killed_scheduler_had_in_hand_is_anothers_within_a_minute(
    settings: StackSettings, known: dict[str, str]
) -> None:
    """`make faults` kills one. It is dead to Airflow after 30 s, and its tasks are sought only every so often."""
    variables = airflow.variables(settings, known)
    dead_after = float(variables.get("AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD", "30"))
    sought_every = float(variables.get("AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL", "300"))
    assert dead_after + sought_every <= 60


def test_nothing_is_said_to_the_outside(settings: StackSettings, known: dict[str, str]) -> None:
    variables = airflow.variables(settings, known)
    assert variables["AIRFLOW__COSMOS__ENABLE_TELEMETRY"] == "False"
    assert variables["AIRFLOW__OPENLINEAGE__DISABLED"] == "True"
    assert variables["DO_NOT_TRACK"] == "1"
    told = lineage.variables(settings, known)
    assert json.loads(told["AIRFLOW__OPENLINEAGE__TRANSPORT"])["log_file_path"] == str(lineage.file(settings))


def test_only_the_scheduler_tells_of_lineage_and_keeps_the_key_to_itself(
    settings: StackSettings, known: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "key").write_text("marquez-key")
    posting = settings.model_copy(
        update={"openlineage_url": "http://marquez:5000", "openlineage_key_file": str(tmp_path / "key")}
    )
    for program in airflow.programs(posting, known):
        telling = program.name == "airflow-scheduler"
        assert (program.env["AIRFLOW__OPENLINEAGE__DISABLED"] == "False") is telling, program.name
        assert any("marquez-key" in value for value in program.env.values()) is telling, program.name


def test_lineage_can_be_left_out(settings: StackSettings, known: dict[str, str]) -> None:
    without = settings.model_copy(update={"openlineage_file_mb": 0})
    assert lineage.variables(without, known) == {}
    assert all(p.env["AIRFLOW__OPENLINEAGE__DISABLED"] == "True" for p in airflow.programs(without, known))


def test_a_key_that_cannot_be_read_is_said_before_anything_starts(
    settings: StackSettings, known: dict[str, str], tmp_path: Path
) -> None:
    wrong = {"openlineage_url": "http://marquez:5000", "openlineage_key_file": str(tmp_path / "nowhere")}
    with pytest.raises(StackError, match="OPENLINEAGE_KEY_FILE"):
        airflow.programs(settings.model_copy(update=wrong), known)


def test_a_task_waits_for_lineage_no_longer_than_four_answers_take_and_two_seconds(
    settings: StackSettings, known: dict[str, str]
) -> None:
    slow = settings.model_copy(update={"openlineage_url": "http://marquez:5000", "openlineage_seconds": 1.5})
    assert lineage.variables(slow, known)["AIRFLOW__OPENLINEAGE__EXECUTION_TIMEOUT"] == "8"


def test_only_the_scheduler_whose_workers_run_tasks_has_the_rooms_credentials(
    settings: StackSettings, known: dict[str, str]
) -> None:
    own = {"airflow", "airflow_fernet_key", "airflow_secret_key", "airflow_jwt_secret"}
    rooms = {"loader", "dbt", "gate", "publisher", "spark", "s3_load_access", "s3_load_secret"}
    rooms |= {"maintainer", "s3_maintain_access", "s3_maintain_secret"}
    rooms |= {"reader", "s3_report_access", "s3_report_secret", "alerter", "superset_reporter", "repairer"}
    rooms |= {"bookkeeper"}
    for program in airflow.programs(settings, known):
        values = "\n".join(program.env.values())
        held = {name for name, secret in known.items() if secret in values}
        assert held == (own | rooms if program.name == "airflow-scheduler" else own), program.name


def test_no_secret_is_on_a_command_line(settings: StackSettings, known: dict[str, str]) -> None:
    words = [str(word) for program in airflow.programs(settings, known) for word in program.argv]
    assert not set(words) & set(known.values())


def test_the_database_is_prepared_before_the_first_process_and_the_api_before_the_others(
    settings: StackSettings, known: dict[str, str]
) -> None:
    step, server, *others = airflow.parts(settings, known)
    assert isinstance(step, Step)
    assert server.needs == (step.name,)
    assert isinstance(server, Program)
    assert {program.name for program in others} == {"airflow-dag-processor", "airflow-triggerer", "airflow-scheduler"}
    assert all(server.name in program.needs for program in others)


def test_a_process_that_does_not_answer_is_not_ready_and_says_where_it_was_asked(
    settings: StackSettings, known: dict[str, str]
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        elsewhere = settings.model_copy(update={"airflow_port": free.getsockname()[1], "port_offset": 0})
    server = airflow.programs(elsewhere, known)[0]
    reason = server.not_ready()
    assert reason is not None
    assert "/api/v2/monitor/health" in reason


@pytest.mark.parametrize(("silent", "red"), [(1, ""), (9, "has given no sign for 9 s")])
def test_a_scheduler_that_hangs_is_not_ready_before_airflow_itself_says_so(
    settings: StackSettings, known: dict[str, str], monkeypatch: pytest.MonkeyPatch, silent: int, red: str
) -> None:
    last = (datetime.now(UTC) - timedelta(seconds=silent)).isoformat()
    told = {
        "scheduler": {"status": "healthy", "latest_scheduler_heartbeat": last},
        "triggerer": {"status": "healthy", "latest_triggerer_heartbeat": last},
    }
    answer = httpx.Response(200, json=told, request=httpx.Request("GET", "http://airflow"))
    monkeypatch.setattr(httpx, "get", lambda *_, **__: answer)
    asked = {program.name: program.not_ready for program in airflow.programs(settings, known)}
    assert asked["airflow-triggerer"]() is None
    assert (red in (asked["airflow-scheduler"]() or "")) if red else asked["airflow-scheduler"]() is None


def test_the_pools_are_in_the_form_that_airflow_imports() -> None:
    pools = json.loads((REPO / "dags" / "pools.json").read_text())
    for name, pool in pools.items():
        assert set(pool) == {"slots", "description", "include_deferred"}, name
        assert pool["slots"] >= 1, name
