"""Airflow does work twice and at once: the same runs again, backfills that overlap, maintenance beside loads."""

import time
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any

import httpx

from tests.faults.bout import RECOVERS
from tests.faults.plant import CommandFailed
from tests.faults.scheduled import OPEN, SETTLE, Scheduled
from tests.faults.verdict import Verdict
from tests.integration.lander.processes import wait_for

TWICE = "airflow: the same runs again, and several at once"
BACKFILLS = "airflow: backfills that overlap, beside one by command"
MAINTENANCE = "airflow: loads while the lake is maintained"
AT_ONCE = 3
"""Runs of a DAG that are triggered at once."""
PAST = {BACKFILLS: timedelta(days=1)}
"""By fault, how long ago its events occurred, where it is not now: days that are over are backfilled."""
SECONDS = 900.0
"""For what Airflow was asked to do."""


def the_same_again(bout: Scheduled) -> Verdict:
    """Runs that ended well are cleared and made again under their ids, beside several triggered at once."""
    airflow, verdict = bout.airflow, Verdict(TWICE, "pipeline", bound=RECOVERS["pipeline"])
    began, told = time.monotonic(), []
    for dag_id in ("load_rollups", "build_marts"):
        run_id = wait_for(f"a run of {dag_id} did something", partial(_did_something, bout, dag_id), 400)
        first = _tries(bout, dag_id, run_id)
        body = {"dry_run": False, "only_failed": False, "reset_dag_runs": True, "dag_run_id": run_id}
        airflow.post(f"dags/{dag_id}/clearTaskInstances", **body)
        triggered = [airflow.trigger(dag_id) for _ in range(AT_ONCE)]
        _refused(verdict, f"a second run of {dag_id} under one id", lambda: airflow.post(
            f"dags/{dag_id}/dagRuns", dag_run_id=triggered[0], logical_date=None  # noqa: B023 - called at once
        ))  # fmt: skip
        ended = {each: bout.over(dag_id, each, SECONDS) for each in (run_id, *triggered)}
        if failed := [f"{each}: {state}" for each, state in ended.items() if state != "success"]:
            verdict.findings.append(f"{dag_id} did not end well: {', '.join(failed)}")
        if _tries(bout, dag_id, run_id) <= first:
            verdict.findings.append(f"{dag_id} {run_id} was not made again")
        told.append(f"{dag_id} {run_id} again, beside {AT_ONCE} at once")
    verdict.seconds, verdict.about = round(time.monotonic() - began), "; ".join(told)
    return _judged(bout, verdict)


def overlapping_backfills(bout: Scheduled) -> Verdict:
    """The same days are reprocessed by a backfill, by another, and by command, while events of them come in."""
    verdict = Verdict(BACKFILLS, "pipeline", bound=RECOVERS["pipeline"])
    wait_for("something is counted", lambda: bout.counted_page_views() > 0, 400)
    yesterday, began = datetime.now(UTC).date() - timedelta(days=1), time.monotonic()
    first, second = (yesterday - timedelta(days=1), yesterday), (yesterday, yesterday)
    _backfill(bout, *first)
    _refused(verdict, "a second backfill of a DAG at once", lambda: _backfill(bout, *second))
    wait_for("the backfill is at work", lambda: bout.at_work("reprocess"), SECONDS)
    beside = _by_command(bout, *second)
    _backfilled(bout)
    _backfill(bout, *second)
    _backfilled(bout)
    alone = _by_command(bout, *second)
    runs = bout.runs("reprocess", run_type="backfill")
    if not runs or any(run["state"] != "success" for run in runs):
        verdict.findings.append(f"backfills did not end well: {[(run['run_id'], run['state']) for run in runs]}")
    if alone != "done":
        verdict.findings.append(f"by command, with nobody beside it: {alone}")
    verdict.seconds = round(time.monotonic() - began)
    verdict.about = (
        f"{len(runs)} runs of backfills of {first[0]} to {first[1]} and {second[0]} to {second[1]}; "
        f"by command beside them: {beside}"
    )
    return _judged(bout, verdict)


