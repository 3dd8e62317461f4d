"""An alert once per incident: opened by a task's failure, closed by its next success, and remembered in between.

An incident is a file, so that neither a restart nor the next minute's failure tells it again. It is marked as told only
when the alert went out, so that an alert which could not be sent is sent at the next failure.
"""

import json
import logging
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import command

log = logging.getLogger("watershed")


def _file(dag_id: str, task_id: str) -> Path:
    return Path(os.environ["AIRFLOW_HOME"]) / "incidents" / f"{dag_id}.{task_id}.json"


def failed(context: Any) -> None:
    """Callback of a task that failed for good: open the incident, or leave it at that when it is open and told."""
    task = context["ti"]
    path = _file(task.dag_id, task.task_id)
    known: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    if known.get("told"):
        log.info("the incident of %s.%s is open since %s", task.dag_id, task.task_id, known["since"])
        return
    since = known.get("since") or datetime.now(UTC).isoformat(timespec="seconds")
    _write(path, since, told=False)
    error = str(context.get("exception") or "unknown")
    if _notify("failed", task, since, error):
        _write(path, since, told=True)


def recovered(context: Any) -> None:
    """Callback of a task that succeeded, or found nothing to do: close its incident, if there is one."""
    task = context["ti"]
    path = _file(task.dag_id, task.task_id)
    if not path.exists():
        return
    known: dict[str, Any] = json.loads(path.read_text())
    if not known["told"] or _notify("recovered", task, known["since"], ""):
        path.unlink(missing_ok=True)


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
