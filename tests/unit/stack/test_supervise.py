"""A stop ends: promptly where there is nothing to wait for, and by force where waiting is no use."""

import subprocess
import time
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from supervisor.options import ServerOptions

from stack.programs import Program, StackError
from stack.supervise import Supervisor, ended


@pytest.fixture
def supervisor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Supervisor:
    """One that takes the order to shut down and leaves the rest to its process."""
    (tmp_path / "run").mkdir()
    made = Supervisor(tmp_path, tmp_path / "logs", tmp_path / "run")
    monkeypatch.setattr(made, "_rpc", lambda: SimpleNamespace(shutdown=lambda: None))
    return made


def test_a_process_that_ended_and_that_nobody_reaps_is_not_waited_for(supervisor: Supervisor, tmp_path: Path) -> None:
    with subprocess.Popen(["true"]) as unreaped:
        process = psutil.Process(unreaped.pid)
        while process.status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.01)
        assert ended(unreaped.pid)
        (tmp_path / "run" / "supervisord.pid").write_text(f"{unreaped.pid}\n")
        start = time.monotonic()
        supervisor.stop(seconds=60)
        assert time.monotonic() - start < 30


def test_a_supervisor_that_does_not_end_is_killed(supervisor: Supervisor, tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "600"]) as stubborn:
        (tmp_path / "run" / "supervisord.pid").write_text(f"{stubborn.pid}\n")
        assert not ended(stubborn.pid)
        supervisor.stop(seconds=0.1)
        assert stubborn.wait(timeout=5) == -9


def test_a_process_that_is_gone_has_ended() -> None:
    with subprocess.Popen(["true"]) as process:
        process.wait()
    assert ended(process.pid)


def program(value: str) -> Program:
    return Program(name="one", argv=["true"], env={"VALUE": value}, not_ready=lambda: None)


@pytest.mark.parametrize(
    "value", ["", "a, b", "100 %(done)s", '{"type": "http", "key": "a#b;c"}', "back\\slash", "it's", "K=\u00e9"]
)
def test_a_program_is_given_the_values_as_they_are(supervisor: Supervisor, tmp_path: Path, value: str) -> None:
    supervisor.configure([program(value)])
    read = ServerOptions()
    read.configfile = str(tmp_path / "run" / "supervisord.conf")
    read.process_config(do_usage=False)
    assert read.process_group_configs[0].process_configs[0].environment["VALUE"] == value


@pytest.mark.parametrize("value", ["""both ' and " here""", "at the end'", '"at both"'])
def test_a_value_that_a_program_would_be_given_otherwise_is_refused(supervisor: Supervisor, value: str) -> None:
    with pytest.raises(StackError, match="quotes"):
        supervisor.configure([program(value)])
