"""### finish_reports: what was preliminary, again when it is final

`daily_report` writes a day an hour after midnight (UTC). Where a tenant's day is not over by then, as west of
Greenwich, or not everything received in it is counted yet, its page says *preliminary*. Each hour one task,
`watershed report finish`, looks at the days of the last week: what has become final is written again, the tenant's
page and CSV, the page of all, and the day's dumps.

* **Nothing to do**: the task is *skipped*. It has then read one small object a day, `state.json` beside the page of
  all, which says whose reports were final when it was written.
* **Days that `daily_report` did not write** are left to a backfill of it.
* **Past days**: *Trigger → Backfill* of one hour is enough: it looks at the week up to that day.
* **Failed**: are Postgres and the S3 server up (`make status`)? The next hour's run does it again.
"""

from datetime import timedelta

from airflow.sdk import DAG, CronDataIntervalTimetable
from incidents import timed_out
from wiring import DAY, DEFAULTS, MACROS, START, WatershedOperator

with DAG(
    dag_id="finish_reports",
    description="Reports that were preliminary, once they are final",
    doc_md=__doc__,
    on_failure_callback=timed_out,
    schedule=CronDataIntervalTimetable("20 * * * *", timezone="UTC"),
    start_date=START,
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=2),
    default_args={**DEFAULTS, "pool": "housekeeping"},
    user_defined_macros=MACROS,
    tags=["watershed", "report", "hourly"],
):
    WatershedOperator(
        task_id="finish",
        doc_md="Runs `watershed report finish` for the week up to the run's day. Skipped where nothing became final.",
        arguments=["report", "finish", "--date", DAY, "--days", "7", "--json"],
        room="report",
        nothing_without="finished",
        links=["Report"],
    )
