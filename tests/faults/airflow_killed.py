"""Airflow's scheduler is killed while loads run and wait in its queue, and stopped; all goes on without help."""

import time
from collections.abc import Callable, Mapping

import psutil

from tests.faults.bout import RECOVERS, End, Fault, catch_up_within, told
from tests.faults.plant import Plant
from tests.faults.scheduled import SETTLE, Scheduled
from tests.faults.verdict import Verdict
from tests.integration.lander.processes import wait_for

SCHEDULER = "airflow-scheduler"
RUNNING = "airflow-scheduler: kill -9 while a load runs"
QUEUED = "airflow-scheduler: kill -9 with its workers, loads queued"
STOPPED = f"{SCHEDULER}: SIGSTOP, SIGCONT"
NAMES = (RUNNING, QUEUED, STOPPED)
WAITING_RUNS = 2
"""Runs by hand that wait behind the one whose task is queued."""
STOPPED_SECONDS = 60.0
"""For which it is stopped: the task it had begun loses its worker's heartbeats for about as long as Airflow allows."""
PATIENCE = 4.0
"""How many times its bound is waited for."""


def kill_while_running(bout: Scheduled) -> Verdict:
    """The scheduler alone: its workers, and the task, outlive it."""

    def kill() -> list[str]:
        wait_for("a load is at work", lambda: bout.at_work("load_rollups"), 180)
        bout.plant.kill(SCHEDULER)
        return []

    return _killed(RUNNING, bout, kill)


def kill_while_queued(bout: Scheduled) -> Verdict:
    """The scheduler and all it started, as a machine that goes away, while its executor has a task not begun yet."""

    def kill() -> list[str]:
        _stop_workers(bout)
        triggered = [bout.airflow.trigger("load_rollups") for _ in range(WAITING_RUNS)]
        wait_for("a load is queued", lambda: bout.at_work("load_rollups", "queued"), 180)
        bout.plant.kill_family(SCHEDULER)
        return triggered

    return _killed(QUEUED, bout, kill)


def stop(bout: Scheduled) -> Verdict:
    """The scheduler and its workers stop in the middle of what they do, and go on a minute later."""

    def make(plant: Plant) -> End:
        family = plant.pause(SCHEDULER)
        return lambda: plant.resume(family)

    fault = Fault(STOPPED, "pipeline", make, (SCHEDULER,), STOPPED_SECONDS)
    verdict = told(fault, bout.make(fault, patience=PATIENCE, pipeline=True))
    known = bout.rest(SETTLE)
    bout.judge_charts(known, verdict)
    return verdict


FAULTS: Mapping[str, Callable[[Scheduled], Verdict]] = {
    RUNNING: kill_while_running,
    QUEUED: kill_while_queued,
    STOPPED: stop,
}


def _killed(name: str, bout: Scheduled, kill: Callable[[], list[str]]) -> Verdict:
    bound = RECOVERS["pipeline"]
    workers = psutil.Process(bout.plant.pid(SCHEDULER)).children()
    runs = kill()
    over, behind = time.monotonic(), bout.load.taken
    views = bout.counted_page_views()
    counted = bout.caught_up(behind, over, PATIENCE * bound)
    views = max(views, bout.counted_page_views())
    charted = bout.charted_after(views, over, SETTLE)
    states = {run_id: bout.over("load_rollups", run_id) for run_id in runs}
    verdict = Verdict(name, "pipeline", recovered_after=_round(counted), caught_up_after=_round(counted), bound=bound)
    if counted is None or counted > catch_up_within(0):
        verdict.findings.append(f"what was taken until then was not counted within {catch_up_within(0):g} s")
    if charted is None:
        verdict.findings.append(f"what was counted then was not charted within {SETTLE:g} s")
    if failed := [run_id for run_id, state in states.items() if state != "success"]:
        verdict.findings.append(f"runs that waited did not end well: {', '.join(failed)}")
    if left := sum(worker.is_running() for worker in workers):
        verdict.findings.append(f"{left} workers of the killed scheduler are left")
    waited = f"; {len(runs)} runs by hand waited in the queue" if runs else ""
    verdict.about = f"charted after {_round(charted)} s{waited}"
    known = bout.rest(SETTLE)
    bout.judge_charts(known, verdict)
    return verdict


def _stop_workers(bout: Scheduled) -> None:
    """Stop the workers between two loads, so that the next load stays in their queue."""

    def stopped() -> bool:
        if bout.at_work("load_rollups"):
            return False
        workers = psutil.Process(bout.plant.pid(SCHEDULER)).children()
        for worker in workers:
            worker.suspend()
        if not bout.at_work("load_rollups"):
            return True
        bout.plant.resume(workers)  # one had begun meanwhile, and no other would be queued beside it
        return False

    wait_for("the workers are stopped between two loads", stopped, 180)


def _round(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)
