"""### reconcile_books: where every acknowledged event is, every five minutes

One task, `watershed books reconcile`: it reads the data files that are new in the lake, each once, looks whether every
file's object is there, and sets what the collectors say they acknowledged against what landed, and that against what
the load counted and the rollups show. By tenant, event type and hour of receipt: `ledger.books`, `marts.books_hourly`,
`./watershed books show`. Once a day every hour is balanced anew, else those that changed.

* **A closed hour that does not balance** is red on *Data quality*, opens the alert *books_unbalanced* and holds
  "complete through" back, until it balances or someone signs it off (`./watershed books sign-off`). The run itself is
  not failed by it. What to do is in [operations](operations.md#an-hour-does-not-balance).
* **A file of the lake that is missing**: the minutes with events in it are held, not recomputed, until it is back.
* **Cut short** by its time budget: what is left is next run's work (`files_left`, `hours_left`).
* **Failed**: the log names the table. Books of types that could not be looked at stay as they were.

The numbers of a run are on its page: `red` are closed hours that do not balance, `unlanded` the events they lack.
"""

from datetime import timedelta

from airflow.sdk import DAG
from incidents import timed_out
from wiring import DEFAULTS, START, WatershedOperator

with DAG(
    dag_id="reconcile_books",
    description="Acknowledged against landed against counted, every five minutes",
    doc_md=__doc__,
    on_failure_callback=timed_out,
    schedule="4-59/5 * * * *",
    start_date=START,
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(minutes=30),
    default_args={**DEFAULTS, "pool": "watch"},
    tags=["watershed", "books", "every five minutes"],
):
    WatershedOperator(
        task_id="reconcile",
        doc_md="Runs `watershed books reconcile`.",
        arguments=["books", "reconcile", "--json"],
        room="books",
    )
