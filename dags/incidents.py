"""An alert once per incident: opened by a task's failure, closed by its next success, and remembered in between.

A run whose time is up fails too: of the task in which it was cut short.

An incident is a file, so that neither a restart nor the next minute's failure tells it again. It is marked as told only
when the alert went out, so that an alert which could not be sent is sent at the next failure.
"""

import json
import logging
import os
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import command

log = logging.getLogger("watershed")


def _file(dag_id: str, task_id: str) -> Path:
    return Path(os.environ["AIRFLOW_HOME"]) / "incidents" / f"{dag_id}.{task_id}.json"


def failed(context: Any) -> None:
    """Callback of a task that failed for good: open the incident, or leave it at that when it is open and told."""
    _open(context["ti"], str(context.get("exception") or "unknown"))


def timed_out(context: Any) -> None:
    """Callback of a run that failed: an incident of the task that it was cut short in, when its time was up.

    Airflow *skips* what is unfinished when a run's time is up: that task's own callback is never called. A run that
    failed because of a task has nothing to add to that task's callback.
    """
    if context.get("reason") != "timed_out":
        return
    # Without an instance, as of a run from before an upgrade, it is the first task: its next success ends the incident.
    first = SimpleNamespace(dag_id=context["dag"].dag_id, task_id=context["dag"].task_ids[0], run_id=context["run_id"])
    _open(context.get("ti") or first, f"the run took longer than {context['dag'].dagrun_timeout} and was cut short")


def recovered(context: Any) -> None:
    """Callback of a task that succeeded, or found nothing to do: close its incident, if there is one.

    A task that stood aside has tried nothing, and says nothing about what failed.
    """
    if getattr(context.get("task"), "stood_aside", False):
        return
    task = context["ti"]
    path = _file(task.dag_id, task.task_id)
    known = _read(path)
    if known and (known["told"] is False or _notify("recovered", task, known["since"], "")):
        path.unlink(missing_ok=True)


def _open(task: Any, error: str) -> None:
    path = _file(task.dag_id, task.task_id)
    known = _read(path) or {"since": datetime.now(UTC).isoformat(timespec="seconds"), "told": False}
    if known["told"]:
        log.info("the incident of %s.%s is open since %s", task.dag_id, task.task_id, known["since"])
        return
    # Told first: a full disk is among the causes of a night's failures, and must not keep anybody asleep.
    told = _notify("failed", task, known["since"], error)
    try:
        _write(path, known["since"], told=told)
    except OSError:
        log.exception("the incident could not be written down: its next failure will be told again")


def _read(path: Path) -> dict[str, Any] | None:
    """What is known of an incident; nothing when there is none. Of a damaged file, whether it was told is not known."""
    try:
        known: dict[str, Any] = json.loads(path.read_text())
        return {"since": str(known["since"]), "told": bool(known["told"])}
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        log.exception("%s is damaged: its incident will be told again", path)
        return {"since": datetime.now(UTC).isoformat(timespec="seconds"), "told": None}


def _write(path: Path, since: str, *, told: bool) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(f".{os.getpid()}")
    draft.write_text(json.dumps({"since": since, "told": told}))
    draft.replace(path)


def _notify(state: str, task: Any, since: str, error: str) -> bool:
    words = ["notify", state, "--dag", task.dag_id, "--task", task.task_id, "--since", since]
    words += ["--run-id", str(task.run_id), "--url", str(getattr(task, "log_url", "") or ""), "--error", error[:500]]
    try:
        command.run([*words, "--json"], "notify")
    except (command.CommandFailed, command.CommandMisused):
        log.exception("the alert could not be sent; it will be tried again")
        return False
    return True
