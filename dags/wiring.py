"""What every DAG of Watershed shares: defaults, the operator that runs the ``watershed`` command, and standing aside.

A task runs a command of another room, in that room's environment, and says in its log what the command said. Nothing
here knows about events, rollups or marts beyond the names of commands.
"""

import json
import logging
import os
import subprocess
import threading
import uuid
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import IO, Any

from airflow.sdk import Asset, BaseOperator, BaseSensorOperator
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException
from pendulum import datetime

START = datetime(2026, 1, 1, tz="UTC")
ROLLUPS = Asset("rollups")
MARTS = Asset("marts")

USAGE_ERROR = 2
"""The command was called wrongly: it will be wrong the next time too."""
STOP_SECONDS = 20

DEFAULTS: dict[str, Any] = {
    "owner": "watershed",
    "depends_on_past": False,
    "retries": 2,
    "retry_delay": timedelta(seconds=10),
    "retry_exponential_backoff": True,
    "max_retry_delay": timedelta(minutes=2),
    "execution_timeout": timedelta(minutes=10),
}

log = logging.getLogger(__name__)


def run_uuid(dag_id: str, run_id: str) -> str:
    """The UUID of a DAG run, the same in each of its tasks and in each of their tries."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"watershed:{dag_id}/{run_id}"))


MACROS = {"run_uuid": run_uuid}
RUN_UUID = "{{ run_uuid(dag.dag_id, run_id) }}"


def command_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """``environ`` without what is Airflow's own: a command needs neither its database nor its keys nor its imports."""
    return {
        name: value for name, value in environ.items() if not name.startswith(("AIRFLOW", "_AIRFLOW", "PYTHONPATH"))
    }


def say(line: str) -> None:
    """Log a line of a command's standard error; a structured one at its own level, in words."""
    try:
        entry = json.loads(line)
        level = logging.getLevelNamesMapping()[entry.pop("level").upper()]
        event = entry.pop("event")
    except (ValueError, KeyError, AttributeError, TypeError):
        log.info("%s", line)
        return
    rest = " ".join(f"{name}={value}" for name, value in entry.items() if name not in {"timestamp", "service"})
    log.log(level, "%s %s", event, rest)


def _say_all(lines: IO[str]) -> None:
    for line in lines:
        say(line.rstrip())


def run_command(arguments: Sequence[str]) -> dict[str, Any]:
    """Run ``watershed`` with ``arguments``; its words go to the log, its last line is the result.

    :raises AirflowFailException: when a retry would be in vain: wrong arguments, or no JSON object at the end.
    :raises AirflowException: when the command failed.
    """
    argv = [os.environ["WATERSHED_BIN"], *arguments]
    process = subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        env=command_environment(os.environ),
    )
    errors = threading.Thread(target=_say_all, args=(process.stderr,), daemon=True)
    errors.start()
    last = ""
    try:
        for line in process.stdout or ():
            if last:
                log.info("%s", last)
            last = line.rstrip() or last
        code = process.wait()
    finally:
        # A timeout or a kill arrives as an exception in the loop above: the command must not outlive its task.
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        errors.join(timeout=5)
    shown = " ".join(arguments)
    if code:
        if last:
            log.error("%s", last)
        kind = AirflowFailException if code == USAGE_ERROR else AirflowException
        raise kind(f"`watershed {shown}` ended with code {code}; what it said is above")
    try:
        result = json.loads(last)
    except ValueError as error:
        raise AirflowFailException(f"`watershed {shown}` ended without a line of JSON, but with {last!r}") from error
    if not isinstance(result, dict):
        raise AirflowFailException(f"`watershed {shown}` ended with JSON that is not an object: {last!r}")
    return result


class WatershedOperator(BaseOperator):
    """Runs one ``watershed`` command; its last line, a JSON object, is the task's result.

    :param arguments: the command's words, templated.
    :param nothing_without: the number (or truth) in the result without which there was nothing to do. The task is then
        *skipped*: what follows it is skipped too, and no asset event is sent. The result is kept all the same.
    :param aside_of: the id of a DAG while a run of which this task stands aside, skipped.
    """

    template_fields = ("arguments",)
    ui_color = "#dcefff"

    def __init__(
        self,
        *,
        arguments: Sequence[str],
        nothing_without: str | None = None,
        aside_of: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.arguments = arguments
        self.nothing_without = nothing_without
        self.aside_of = aside_of

    def execute(self, context: Any) -> dict[str, Any]:
        """Run the command; the result also goes onto the event of each asset that the task updates."""
        task_instance = context["ti"]
        if self.aside_of and task_instance.get_dr_count(dag_id=self.aside_of, states=["running"]):
            raise AirflowSkipException(f"a run of {self.aside_of} is at work and will publish what is there")
        result = run_command(self.arguments)
        log.info("%s", ", ".join(f"{name}: {value}" for name, value in result.items()))
        if self.nothing_without and not result[self.nothing_without]:
            task_instance.xcom_push(key="return_value", value=result)
            raise AirflowSkipException(f"nothing to do: {self.nothing_without} is {result[self.nothing_without]}")
        for asset in self.outlets:
            context["outlet_events"][asset].extra = result
        return result


class NoRunOf(BaseSensorOperator):
    """Waits, without holding a worker, until no run of another DAG is running."""

    def __init__(self, *, other_dag: str, **kwargs: Any) -> None:
        super().__init__(mode="reschedule", poke_interval=10, **kwargs)
        self.other_dag = other_dag

    def poke(self, context: Any) -> bool:
        """True when nothing of the other DAG is running."""
        return not context["ti"].get_dr_count(dag_id=self.other_dag, states=["running"])
