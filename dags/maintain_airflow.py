"""### maintain_airflow: Airflow's own database and logs stay small

A load and a build each minute are some 3,000 runs and 9,000 tasks a day. Each night this deletes what is older than
`AIRFLOW_KEEP_DAYS` (7): rows of Airflow's database (the newest run of each DAG stays) and the logs of tasks.
Watershed's own books, the ledger and the restatements, are elsewhere and are not touched.
"""

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, chain, conf, task
from incidents import timed_out
from wiring import DEFAULTS, START

with DAG(
    dag_id="maintain_airflow",
    description="Old runs and task logs, each night",
    doc_md=__doc__,
    on_failure_callback=timed_out,
    schedule="17 3 * * *",
    start_date=START,
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=2),
    default_args={**DEFAULTS, "pool": "housekeeping", "execution_timeout": timedelta(hours=1)},
    tags=["watershed", "maintenance", "daily"],
):

    @task(doc_md="Deletes old rows from Airflow's database.")
    def clean_database() -> dict[str, Any]:
        """Rows older than the cut-off go."""
        import housekeeping

        before = housekeeping.cutoff(int(os.environ.get("AIRFLOW_KEEP_DAYS", "7")))
        housekeeping.clean_database(before, os.environ["AIRFLOW_MAINTENANCE_DSN"])
        return {"deleted_before": before.isoformat()}

    @task(doc_md="Deletes old logs of tasks.")
    def clean_logs() -> dict[str, Any]:
        """Files older than the cut-off go."""
        import housekeeping

        before = housekeeping.cutoff(int(os.environ.get("AIRFLOW_KEEP_DAYS", "7")))
        folder = Path(conf.get("logging", "base_log_folder"))
        return {"deleted_before": before.isoformat(), **housekeeping.delete_old_logs(folder, before)}

    chain(clean_database(), clean_logs())
