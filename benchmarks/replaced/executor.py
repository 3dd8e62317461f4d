"""Celery beside LocalExecutor: our Airflow, a chain of tasks that do nothing, run by the one and by the other.

Everything is as in the stack (``stack.airflow``) but for the executor. Celery adds a broker (our Redis) and a worker;
both have four processes for tasks, and in both a task is a fork of a process that has Airflow imported.
"""

import statistics
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import psycopg

from benchmarks.replaced import fetch
from benchmarks.replaced.processes import Running, running, settle
from stack import airflow, secrets
from stack.programs import Program, run_step
from stack.servers import postgres, redis_server
from stack.settings import StackSettings

CELERY = ("apache-airflow-providers-celery==3.26.0", "celery[redis]<5.7")
"""With Celery 5.7, the newest, the newest provider does not import: a name it uses is gone."""
TASKS = 20
PATIENCE_SECONDS = 300
DAG = """\
from datetime import datetime
from airflow.sdk import dag, task

@dag(dag_id="{name}", schedule="@once", start_date=datetime(2024, 1, 1), catchup=False)
def chain():
    before = None
    for i in range({tasks}):
        @task(task_id=f"nothing_{{i}}")
        def nothing():
            pass
        this = nothing()
        if before is not None:
            before >> this
        before = this

chain()
"""


class Airflow:
    """One installation with one of the executors."""

    def __init__(self, settings: StackSettings, known: Mapping[str, str], executor: str) -> None:
        self.settings, self.known, self.executor = settings, known, executor
        self.dags = settings.watershed_state / "dags"
        self.python = fetch.airflow_and(*CELERY)
        own = {
            "AIRFLOW__CORE__EXECUTOR": executor,
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.dags),
            "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "2",
            "AIRFLOW__CELERY__BROKER_URL": redis_server.url(settings, known, redis_server.OPERATOR),
            "AIRFLOW__CELERY__RESULT_BACKEND": "db+" + postgres.dsn(settings, known, "airflow", "airflow"),
            "AIRFLOW__CELERY__WORKER_CONCURRENCY": "4",
        }
        self.env = {**airflow.variables(settings, known), **own}

    def migrate(self) -> None:
        """Make Airflow's tables."""
        run_step([self.python, "-m", "airflow", "db", "migrate"], self.env, self.settings.logs / "airflow-migrate.log")

    def programs(self) -> dict[str, Program]:
        """Airflow's processes that a chain of tasks needs; with Celery its worker too."""
        self.dags.mkdir(parents=True, exist_ok=True)
        needed = {"airflow-api-server", "airflow-dag-processor", "airflow-scheduler"}
        found = {
            program.name: replace(program, argv=[self.python, *program.argv[1:]], env=self.env)
            for program in airflow.programs(self.settings, self.known)
            if program.name in needed
        }
        if self.executor == "CeleryExecutor":
            log = self.settings.logs / "celery-worker.log"
            found["celery-worker"] = Program(
                name="celery-worker",
                argv=[self.python, "-m", "airflow", "celery", "worker", "--skip-serve-logs"],
                env=self.env,
                not_ready=lambda: None if " ready." in log.read_text() else "does not say yet that it is ready",
            )
        return found

    def run_chain(self, watched: Mapping[str, Running]) -> dict[str, Any]:
        """Run the chain once; seconds from queued to start, and CPU seconds a task of scheduler, worker and broker."""
        name = f"chain_{self.executor}"
        (self.dags / "chain.py").write_text(DAG.format(name=name, tasks=TASKS))
        deadline = time.monotonic() + PATIENCE_SECONDS
        with psycopg.connect(
            postgres.dsn(self.settings, self.known, "airflow", "airflow"), autocommit=True
        ) as database:

            def state() -> str | None:
                row = database.execute("select state from dag_run where dag_id = %s", (name,)).fetchone()
                return row[0] if row else None

            def wait_for(*wanted: str) -> None:
                while (found := state()) not in wanted:
                    if found == "failed" or time.monotonic() > deadline:
                        raise SystemExit(f"{name} is {found or 'not there'}, see {self.settings.logs}")
                    time.sleep(0.1)

            wait_for("running", "success")
            before = {key: process.cpu_seconds() for key, process in watched.items()}
            wait_for("success")
            used = {key: process.cpu_seconds() - before[key] for key, process in watched.items()}
            rows = database.execute(
                "select extract(epoch from start_date - queued_dttm), extract(epoch from end_date - start_date)"
                " from task_instance where dag_id = %s and state = 'success'",
                (name,),
            ).fetchall()
        if len(rows) != TASKS:
            raise SystemExit(f"{len(rows)} of {TASKS} tasks of {name} ended well")
        return {
            "queued_to_start_seconds_median": round(statistics.median(float(row[0]) for row in rows), 3),
            "task_seconds_median": round(statistics.median(float(row[1]) for row in rows), 3),
            "cpu_seconds_a_task": {key: round(seconds / TASKS, 2) for key, seconds in used.items()},
        }


def _one(settings: StackSettings, known: Mapping[str, str], executor: str) -> dict[str, Any]:
    this = Airflow(settings, known, executor)
    this.migrate()
    programs = this.programs()
    with ExitStack() as all_of_it:
        watched: dict[str, Running] = {}
        if executor == "CeleryExecutor":
            watched["redis"] = all_of_it.enter_context(running(redis_server.program(settings, known), settings.logs))
        for name, program in programs.items():
            process = all_of_it.enter_context(running(program, settings.logs))
            if name in {"airflow-scheduler", "celery-worker"}:
                watched[name] = process
        settle()
        idle = {key: process.memory_mb() for key, process in watched.items()}
        result = this.run_chain(watched)
        after = {key: process.memory_mb() for key, process in watched.items()}
        return {"memory_mb_idle": idle, "memory_mb_after": after, **result}


def measure(settings: StackSettings) -> dict[str, Any]:
    """Memory (MiB), latency and CPU of the part that runs tasks, with either executor."""
    found = {}
    for executor in ("LocalExecutor", "CeleryExecutor"):
        own = settings.model_copy(update={"watershed_state": settings.watershed_state / executor})
        known = secrets.load(own.watershed_state / "secrets.json")
        with running(postgres.program(own, known), own.logs):
            postgres.step_roles(own, known).do()
            found[executor] = _one(own, known, executor)
    return found
