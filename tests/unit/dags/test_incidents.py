"""An alert once per incident, whatever fails how often in between and whoever restarts."""

import errno
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from stack.settings import REPO

sys.path.insert(0, str(REPO / "dags"))
import incidents

FakeCommand = Callable[[str], Path]


class Night:
    """A task that fails and succeeds, and the alerts that people got."""

    def __init__(self, home: Path, make: FakeCommand, monkeypatch: pytest.MonkeyPatch) -> None:
        self._sent, self._broken, self._patch = home / "sent", home / "broken", monkeypatch
        body = f'[ -e {self._broken} ] && exit 1; echo "$2 $*" >> {self._sent}; echo "{{\\"sent\\": 1}}"'
        monkeypatch.setenv("WATERSHED_BIN", str(make(body)))
        monkeypatch.setenv("AIRFLOW_HOME", str(home))

    def fails(self, task_id: str = "load") -> None:
        incidents.failed({**self._context(task_id), "exception": ValueError("no such table")})

    def succeeds(self, task_id: str = "load") -> None:
        incidents.recovered(self._context(task_id))

    def stands_aside(self, task_id: str = "load") -> None:
        incidents.recovered({**self._context(task_id), "task": SimpleNamespace(stood_aside=True)})

    def run_fails(self, reason: str, *, with_instance: bool = True) -> None:
        dag = SimpleNamespace(dag_id="load_rollups", task_ids=["load"], dagrun_timeout=timedelta(minutes=30))
        instance = self._context("load") if with_instance else {}
        incidents.timed_out({**instance, "dag": dag, "run_id": "r1", "reason": reason})

    @property
    def incident(self) -> Path:
        return self._sent.parent / "incidents" / "load_rollups.load.json"

    def alerts_are(self, *, broken: bool) -> None:
        if broken:
            self._broken.touch()
        else:
            self._broken.unlink()

    @property
    def told(self) -> list[str]:
        return [line.split()[0] for line in self.lines]

    @property
    def lines(self) -> list[str]:
        return self._sent.read_text().splitlines() if self._sent.exists() else []

    def _context(self, task_id: str) -> dict[str, Any]:
        url = "http://127.0.0.1/log"
        return {"ti": SimpleNamespace(dag_id="load_rollups", task_id=task_id, run_id="r1", log_url=url)}


@pytest.fixture
def night(tmp_path: Path, fake_command: FakeCommand, monkeypatch: pytest.MonkeyPatch) -> Night:
    return Night(tmp_path, fake_command, monkeypatch)


def test_a_task_that_fails_each_minute_is_told_once_and_its_recovery_once(night: Night) -> None:
    for _ in range(3):
        night.fails()
    for _ in range(3):
        night.succeeds()
    assert night.told == ["failed", "recovered"]


def test_the_next_incident_is_told_again(night: Night) -> None:
    for _ in range(2):
        night.fails()
        night.succeeds()
    assert night.told == ["failed", "recovered"] * 2


def test_two_tasks_are_two_incidents(night: Night) -> None:
    night.fails("claim")
    night.fails("publish")
    night.succeeds("claim")
    assert night.told == ["failed", "failed", "recovered"]


def test_a_success_without_an_incident_says_nothing(night: Night) -> None:
    night.succeeds()
    assert night.told == []


def test_an_alert_that_could_not_be_sent_is_sent_at_the_next_failure(night: Night) -> None:
    night.alerts_are(broken=True)
    night.fails()
    night.alerts_are(broken=False)
    night.fails()
    night.fails()
    assert night.told == ["failed"]


def test_a_recovery_that_could_not_be_sent_is_sent_at_the_next_success(night: Night) -> None:
    night.fails()
    night.alerts_are(broken=True)
    night.succeeds()
    night.alerts_are(broken=False)
    night.succeeds()
    night.succeeds()
    assert night.told == ["failed", "recovered"]


def test_an_incident_that_nobody_was_told_of_ends_in_silence(night: Night) -> None:
    night.alerts_are(broken=True)
    night.fails()
    night.alerts_are(broken=False)
    night.succeeds()
    assert night.told == []


def test_an_alert_says_which_task_of_which_run_why_and_where_its_log_is(night: Night) -> None:
    night.fails()
    (line,) = night.lines
    for words in (
        "--dag load_rollups",
        "--task load",
        "--run-id r1",
        "--error no such table",
        "--url http://127.0.0.1/log",
    ):
        assert words in line


@pytest.mark.parametrize("with_instance", [True, False])
def test_a_run_whose_time_is_up_is_told_once_and_its_tasks_next_success_ends_it(
    night: Night, with_instance: bool
) -> None:
    for _ in range(2):
        night.run_fails("timed_out", with_instance=with_instance)
    night.succeeds()
    assert night.told == ["failed", "recovered"]
    assert "--task load" in night.lines[0]
    assert "--error the run took longer than 0:30:00 and was cut short" in night.lines[0]


def test_a_run_that_fails_because_of_a_task_adds_nothing_to_that_tasks_alert(night: Night) -> None:
    night.fails()
    night.run_fails("task_failure")
    assert night.told == ["failed"]


def test_a_task_that_stood_aside_ends_no_incident(night: Night) -> None:
    night.fails()
    night.stands_aside()
    assert night.told == ["failed"]
    night.succeeds()
    assert night.told == ["failed", "recovered"]


def test_a_full_disk_does_not_keep_an_alert_back(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, text: str) -> int:
        raise OSError(errno.ENOSPC, f"no space left on device: {text!r} into {path}")

    with monkeypatch.context() as disk:
        disk.setattr(Path, "write_text", full)
        night.fails()
    assert night.told == ["failed"]


@pytest.mark.parametrize("content", ["", "{}", '{"since": 1', "[]"])
def test_of_a_damaged_incident_people_are_told_again_rather_than_never(night: Night, content: str) -> None:
    night.fails()
    night.incident.write_text(content)
    night.fails()
    night.fails()
    assert night.told == ["failed", "failed"]
    night.incident.write_text(content)
    night.succeeds()
    assert night.told == ["failed", "failed", "recovered"]
    assert not night.incident.exists()
