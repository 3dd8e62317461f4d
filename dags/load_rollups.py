"""### load_rollups: the lake into the rollups, each minute

One task, `watershed load`: for each event type it reads what landed since the last load, notes which minutes that
touches, and computes those minutes anew from the lake, newest first, within a time budget. What is over the budget
stays noted and is next minute's work. Then it counts the rejected events that landed, by hour of receipt, the same way.

* **No overlap**: one run at a time; a minute that passes while a run is at work is not made up for, because a load
  takes everything there is.
* **Nothing new**: the task is *skipped* (and says so with zeros); `build_marts` is then not woken.
* **Something new**: the asset `rollups` is updated, with the numbers of this load on it, and `build_marts` starts.
* **Failed**: nothing is half done, a minute is replaced in one transaction. Two retries, then the next minute's run.
  Look into the task's log first, then whether the Spark Connect server is up (`make status`).

The numbers of a run are the result of its task (tabs *Storage*, *XCom*) and the last lines of its log.
"""

from datetime import timedelta

from airflow.sdk import DAG
from incidents import timed_out
from wiring import DEFAULTS, ROLLUPS, START, WatershedOperator

with DAG(
    dag_id="load_rollups",
    description="Lake → rollups, each minute",
    doc_md=__doc__,
    on_failure_callback=timed_out,
    schedule="* * * * *",
    start_date=START,
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(minutes=30),
    default_args=DEFAULTS,
    tags=["watershed", "load", "each minute"],
):
    WatershedOperator(
        task_id="load",
        doc_md="Runs `watershed load`. Skipped when no rollup changed.",
        arguments=["load", "--json"],
        room="load",
        nothing_without="changed",
        outlets=[ROLLUPS],
        pool="load",
    )
