"""### maintain_lake: the lake stays small and quick, each night

One task, `watershed lake maintain`, table by table, while landings and loads go on:

1. **Retention.** The floor of a type is raised to its contract's `retention_days`; only then are older rows deleted
   from the lake. Below the floor nothing is recomputed, ever; what arrives there is quarantined and booked. Rejected
   events go `MAINTAIN_REJECTS_DAYS` after their receipt; their counts stay.
2. **Compaction.** A day of many small files becomes few sorted ones.
3. **Snapshots** that others replaced a day ago are forgotten, with the files that only they needed.
4. **Orphans**, files that no table knows, go when they are three days old.
5. **Old minutes** of the rollups below the floor become quarter-hours, once the marts hold them.

* **Failed**: every step is a commit of its own and is taken up the next night. The log names the table. A table that
  failed keeps nobody from loading; it only grows.
* **By hand**: `./watershed lake maintain --dry-run` says what would be done. `--type` takes one type.
* **A backfill** of past days does what today's run does: maintenance looks at the lake as it is now.
"""

from datetime import timedelta

from airflow.sdk import DAG
from incidents import timed_out
from wiring import DEFAULTS, START, WatershedOperator

with DAG(
    dag_id="maintain_lake",
    description="Retention, compaction, snapshots, orphans, old minutes; each night",
    doc_md=__doc__,
    on_failure_callback=timed_out,
    schedule="47 2 * * *",
    start_date=START,
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=4),
    default_args={**DEFAULTS, "pool": "housekeeping", "execution_timeout": timedelta(hours=1)},
    tags=["watershed", "maintenance", "daily"],
):
    WatershedOperator(
        task_id="maintain",
        doc_md="Runs `watershed lake maintain`.",
        arguments=["lake", "maintain", "--json"],
        room="maintain",
    )
