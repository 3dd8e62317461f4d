"""### mail_report: yesterday's dashboard by mail

Each day an hour and a half after midnight, for the day before: one task, `watershed alerts report`, mails to the
addresses in `ALERTS_TO` one report for each tenant that has data of the day: the picture of its dashboard *Page
views*, and the day's rows of each chart as CSV.

* **Each report once**: what was sent is in `ledger.reports`, so a run can be cleared as often as one likes.
* **Skipped**, with the reason in the log and in the task's result, where something that it needs is not there: a mail
  server (`SMTP_HOST` and `ALERTS_TO`), Playwright (`make setup-dev`), a Chromium by the name `chromium` on the path.
  Also where no report is due.
* **Past days**: as for `daily_report`. The picture is of now; the rows are of the day.
* **Failed**: the log says whether Superset, the dashboard or the mail server is the trouble. What was sent before stays
  sent, and the next try goes on behind it.
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
    schedule=CronDataIntervalTimetable("30 1 * * *", timezone="UTC"),
    start_date=START,
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=2),
    # A picture takes a minute or so on a busy machine, and there is one for each tenant.
    default_args={**DEFAULTS, "pool": "housekeeping", "execution_timeout": timedelta(minutes=90)},
    user_defined_macros=MACROS,
    tags=["watershed", "report", "daily"],
):
    WatershedOperator(
        task_id="mail",
        doc_md="Runs `watershed alerts report` for the run's day. Skipped where none is due or something is missing.",
        arguments=["alerts", "report", "--day", DAY, "--if-possible", "--json"],
        room="mail_report",
        nothing_without="sent",
    )
