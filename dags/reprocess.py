"""### reprocess: a day anew from the lake; yesterday each night, to look

One task, `watershed reprocess`, for the day (UTC) that the run is about: every minute of every type is computed anew
from the lake and compared with the rollups and the books.

* **The nightly run looks at yesterday and changes nothing.** It expects no difference: the same lake and the same code
  give the same numbers. **It fails where there is one**: its result names periods and measures, with the value there
  is and the one that the lake gives. Somebody changed rollups by hand, or code or a contract was changed and the days
  before were not computed with it yet.
* **A run by backfill or by hand puts in place what differs**: *Trigger → Backfill*, or `watershed stack airflow
  backfill create --dag-id reprocess --from-date … --to-date … --reprocess-behavior completed`. Loads and builds go on
  meanwhile; at its end a run waits until no build is between claim and publication, and then replaces all at once.
  `build_marts` publishes it with restatements of closed periods, cause `reprocess`.
* **Undo**: `./watershed reprocess --undo RUN` for thirty days, with the `run_id` of the task's result.
* **Below the floor of the lake** nothing is computed; the result says of how many minutes that was so.
* **Failed or killed**: the next try goes on where it was. That another reprocessing or a build run is at work passes;
  a dry run waits for neither.
  Differences that were found are not looked for a second time.
"""

from datetime import timedelta

from airflow.sdk import DAG, CronDataIntervalTimetable
from incidents import timed_out
from wiring import DAY, DAY_AFTER, DEFAULTS, MACROS, ROLLUPS, START, WatershedOperator

DIFFERS = 3
"""The code with which a dry run ends that has found differences."""
LOOK_OR_APPLY = "{{ '--dry-run' if dag_run.run_type == 'scheduled' else '--apply' }}"

with DAG(
    dag_id="reprocess",
    description="A day anew from the lake: each night to look, by backfill to mend",
    doc_md=__doc__,
    on_failure_callback=timed_out,
    schedule=CronDataIntervalTimetable("0 0 * * *", timezone="UTC"),
    start_date=START,
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=10),
    default_args={**DEFAULTS, "pool": "housekeeping", "execution_timeout": timedelta(hours=3)},
    user_defined_macros=MACROS,
    tags=["watershed", "reprocess", "daily"],
):
    WatershedOperator(
        task_id="reprocess",
        doc_md="Runs `watershed reprocess` for the run's day.",
        arguments=["reprocess", "--from", DAY, "--to", DAY_AFTER, LOOK_OR_APPLY, "--json"],
        room="load",
        final_code=DIFFERS,
        outlets=[ROLLUPS],
    )
