"""A stop ends: promptly where there is nothing to wait for, and by force where waiting is no use."""

import subprocess
import time
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

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
