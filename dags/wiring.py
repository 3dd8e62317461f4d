"""What every DAG of Watershed shares: defaults, the operator that runs a ``watershed`` command, and standing aside.

A task runs a command of another room in that room's environment. Nothing here knows about events, rollups or marts
beyond the names of commands.
"""

import logging
import os
import uuid
from collections.abc import Sequence
from datetime import UTC, date, timedelta
from pathlib import Path
from typing import Any

import command
import incidents
from airflow.sdk import Asset, BaseOperator, BaseOperatorLink, BaseSensorOperator
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
from pendulum import datetime

START = datetime(2026, 1, 1, tz="UTC")
PROJECT = Path(__file__).resolve().parent.parent / "dbt_project"
ROLLUPS = Asset("rollups")
MARTS = Asset("marts")

DEFAULTS: dict[str, Any] = {
    "owner": "watershed",
    "depends_on_past": False,
    "retries": 2,
    "retry_delay": timedelta(seconds=10),
    "retry_exponential_backoff": True,
    "max_retry_delay": timedelta(minutes=2),
    "execution_timeout": timedelta(minutes=10),
    "on_failure_callback": incidents.failed,
    "on_success_callback": incidents.recovered,
    "on_skipped_callback": incidents.recovered,
}

log = logging.getLogger(__name__)


def run_uuid(dag_id: str, run_id: str) -> str:
    """The UUID of a DAG run, the same in each of its tasks and in each of their tries."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"watershed:{dag_id}/{run_id}"))


def day_of(dag_run: Any) -> str:
    """The day (UTC) that a run is about: its interval's first, or for a run by hand without one the day before."""
    start = dag_run.data_interval_start or dag_run.run_after - timedelta(days=1)
    return str(start.astimezone(UTC).date())


def day_after(dag_run: Any) -> str:
    """The day after :func:`day_of`."""
    return str(date.fromisoformat(day_of(dag_run)) + timedelta(days=1))


MACROS = {"run_uuid": run_uuid, "day_of": day_of, "day_after": day_after}
RUN_UUID = "{{ run_uuid(dag.dag_id, run_id) }}"
DAY = "{{ day_of(dag_run) }}"
DAY_AFTER = "{{ day_after(dag_run) }}"


class ResultLink(BaseOperatorLink):
    """A button on the task's page that leads where its result says (``links``, by name)."""

    def __init__(self, label: str) -> None:
        self._label = label

    @property
    def name(self) -> str:
        """The button's words."""
        return self._label

    @property
    def xcom_key(self) -> str:
        """Where the task leaves the address."""
        return f"_link_{self._label.lower().replace(' ', '_')}"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """The address, asked for in the process that ran the task; nothing where it gave none."""
        del ti_key
        return str(operator.found.get(self._label) or LINKS.get(self._label, ""))


LINKS = {"Data Docs": os.environ.get("DATA_DOCS_URL", "")}
"""Addresses that do not depend on a result."""


class WatershedOperator(BaseOperator):
    """Runs one ``watershed`` command; its last line, a JSON object, is the task's result.

    :param arguments: the command's words, templated.
    :param room: the room whose command it is; of the rooms' credentials the command sees that room's only.
    :param nothing_without: the number (or truth) in the result without which there was nothing to do. The task is then
        *skipped*: what follows it is skipped too, and no asset event is sent. The result is kept all the same. Where it
        says why there was nothing (``because``), so does the task.
    :param links: names of the buttons that the task's page has; addresses in the result's ``links``, or LINKS.
    :param aside_of: the id of a DAG; while one of its runs is at work this task does nothing and is skipped.
    :param final_code: a code with which the command ends where it has found what somebody must look at: the task fails
        and is not tried again, as that would find the same once more.
    :param dbt_artifacts: the folder of what dbt writes of a run of this task, for its lineage.
    """

    template_fields = ("arguments",)
    ui_color = "#dcefff"

    def __init__(
        self,
        *,
        arguments: Sequence[str],
        room: str,
        nothing_without: str | None = None,
        aside_of: str | None = None,
        links: Sequence[str] = (),
        final_code: int | None = None,
        dbt_artifacts: Path | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.operator_extra_links = tuple(ResultLink(label) for label in links)
        self.found: dict[str, str] = {}
        self.result: dict[str, Any] = {}
        self.arguments = arguments
        self.room = room
        self.nothing_without = nothing_without
        self.aside_of = aside_of
        self.stood_aside = False
        self.final_code = final_code
        self.dbt_artifacts = dbt_artifacts

    def execute(self, context: Any) -> dict[str, Any]:
        """Run the command; the result also goes onto the event of each asset that the task updates."""
        task_instance = context["ti"]
        if self.aside_of and task_instance.get_dr_count(dag_id=self.aside_of, states=["running"]):
            self.stood_aside = True
            raise AirflowSkipException(f"a run of {self.aside_of} is at work and will do this too")
        try:
            result = command.run(self.arguments, self.room)
        except command.CommandMisused as error:
            raise AirflowFailException(str(error)) from error
        except command.CommandFailed as error:
            if error.result is not None:
                self.result = error.result
                task_instance.xcom_push(key="return_value", value=error.result)
            if error.code == self.final_code:
                raise AirflowFailException(str(error)) from error
            raise
        self.result = result
        self.found = dict(result.get("links") or {})
        plain = {name: value for name, value in result.items() if isinstance(value, int | float | str)}
        log.info("%s", ", ".join(f"{name}: {value}" for name, value in plain.items()))
        if self.nothing_without is not None:
            if self.nothing_without not in result:
                raise AirflowFailException(f"the result does not say {self.nothing_without!r}: {result}")
            if not result[self.nothing_without]:
                task_instance.xcom_push(key="return_value", value=result)
                none = f"{self.nothing_without} is {result[self.nothing_without]}"
                raise AirflowSkipException(f"nothing to do: {result.get('because') or none}")
        for asset in self.outlets:
            context["outlet_events"][asset].extra = result
        return result

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:
        """Called by OpenLineage's listener when the task has ended, in whatever way."""
        import lineage  # the library, which only the process that tells of it need import

        if self.dbt_artifacts is not None:
            lineage.send(lineage.of_dbt(self.dbt_artifacts, PROJECT, lineage.parent(task_instance)))
        return lineage.of_result(self.result)


class NoRunOf(BaseSensorOperator):
    """Waits, without holding a worker, until no run of another DAG is at work."""

    def __init__(self, *, other_dag: str, **kwargs: Any) -> None:
        super().__init__(mode="reschedule", poke_interval=10, **kwargs)
        self.other_dag = other_dag

    def poke(self, context: Any) -> bool:
        """True when nothing of the other DAG is running."""
        return not context["ti"].get_dr_count(dag_id=self.other_dag, states=["running"])
