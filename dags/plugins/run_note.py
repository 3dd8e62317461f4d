"""Writes onto each finished DAG run, as its note, what it did in numbers: the results of its tasks, in short.

The scheduler calls this when a run ends, with the run in its own session: no task needs rights on Airflow's database
for it. A note that a person wrote is left alone.
"""

import os
from typing import Any

from airflow.listeners import hookimpl
from airflow.models.dagrun import DagRunNote
from airflow.models.xcom import XComModel
from airflow.plugins_manager import AirflowPlugin
from run_numbers import note
from sqlalchemy import select
from sqlalchemy.orm import object_session


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
