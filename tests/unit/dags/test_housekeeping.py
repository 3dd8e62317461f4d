"""Airflow's own upkeep: old logs go, new ones stay."""

import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from stack.settings import REPO

sys.path.insert(0, str(REPO / "dags"))
import housekeeping

NOW = datetime(2026, 6, 15, 3, 17, tzinfo=UTC)


def write(path: Path, days_old: float) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("a line\n")
    then = (NOW - timedelta(days=days_old)).timestamp()
    os.utime(path, (then, then))
    return path


def test_old_logs_and_the_folders_they_leave_empty_are_deleted_and_newer_ones_stay(tmp_path: Path) -> None:
    old = write(tmp_path / "dag_id=load_rollups/run_id=a/task_id=load/attempt=1.log", 8)
    new = write(tmp_path / "dag_id=load_rollups/run_id=b/task_id=load/attempt=1.log", 6)
    done = housekeeping.delete_old_logs(tmp_path, housekeeping.cutoff(7, NOW))
    assert done == {"log_files_deleted": 1, "log_bytes_freed": 7, "log_files_kept": 1}
    assert not old.parents[1].exists()
    assert new.exists()


def test_a_run_with_one_new_log_keeps_its_folder(tmp_path: Path) -> None:
    write(tmp_path / "run/task/attempt=1.log", 9)
    kept = write(tmp_path / "run/task/attempt=2.log", 1)
    housekeeping.delete_old_logs(tmp_path, housekeeping.cutoff(7, NOW))
    assert list((tmp_path / "run/task").iterdir()) == [kept]


def test_today_is_never_deleted() -> None:
    with pytest.raises(ValueError, match="AIRFLOW_KEEP_DAYS"):
        housekeeping.cutoff(0, NOW)


def test_a_folder_without_logs_stays_itself(tmp_path: Path) -> None:
    done = housekeeping.delete_old_logs(tmp_path, NOW)
    assert done["log_files_deleted"] == 0
    assert tmp_path.exists()


def test_the_database_is_cleaned_by_airflows_own_command_up_to_the_instant_with_the_database_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "airflow-db-not-allowed:///")
    seen = tmp_path / "seen"
    fake = tmp_path / "airflow"
    fake.write_text(f'#!/bin/sh\necho "$AIRFLOW__DATABASE__SQL_ALCHEMY_CONN $*" > {seen}\n')
    fake.chmod(0o755)
    housekeeping.clean_database(NOW, "postgresql://here", [str(fake)])
    assert seen.read_text() == (
        "postgresql://here db clean --clean-before-timestamp 2026-06-15T03:17:00+00:00 --skip-archive --yes\n"
    )


def test_a_cleaning_that_fails_fails_the_task() -> None:
    with pytest.raises(housekeeping.subprocess.CalledProcessError):
        housekeeping.clean_database(NOW, "postgresql://here", ["/bin/false"])
