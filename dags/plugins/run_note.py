"""Writes onto each finished DAG run, as its note, what it did in numbers: the results of its tasks, in short.

The scheduler calls this when a run ends, with the run in its own session: no task needs rights on Airflow's database
for it. A note that a person wrote is left alone.
"""

import logging
import os
from collections.abc import Mapping
from typing import Any

from airflow.listeners import hookimpl
from airflow.models.dagrun import DagRunNote
from airflow.models.xcom import XComModel
from airflow.plugins_manager import AirflowPlugin
from sqlalchemy import select
from sqlalchemy.orm import object_session

LONGEST = 1000
"""Characters that the database takes."""
log = logging.getLogger(__name__)


def numbers(result: Mapping[str, Any]) -> dict[str, float]:
    """What of a command's result are numbers: its own, the sums over a table of them, and how many were named."""
    found: dict[str, float] = {}
    for name, value in result.items():
        if isinstance(value, bool):
            continue
        if isinstance(value, int | float):
            found[name] = value
        elif isinstance(value, Mapping) and value:
            inner = list(value.values())
            if all(isinstance(one, Mapping) for one in inner):
                for one in inner:
                    for key, number in numbers(one).items():
                        found[key] = found.get(key, 0) + number if key not in result else found[key]
            elif all(isinstance(one, int) for one in inner):
                found[name] = sum(inner)
            elif name != "seconds":
                found[name] = len(inner)
        elif name in ("failed", "held", "warned"):
            found[name] = len(value) if isinstance(value, Mapping | list) else 0
    return found


def line(task_id: str, result: Mapping[str, Any], data_docs: str) -> str:
    """One task in Markdown."""
    shown = [f"{name.replace('_', ' ')} {value:,}" for name, value in numbers(result).items()]
    if "expectations" in result and data_docs:
        shown.append(f"[Data Docs]({data_docs})")
    if isinstance(result.get("report"), str):
        shown.append(result["report"])
    return f"- **{task_id}**: {', '.join(shown) or 'done'}"


def note(results: Mapping[str, Any], data_docs: str) -> str:
    """The note of a run, from its tasks' results in their order; whole lines, as many as fit."""
    text = ""
    for task_id, result in results.items():
        if isinstance(result, Mapping):
            more = line(task_id, result, data_docs) + "\n"
            if len(text) + len(more) > LONGEST:
                break
            text += more
    return text.rstrip()


class RunNote:
    """The listener."""

    @hookimpl
    def on_dag_run_success(self, dag_run: Any) -> None:
        """A run ended well."""
        self._write(dag_run)

    @hookimpl
    def on_dag_run_failed(self, dag_run: Any) -> None:
        """A run failed: what its tasks did all the same."""
        self._write(dag_run)

    def _write(self, dag_run: Any) -> None:
        session = object_session(dag_run)
        kept = dag_run.dag_run_note
        if session is None or (kept is not None and kept.user_id is not None):
            return
        query = (
            select(XComModel)
            .where(
                XComModel.dag_id == dag_run.dag_id,
                XComModel.run_id == dag_run.run_id,
                XComModel.key == "return_value",
            )
            .order_by(XComModel.timestamp)
        )
        results = {x.task_id: XComModel.deserialize_value(x) for x in session.scalars(query)}
        text = note(results, os.environ.get("DATA_DOCS_URL", ""))
        if not text:
            return
        if kept is None:
            dag_run.dag_run_note = DagRunNote(content=text)
        else:
            kept.content = text


class RunNotePlugin(AirflowPlugin):
    """How Airflow finds the listener."""

    name = "run_note"
    listeners = [RunNote()]  # noqa: RUF012 - Airflow wants a list
