"""Running the watershed command for a task."""

import importlib.util
import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from stack.settings import REPO

FakeCommand = Callable[[str], Path]


def load_module(name: str) -> ModuleType:
    """A module of the DAGs' folder, which is no package: Airflow puts the folder itself on the path."""
    spec = importlib.util.spec_from_file_location(f"dags_{name}", REPO / "dags" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


command = load_module("command")


@pytest.fixture
def run(fake_command: FakeCommand, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], dict[str, object]]:
    def with_script(body: str) -> dict[str, object]:
        monkeypatch.setenv("WATERSHED_BIN", str(fake_command(body)))
        result: dict[str, object] = command.run(["load", "--json"], "load")
        return result

    return with_script


Run = Callable[[str], dict[str, object]]


def test_the_last_line_is_the_result_and_the_lines_before_are_the_log(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    assert run("""echo "page_view: 3 minutes"; echo "arguments $*"; echo '{"changed": 3}'""") == {"changed": 3}
    assert caplog.messages == ["page_view: 3 minutes", "arguments load --json"]


def test_structured_lines_are_logged_in_words_and_at_their_own_level(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    run("""echo '{"event": "late", "level": "warning", "service": "load", "type": "signup"}' >&2; echo '{}'""")
    assert [(record.levelname, record.message) for record in caplog.records] == [("WARNING", "late type=signup")]


@pytest.mark.parametrize("line", ["[1]", "{", '{"level": "no such"}', "plain", '{"level": 3, "event": "x"}'])
def test_any_other_line_is_logged_as_it_is(run: Run, caplog: pytest.LogCaptureFixture, line: str) -> None:
    caplog.set_level(logging.INFO)
    run(f"echo '{line}' >&2; echo '{{}}'")
    assert caplog.messages == [line]


def test_a_command_sees_its_own_settings_and_none_of_airflows(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AIRFLOW__CORE__FERNET_KEY", "AIRFLOW_MAINTENANCE_DSN", "_AIRFLOW__X", "PYTHONPATH"):
        monkeypatch.setenv(name, "secret")
    monkeypatch.setenv("LOADER_DSN", "postgresql://loader")
    result = run(
        """printf '{"airflow": "%s", "dsn": "%s"}\\n' "$(env | grep -c -e AIRFLOW -e PYTHONPATH)" "$LOADER_DSN" """
    )
    assert result == {"airflow": "0", "dsn": "postgresql://loader"}


def test_a_command_is_given_its_own_rooms_values_and_no_other_rooms() -> None:
    environ = {
        "PATH": "/bin",
        "DBT_DSN": "dbt's, for dbt itself",
        "ROOM__LOAD__LOADER_DSN": "loader's",
        "ROOM__LOAD__AWS_ACCESS_KEY_ID": "load's",
        "ROOM__GATE__GATE_DSN": "gate's",
        "ROOM__DBT__DBT_DSN": "dbt's",
    }
    width = {"COLUMNS": "160", "PATH": "/bin"}
    assert command.environment(environ, "load") == {
        **width,
        "LOADER_DSN": "loader's",
        "AWS_ACCESS_KEY_ID": "load's",
    }
    assert command.environment(environ, "gate") == {**width, "GATE_DSN": "gate's"}
    assert command.environment(environ, "dbt") == {**width, "DBT_DSN": "dbt's"}


def test_where_values_are_not_sorted_by_room_a_command_is_given_them_as_they_are() -> None:
    assert command.environment({"LOADER_DSN": "x"}, "load")["LOADER_DSN"] == "x"


@pytest.mark.parametrize("script", ["true", "echo words", "echo '[]'", "echo '{}'; echo afterthought"])
def test_a_command_that_breaks_its_promise_is_misused(run: Run, script: str) -> None:
    with pytest.raises(command.CommandMisused):
        run(script)


def test_a_wrong_call_and_a_failure_are_told_apart(run: Run) -> None:
    with pytest.raises(command.CommandMisused):
        run("exit 2")
    with pytest.raises(command.CommandFailed) as failed:
        run("""echo '{"changed": 1}'; exit 1""")
    assert (failed.value.result, failed.value.code) == ({"changed": 1}, 1)


def test_a_command_with_much_to_say_on_both_channels_does_not_stall(run: Run) -> None:
    noise = "i=0; while [ $i -lt 3000 ]; do echo 'a line of some forty characters, for the pipe' >&2; i=$((i+1)); done"
    assert run(f"{noise}; {noise.replace(' >&2', '')}; echo '{{\"done\": true}}'") == {"done": True}


def test_a_command_does_not_outlive_a_task_that_is_stopped(
    run: Run, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    class Stopped(BaseException):
        """As Airflow's timeout."""

    def stop(_signal: int, _frame: object) -> None:
        raise Stopped

    pid = tmp_path / "pid"
    previous = signal.signal(signal.SIGALRM, stop)

    def when_it_runs() -> None:
        # Two lines, each logged when the next has come: by then the command is waited for and no longer being started.
        while "up" not in caplog.messages:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGALRM)

    watcher = threading.Thread(target=when_it_runs)
    watcher.start()
    try:
        with pytest.raises(Stopped):
            run(f"echo $$ > {pid}; echo up; echo running; exec sleep 60")
    finally:
        signal.signal(signal.SIGALRM, previous)
        watcher.join()
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)
