"""### audit_ids: ids that a sender used for two times, each night

One task, `watershed audit ids`, for the day of receipt (UTC) that the run is about: ids received on it that lie in more
than one minute. An event's identity is its id *and* its time, so such an event is counted in each of those minutes.

* **What is found** is in `marts.id_audits`, by event type and tenant, with examples, and is an alert; charts stay as
  they are. `./watershed trace EVENT_ID` tells of an example where it counts. It is for the sender to mend: an id is
  made once, with the event, and is sent again with the event's own time.
* **It is compared with the weeks before** (`AUDIT_LOOK_BACK_DAYS`): an id that was used earlier than that is not found.
* **A second run of a day replaces the first.** Days are audited anew by backfill: `watershed stack airflow backfill
  create --dag-id audit_ids --from-date … --to-date … --reprocess-behavior completed`.
* **If it fails**: the log names the type and why. Nothing waits for it. A file of the lake that is missing
  (`./watershed books show --red`) is left out, and the result names its type (`files_missing`, also in
  `marts.id_audits`). The first run after it is there audits the day again (`again` in its result).
"""

from datetime import timedelta

from airflow.sdk import DAG, CronDataIntervalTimetable
from incidents import timed_out
from wiring import DAY, DEFAULTS, MACROS, START, WatershedOperator

with DAG(
    dag_id="audit_ids",
    description="Ids that a sender used for two times",
    doc_md=__doc__,
    on_failure_callback=timed_out,
    # Half an hour after the day, when what was received in it has landed.
    schedule=CronDataIntervalTimetable("30 0 * * *", timezone="UTC"),
    start_date=START,
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=4),
    default_args={**DEFAULTS, "pool": "housekeeping", "execution_timeout": timedelta(hours=1)},
    user_defined_macros=MACROS,
    tags=["watershed", "books", "daily"],
):
    WatershedOperator(
        task_id="audit",
        doc_md="Runs `watershed audit ids` for the run's day.",
        arguments=["audit", "ids", "--day", DAY, "--json"],
        room="load",
    )
