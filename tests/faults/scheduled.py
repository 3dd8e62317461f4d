"""A bout whose loads and builds are Airflow's own: nobody helps it until all has come to rest."""

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import psycopg

from stack.airflow_bootstrap import DAGS
from tests.e2e.kit import Airflow
from tests.faults.bout import Bout
from tests.faults.journal import Known, read
from tests.faults.marts import differ, not_shown
from tests.faults.sends import Sends
from tests.faults.verdict import Verdict
from tests.integration.lander.processes import wait_for

PARTS = ("redis", "spark-connect", "collector", "lander", "airflow-dag-processor", "airflow-scheduler")
POOLS = ("load", "marts")
"""The pools of those that bring events into charts; each has one slot (``dags/pools.json``)."""
SETTLE = 600.0
"""Seconds for what was taken to be charted: a build comes by itself every five minutes, should its trigger be lost."""
OPEN = ("queued", "running")
"""States of a run that is not over."""


def know_dags(airflow: Airflow) -> None:
    """Wait until Airflow has read every file of ``dags/``, which takes it some seconds after it is ready."""
    files = {path.stem for path in DAGS.glob("*.py") if "DAG(" in path.read_text()}

    def known() -> bool:
        return files <= {dag["dag_id"] for dag in airflow.get("dags", limit=100)["dags"]}

    wait_for("Airflow knows the DAGs", known, 180)


class Scheduled(Bout):
    """As a bout; at rest it is when Airflow has charted all that was taken."""

    def __init__(self, airflow: Airflow, *given: Any, **options: Any) -> None:
        """``given``, ``options``: those of :class:`Bout`."""
        super().__init__(*given, **options)
        self.airflow = airflow

    def rest(self, seconds: float) -> Known:
        """Send no more, and wait until what was taken is counted and charted, at most so long."""
        self.load.stop()
        known = read(self._journal.path)
        sends = Sends(known)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            with contextlib.suppress(psycopg.OperationalError):
                if self.through(sends) and not not_shown(self):
                    break
            time.sleep(1)
        return known

    def judge_charts(self, known: Known, verdict: Verdict) -> None:
        """As :meth:`judge`, and the marts too; Airflow is held meanwhile, or it would build beside the auditor."""
        verdict.findings += not_shown(self)
        with self.held():
            self.judge(known, verdict)
            verdict.findings += differ(self)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """No task of the pipeline is at work, no build is between its steps, and none goes on until the block ends.

        By the slots of their pools: of a DAG that is paused Airflow may take minutes to begin another run.
        """
        try:
            self.airflow.set_slots("load", 0)
            wait_for("Airflow's loads and builds are over", self._held, 300)
            yield
        finally:
            for pool in POOLS:
                self.airflow.set_slots(pool, 1)

    def _held(self) -> bool:
        if self.at_work("load_rollups") or self._building():
            return False
        self.airflow.set_slots("marts", 0)
        if self._building():
            self.airflow.set_slots("marts", 1)
            return False
        return True

    def _building(self) -> bool:
        """Whether a build has claimed and has not published: none is, where its claim waits for a slot."""
        begun = ["running", "success", "skipped", "failed"]
        path = "dags/build_marts/dagRuns/~/taskInstances"
        found = self.airflow.get(path, order_by="-start_date", limit=1, state=begun)["task_instances"]
        if not found or found[0]["state"] in {"skipped", "failed"}:
            return False
        return (found[0]["task_id"], found[0]["state"]) != ("publish", "success")

    def runs(self, dag_id: str, **query: Any) -> list[dict[str, Any]]:
        """The DAG's newest runs."""
        asked = {"order_by": "-run_after", "limit": 50, **query}
        found: list[dict[str, Any]] = self.airflow.get(f"dags/{dag_id}/dagRuns", **asked)["dag_runs"]
        return found

    def at_work(self, dag_id: str, state: str = "running") -> bool:
        """Whether a task of the DAG runs, or is in another state."""
        return bool(self.airflow.get(f"dags/{dag_id}/dagRuns/~/taskInstances", state=state)["total_entries"])

    def over(self, dag_id: str, run_id: str, seconds: float = 600) -> str:
        """Wait until a run is over; gives the state in which it ended."""

        def state() -> str:
            with contextlib.suppress(httpx.HTTPError):
                found = self.airflow.state(dag_id, run_id)
                return "" if found in OPEN else found
            return ""

        ended: str = wait_for(f"{dag_id} {run_id} is over", state, seconds)
        return ended

    def charted_after(self, events: int, moment: float, seconds: float) -> float | None:
        """Seconds from ``moment`` until so many page views are charted; None: not within ``seconds``."""
        query = "select coalesce(sum(page_views + bot_page_views), 0) from marts.page_views_daily where tenant = %s"
        return self._after(moment, seconds, lambda: self._one(query) >= events)

    def counted_page_views(self) -> int:
        """So many page views are counted by now."""
        return sum(events for (type_, _), events in self.observer.counted().items() if type_ == "page_view")

    def _one(self, query: str) -> int:
        with self.observer.connected() as connection:
            ((found,),) = connection.execute(query.encode(), (self.tenant,)).fetchall()
        return int(found)

    @staticmethod
    def _after(moment: float, seconds: float, happened: Callable[[], bool]) -> float | None:
        while time.monotonic() - moment < seconds:
            with contextlib.suppress(psycopg.OperationalError):
                if happened():
                    return time.monotonic() - moment
            time.sleep(0.5)
        return None
