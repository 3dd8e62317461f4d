"""### daily_report: yesterday's business in a page, and the marts as files

Each day an hour after midnight, for the day before; both tasks write into the lake's bucket and replace what an earlier
run of the same day wrote, so that a day can be run again as often as one likes.

1. `report` writes for each tenant `reports/daily/tenant=<name>/date=<day>/report.html` and a CSV of every daily mart.
   The page of all tenants is linked in the run's note and as **Report** among the task's details, for seven days and
   without a log-in. A day that is not complete yet says so on its page, and is written again by `finish_reports`.
2. `dump` writes `dumps/<mart>/date=<day>/part-0.parquet` for every mart, sketches included. A week or a month that is
   under way is written each day, by its first day; what is of all time as of 1970-01-01.

* **Past days**: *Trigger → Backfill*, or `watershed stack airflow backfill create --dag-id daily_report --from-date …
  --to-date … --reprocess-behavior completed`. A run's logical date is the day that it reports.
* **Failed**: are Postgres and the S3 server up (`make status`)? Clear the task; nothing else depends on it.
"""

from datetime import timedelta

from airflow.sdk import DAG, CronDataIntervalTimetable, chain
from incidents import timed_out
from wiring import DAY, DEFAULTS, MACROS, START, WatershedOperator

with DAG(
    dag_id="daily_report",
    description="The day as HTML and CSV, the marts as Parquet",
    doc_md=__doc__,
    on_failure_callback=timed_out,
    schedule=CronDataIntervalTimetable("0 1 * * *", timezone="UTC"),
    start_date=START,
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=2),
    default_args={**DEFAULTS, "pool": "housekeeping"},
    user_defined_macros=MACROS,
    tags=["watershed", "report", "daily"],
):
    report = WatershedOperator(
        task_id="report",
        doc_md="Runs `watershed report daily` for the run's day.",
        arguments=["report", "daily", "--date", DAY, "--json"],
        room="report",
        links=["Report"],
    )
    dump = WatershedOperator(
        task_id="dump",
        doc_md="Runs `watershed report dump` for the run's day.",
        arguments=["report", "dump", "--date", DAY, "--json"],
        room="report",
    )
    chain(report, dump)
