"""Runs in Airflow's environment and prints what the tests of the core environment judge: one JSON object.

``airflow_side.py facts DAGS_FOLDER`` parses the DAGs and describes them. ``airflow_side.py execute DAGS_FOLDER CASE``
runs the operator with a context made up here; CASE is a JSON object. ``airflow_side.py lineage DAGS_FOLDER CASES``
tells of results and of dbt runs, ``airflow_side.py append CONFIG_FOLDER CASE`` fills a file of events.
"""

import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

FORBIDDEN = ("socket.connect", "subprocess.Popen", "os.system", "os.fork", "os.remove", "os.rename", "os.mkdir")
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def watch_parsing(events: list[str]) -> None:
    """Note into ``events`` whatever a file that is being parsed does beyond reading.

    Judges the flags, so that ``os.open`` is seen too; a number is a file that was judged when it was opened. Python's
    own byte-code cache and the null device are no trace of the file.
    """

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        writes = event == "open" and not isinstance(arguments[0], int) and arguments[2] & WRITING
        if event in FORBIDDEN or writes:
            shown = str(arguments[:2])
            if not any(harmless in shown for harmless in (".pyc", "__pycache__", "/dev/null")):
                events.append(f"{event}{shown}")

    sys.addaudithook(hook)


def describe(task: Any) -> dict[str, Any]:
    """What the policy looks at in a task."""
    limit = task.execution_timeout
    return {
        "id": task.task_id,
        "type": task.task_type,
        "owner": task.owner,
        "pool": task.pool,
        "retries": task.retries,
        "backoff": bool(task.retry_exponential_backoff),
        "retry_delay": task.retry_delay.total_seconds(),
        "timeout": limit.total_seconds() if limit else None,
        "arguments": list(getattr(task, "arguments", [])),
        "room": getattr(task, "room", None),
        "final_code": getattr(task, "final_code", None),
        "outlets": [asset.name for asset in task.outlets],
        "after": sorted(task.upstream_task_ids),
        "depends_on_past": task.depends_on_past,
        "alerts": {
            name: [callback.__name__ for callback in getattr(task, name)]
            for name in ("on_failure_callback", "on_success_callback", "on_skipped_callback")
        },
        "links": [link.name for link in task.operator_extra_links],
        "full_refresh": getattr(task, "full_refresh", None),
        "dbt_artifacts": str(getattr(task, "dbt_artifacts", None) or ""),
    }


def assets(timetable: Any) -> list[str]:
    """The name of the one asset that wakes a DAG, if one does."""
    condition = getattr(timetable, "asset_condition", None)
    return [condition.name] if condition else []


def facts(folder: str) -> dict[str, Any]:
    """Every DAG of ``folder`` and what happened while parsing."""
    import cosmos  # noqa: F401 - imported before the watch begins: what a library does when imported is its own
    from airflow.dag_processing.dagbag import DagBag
    from cosmos.airflow.task_group import DbtTaskGroup  # noqa: F401
    from cosmos.operators import local  # noqa: F401

    sys.path.insert(0, folder)  # as Airflow does with the folder of a bundle
    events: list[str] = []
    watch_parsing(events)
    bag = DagBag(dag_folder=folder)
    parsing = list(events)
    dags = {
        dag.dag_id: {
            "file": Path(dag.fileloc).name,
            "doc": dag.doc_md,
            "description": dag.description,
            "tags": sorted(dag.tags),
            "catchup": dag.catchup,
            "max_active_runs": dag.max_active_runs,
            "timeout": dag.dagrun_timeout.total_seconds() if dag.dagrun_timeout else None,
            "alerts": [callback.__name__ for callback in [dag.on_failure_callback] if callback],
            "timetable": type(dag.timetable).__name__,
            "schedule": str(dag.schedule),
            "times": getattr(dag.timetable, "expression", None),
            "start": dag.start_date.isoformat() if dag.start_date else None,
            "assets": assets(dag.timetable),
            "params": dag.params.dump(),
            "tasks": [describe(task) for task in dag.tasks],
        }
        for dag in bag.dags.values()
    }
    return {"dags": dags, "import_errors": bag.import_errors, "while_parsing": parsing}


class FakeInstance:
    """The two things that a task's instance does for the operator."""

    def __init__(self, running: dict[str, int]) -> None:
        self._running = running
        self.pushed: dict[str, Any] = {}

    def get_dr_count(self, dag_id: str, states: list[str]) -> int:
        assert states == ["running"]
        return self._running.get(dag_id, 0)

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed[key] = value


def execute(folder: str, case: dict[str, Any]) -> dict[str, Any]:
    """Run an operator or a poke of the sensor; give its outcome."""
    sys.path.insert(0, folder)
    import wiring

    instance = FakeInstance(case.get("running", {}))
    events = {wiring.ROLLUPS: SimpleNamespace(extra=None)}
    context = {"ti": instance, "outlet_events": events}
    if "other_dag" in case:
        sensor = wiring.NoRunOf(task_id="wait", other_dag=case["other_dag"])
        return {"poke": sensor.poke(context)}
    outlets = [wiring.ROLLUPS] if case.get("emits") else []
    operator = wiring.WatershedOperator(task_id="task", outlets=outlets, **case["operator"])
    try:
        returned, raised, words = operator.execute(context), None, ""
    except Exception as error:  # the outcome is what the test judges
        returned, raised, words = None, type(error).__name__, str(error)
    outcome = {"returned": returned, "raised": raised, "pushed": instance.pushed, "event": events[wiring.ROLLUPS].extra}
    if operator.stood_aside:
        outcome["stood_aside"] = True
    return {**outcome, "words": words} if case.get("words") else outcome


def tell(folder: str, cases: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """What OpenLineage is told, by case: of a result (``result``), or of a dbt run (``artifacts``).

    A dbt run's events are sent as the environment says, or by the case's own ``transport``.
    """
    sys.path.insert(0, folder)
    import lineage
    from openlineage.client import OpenLineageClient
    from openlineage.client.serde import Serde

    outcomes: dict[str, Any] = {}
    for name, case in cases.items():
        if "result" in case:
            found = lineage.of_result(case["result"])
            outcomes[name] = [[Serde.to_dict(each) for each in side] for side in (found.inputs, found.outputs)]
            continue
        above = lineage.ParentRunMetadata(**case["parent"])
        events = lineage.of_dbt(Path(case["artifacts"]), Path(case["project"]), above)
        own = case.get("transport")
        lineage.send(events, OpenLineageClient(config={"transport": own}) if own else None)
        outcomes[name] = [json.loads(Serde.to_json(event)) for event in events]
    return outcomes


def append(folder: str, case: dict[str, Any]) -> dict[str, Any]:
    """Append ``events`` numbered events of about ``padding`` bytes to a bounded file."""
    sys.path.insert(0, folder)
    import lineage_file

    transport = lineage_file.BoundedFile(
        lineage_file.BoundedFileConfig.from_dict({"log_file_path": case["path"], "most_bytes": case["most_bytes"]})
    )
    for number in range(case["events"]):
        transport.emit({"by": case["by"], "number": number, "padding": "x" * case["padding"]})
    return {"appended": case["events"]}


ASKED = {"facts": facts, "execute": execute, "lineage": tell, "append": append}

if __name__ == "__main__":
    outcome = ASKED[sys.argv[1]](sys.argv[2], *map(json.loads, sys.argv[3:]))
    sys.stdout.write("\n" + json.dumps(outcome) + "\n")