def maintained_meanwhile(bout: Scheduled) -> Verdict:
    """The nightly maintenance is triggered until loads have begun and ended well while it was at work."""
    verdict = Verdict(MAINTENANCE, "pipeline", bound=RECOVERS["pipeline"])
    wait_for("something is counted", lambda: bout.counted_page_views() > 0, 400)
    began, beside, maintenances = time.monotonic(), 0, 0
    while not beside and time.monotonic() - began < SECONDS:
        run_id = bout.airflow.trigger("maintain_lake")
        if (state := bout.over("maintain_lake", run_id, SECONDS)) != "success":
            verdict.findings.append(f"maintain_lake ended as {state}")
            break
        maintenances += 1
        work = _task(bout, "maintain_lake", run_id, "maintain")
        beside += sum(
            load["state"] == "success"
            and load["start_date"] < work["end_date"]
            and load["end_date"] > work["start_date"]
            for load in _tasks(bout, "load_rollups")
        )
    if not beside:
        verdict.findings.append("no load ended well beside it")
    verdict.seconds = round(time.monotonic() - began)
    verdict.about = f"{beside} loads beside {maintenances} maintenances"
    return _judged(bout, verdict)


FAULTS: Mapping[str, Callable[[Scheduled], Verdict]] = {
    TWICE: the_same_again,
    BACKFILLS: overlapping_backfills,
    MAINTENANCE: maintained_meanwhile,
}


def _judged(bout: Scheduled, verdict: Verdict) -> Verdict:
    over = time.monotonic()
    known = bout.rest(SETTLE)
    verdict.recovered_after = round(time.monotonic() - over, 1)
    bout.judge_charts(known, verdict)
    return verdict


def _did_something(bout: Scheduled, dag_id: str) -> str:
    """A run that ended well, its last task too; '' when there is none yet."""
    done = [run["dag_run_id"] for run in bout.runs(dag_id, state="success")]
    return next((run_id for run_id in done if all(t["state"] == "success" for t in _tasks(bout, dag_id, run_id))), "")


def _tasks(bout: Scheduled, dag_id: str, run_id: str = "~") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = bout.airflow.get(
        f"dags/{dag_id}/dagRuns/{run_id}/taskInstances", order_by="-start_date", limit=100
    )["task_instances"]
    return found


def _task(bout: Scheduled, dag_id: str, run_id: str, task_id: str) -> dict[str, Any]:
    return next(task for task in _tasks(bout, dag_id, run_id) if task["task_id"] == task_id)


def _tries(bout: Scheduled, dag_id: str, run_id: str) -> int:
    return sum(task["try_number"] for task in _tasks(bout, dag_id, run_id))


def _backfill(bout: Scheduled, first: date, last: date) -> None:
    bout.airflow.post(
        "backfills",
        dag_id="reprocess",
        from_date=f"{first}T00:00:00Z",
        to_date=f"{last}T23:00:00Z",
        reprocess_behavior="completed",
    )


def _backfilled(bout: Scheduled) -> None:
    """Wait until no backfill is under way."""

    def over() -> bool:
        known = bout.airflow.get("backfills", dag_id="reprocess")["backfills"]
        return all(backfill["completed_at"] for backfill in known) and not any(
            run["state"] in OPEN for run in bout.runs("reprocess")
        )

    wait_for("the backfill is over", over, SECONDS)


def _by_command(bout: Scheduled, first: date, last: date) -> str:
    words = ("--from", str(first), "--to", str(last + timedelta(days=1)), "--apply")
    try:
        bout.plant.command("load", "reprocess", *words)
    except CommandFailed as error:
        return f"refused ({str(error).strip().splitlines()[-1][-200:]})"
    return "done"


def _refused(verdict: Verdict, what: str, ask: Callable[[], object]) -> None:
    """Airflow must refuse what it is asked as a conflict."""
    try:
        ask()
    except httpx.HTTPStatusError as error:
        if error.response.status_code != httpx.codes.CONFLICT:
            raise
        return
    verdict.findings.append(f"{what} was let in")
