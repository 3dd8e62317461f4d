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
from tests.faults.journal import Answer, Known, read
from tests.faults.marts import differ, not_shown
from tests.faults.verdict import Verdict
from tests.integration.lander.processes import wait_for

PARTS = ("redis", "spark-connect", "collector", "lander", "airflow-dag-processor", "airflow-scheduler")
PIPELINE = ("load_rollups", "build_marts")
"""The DAGs that bring events into charts."""
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
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            with contextlib.suppress(psycopg.OperationalError):
                counted = self._counted() >= known.count(Answer.TAKEN) and not self.observer.waiting()
                if counted and not not_shown(self):
                    break
            time.sleep(1)
        return known

    def judge_charts(self, known: Known, verdict: Verdict) -> None:
        """As :meth:`judge`, and the marts too; Airflow pauses meanwhile, or it would build beside the auditor."""
        verdict.findings += not_shown(self)
        with self.paused():
            self.judge(known, verdict)
            verdict.findings += differ(self)

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """No run of the pipeline is at work, or will be, until the block ends."""
        for dag_id in PIPELINE:
            self.airflow.pause(dag_id, paused=True)
        try:
            wait_for("Airflow's runs are over", lambda: not any(map(self.at_work, PIPELINE)), 300)
            yield
        finally:
            for dag_id in PIPELINE:
                self.airflow.pause(dag_id, paused=False)

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
