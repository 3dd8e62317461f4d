"""### mail_report: a day's dashboard by mail, when the day is over and complete

Each hour one task, `watershed alerts report`, over the day and the two before it: for each tenant that has data of a
day it mails to the addresses in `ALERTS_TO` the picture of its dashboard *Page views*, and the day's rows of each chart
that the filter *Dates* reaches, as CSV.

* **When**: once the tenant's day is over, by its own clock, and everything received before its end is counted; most
  days that is within the hour. **Twelve hours after the day's end** the report is sent as it is: it says
  *preliminary*, and why, and there is no other of this day.
* **Each report once**: what was sent is in `ledger.reports`, so a run can be cleared as often as one likes.
* **Skipped**, with the reason in the log and in the task's result, where something that it needs is not there: a mail
  server (`SMTP_HOST` and `ALERTS_TO`), Playwright (`make setup-dev`), a Chromium (`CHROMIUM_PATH`).
  Also where no report is due; what waits is named.
* **Past days**: *Trigger → Backfill* of one hour of each day is enough. The picture is of now; the rows are of the day.
* **Failed**: the log says of which tenant, and whether Superset, the dashboard or the mail server is the trouble. What
  could be sent was sent, and the next hour's run tries the rest, for two days.
"""

from datetime import timedelta

from airflow.sdk import DAG, CronDataIntervalTimetable
from incidents import timed_out
from wiring import DAY, DEFAULTS, MACROS, START, WatershedOperator

with DAG(
    dag_id="mail_report",
    description="The day's dashboard by mail, where mail is set",
    doc_md=__doc__,
    on_failure_callback=timed_out,
    schedule=CronDataIntervalTimetable("30 * * * *", timezone="UTC"),
    start_date=START,
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=2),
    # A picture takes a minute or so on a busy machine, and there is one for each tenant.
    default_args={**DEFAULTS, "pool": "housekeeping", "execution_timeout": timedelta(minutes=90)},
    user_defined_macros=MACROS,
    tags=["watershed", "report", "hourly"],
):
    WatershedOperator(
        task_id="mail",
        doc_md="Runs `watershed alerts report` for the run's day and two before. Skipped where none is due.",
        # A day ends up to twelve hours after that of UTC, is waited for twelve more, and may then meet a mail server
        # that is away: two days before are enough for all of it.
        arguments=["alerts", "report", "--day", DAY, "--days", "3", "--if-possible", "--json"],
        room="mail_report",
        nothing_without="sent",
    )
