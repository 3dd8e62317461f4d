"""Cleaning up behind Airflow itself: old rows of its database, old logs of its tasks."""

import os
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from command import say


def cutoff(keep_days: int, now: datetime | None = None) -> datetime:
    """What is older than this instant (UTC) may go.

    :raises ValueError: when less than a day would be kept: the task that cleans would delete itself.
    """
    if keep_days < 1:
        raise ValueError(f"AIRFLOW_KEEP_DAYS is {keep_days}: it must be 1 or more")
    return (now or datetime.now(UTC)) - timedelta(days=keep_days)


def delete_old_logs(folder: Path, before: datetime) -> dict[str, int]:
    """Delete the files under ``folder`` last written before ``before``, and the folders that this leaves empty.

    :return: how many files and bytes went, and how many files stay.
    """
    deleted = freed = kept = 0
    for place, _folders, names in os.walk(folder, topdown=False):
        for name in names:
            path = Path(place, name)
            try:
                seen = path.lstat()
            except FileNotFoundError:
                continue  # Airflow cleans up too
            if seen.st_mtime >= before.timestamp():
                kept += 1
                continue
            path.unlink(missing_ok=True)
            deleted, freed = deleted + 1, freed + seen.st_size
        if Path(place) != folder and not any(Path(place).iterdir()):
            # A run that starts this very moment makes its folder anew if it has to.
            Path(place).rmdir()
    return {"log_files_deleted": deleted, "log_bytes_freed": freed, "log_files_kept": kept}


def clean_database(before: datetime, database: str, airflow: Sequence[str] = (sys.executable, "-m", "airflow")) -> None:
    """Delete rows older than ``before`` from Airflow's database, without archive tables.

    A task is not given the database, so the command runs as a process of its own with ``database`` (an SQLAlchemy URL).

    :raises subprocess.CalledProcessError: when the command fails; what it said is in the log.
    """
    argv = [*airflow, "db", "clean", "--clean-before-timestamp", before.isoformat(), "--skip-archive", "--yes"]
    env = {**os.environ, "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database}
    with subprocess.Popen(argv, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        for line in process.stdout or ():
            say(line.rstrip())
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, argv)
