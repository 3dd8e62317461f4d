"""### build_marts: changed hours into the marts

Runs when `load_rollups` says that rollups changed (asset `rollups`), and every five minutes by looking itself, so that
a lost trigger heals. Five short tasks under one run id:

1. `claim` takes what is loaded and not published, also what an earlier run failed to publish. **Nothing there: skipped,
   and the rest with it.** It stands aside while `rebuild_marts` runs.
2. `gate_rollups` checks the claimed rollups. A failed *stop* expectation holds that tenant back, no other.
3. `build` is one dbt run of the periods that the claim touches, into `marts_build`, which nobody reads.
4. `gate_marts` checks the candidates the same way.
5. `publish` replaces the claimed periods in `marts` in one transaction, with restatements and freshness. A tenant that
   is held keeps its old numbers and its claim for the next run.

A run that fails loses nothing: its claim is taken over by the next. What the gates found is in Data Docs and in
`ledger.gate_results` under the run id, which each task's *Rendered Templates* show.

**Nothing to backfill**: a run is of no period, it takes what is not published yet, of whatever day. Days anew from the
lake are a backfill of `reprocess`, and every mart anew is `rebuild_marts`.
"""

import os
from datetime import timedelta
from pathlib import Path

from airflow.sdk import DAG, AssetOrTimeSchedule, CronTriggerTimetable, chain
from incidents import timed_out
from wiring import DEFAULTS, MACROS, MARTS, ROLLUPS, RUN_UUID, START, WatershedOperator

ARTIFACTS = Path(os.environ["DBT_MANIFEST"]).parent

with DAG(
    dag_id="build_marts",
    description="Changed rollups → gate → dbt → gate → marts",
    doc_md=__doc__,
    on_failure_callback=timed_out,
    schedule=AssetOrTimeSchedule(timetable=CronTriggerTimetable("*/5 * * * *", timezone="UTC"), assets=ROLLUPS),
    start_date=START,
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(minutes=45),
    default_args={**DEFAULTS, "pool": "marts"},
    user_defined_macros=MACROS,
    tags=["watershed", "marts", "each minute"],
):
    claim = WatershedOperator(
        task_id="claim",
        doc_md="Takes the hours that are loaded and not published. Skipped when there are none.",
        arguments=["marts", "claim", "--run-id", RUN_UUID, "--json"],
        room="publish",
        nothing_without="hours",
        aside_of="rebuild_marts",
    )
    gate_rollups = WatershedOperator(
        task_id="gate_rollups",
        doc_md="Checks the claimed rollups; a failed *stop* holds that tenant back.",
        arguments=["gate", "rollups", "--run-id", RUN_UUID, "--json"],
        room="gate",
        links=["Data Docs"],
    )
    build = WatershedOperator(
        task_id="build",
        doc_md="One dbt run of the claimed periods, into `marts_build`.",
        arguments=["marts", "build", "--run-id", RUN_UUID, "--run-results", f"{ARTIFACTS}/run_results.json", "--json"],
        room="dbt",
        dbt_artifacts=ARTIFACTS,
    )
    gate_marts = WatershedOperator(
        task_id="gate_marts",
        doc_md="Checks the candidates in `marts_build`; a failed *stop* holds that tenant back.",
        arguments=["gate", "marts", "--run-id", RUN_UUID, "--json"],
        room="gate",
        links=["Data Docs"],
    )
    publish = WatershedOperator(
        task_id="publish",
        doc_md="Replaces the claimed periods in `marts` in one transaction.",
        arguments=["publish", "--run-id", RUN_UUID, "--json"],
        room="publish",
        outlets=[MARTS],
    )
    chain(claim, gate_rollups, build, gate_marts, publish)
