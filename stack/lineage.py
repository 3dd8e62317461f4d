"""OpenLineage: what the scheduler, whose workers run the tasks, is told of where events of lineage go.

Why so, and what it costs: ``docs/adr/0027-lineage-is-told-by-the-tasks.md``.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from stack import environment
from stack.programs import StackError
from stack.servers import postgres
from stack.settings import StackSettings

QUIET = ("check_alerts",)
"""DAGs of which nothing is told: it looks at the marts every five minutes and makes nothing of them."""
MORE_SECONDS = 2
"""What making an event may take beside sending it."""


def file(settings: StackSettings) -> Path:
    """Where events go that are not posted."""
    return settings.watershed_state / "lineage" / "events.jsonl"


def variables(settings: StackSettings, secrets: Mapping[str, str]) -> dict[str, str]:
    """For the scheduler; nothing where lineage is not wanted.

    :raises StackError: the key cannot be read.
    """
    transport = _transport(settings)
    if transport is None:
        return {}
    values = {
        "disabled": "False",
        "transport": _json(transport),
        "emission_policy": _json([{"scope": {"dag_id": name}, "controls": {"emit": False}} for name in QUIET]),
        # In a thread of the task, which costs a third of a process forked for each event.
        "execute_in_thread": "True",
        # After this the task goes on without it. At a task's end two events at most are waited for, its own and the
        # first of a dbt run, each until the server takes the connection and then until it answers.
        "execution_timeout": str(math.ceil(4 * settings.openlineage_seconds) + MORE_SECONDS),
    }
    return {
        **{f"AIRFLOW__OPENLINEAGE__{name.upper()}": value for name, value in values.items()},
        "LINEAGE_LAKE": environment.LAKE_WAREHOUSE,
        "LINEAGE_WAREHOUSE": _warehouse(settings, secrets),
    }


def _transport(settings: StackSettings) -> dict[str, Any] | None:
    if settings.openlineage_url:
        found: dict[str, Any] = {
            "type": "http",
            "url": settings.openlineage_url,
            "endpoint": settings.openlineage_endpoint,
            "timeout": settings.openlineage_seconds,
            "retry": {"total": 0},  # five tries with pauses between would hold a task up for many seconds
        }
        if settings.openlineage_key_file:
            found["auth"] = {"type": "api_key", "apiKey": _key(settings.openlineage_key_file)}
        return found
    if settings.openlineage_file_mb:
        most = settings.openlineage_file_mb * 1024 * 1024
        return {"type": "lineage_file.BoundedFile", "log_file_path": str(file(settings)), "most_bytes": most}
    return None


def _json(value: object) -> str:
    """For a variable under supervisord, which takes one kind of quotes in a value, not both."""
    return json.dumps(value).replace("'", r"\u0027")


def _key(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise StackError(f"OPENLINEAGE_KEY_FILE cannot be read: {error}") from error


def _warehouse(settings: StackSettings, secrets: Mapping[str, str]) -> str:
    """Host, port and database as dbt has them, and no log-in."""
    parts = urlsplit(postgres.dsn(settings, secrets, "dbt"))
    return f"postgres://{parts.hostname}:{parts.port}{parts.path}"
