"""### check_alerts: the rules over the marts, every five minutes

One task, `watershed alerts check`: it judges every rule of `alerts/definitions` over the marts (*Data are not
complete*, *The books do not balance*, *Ids are used for two times*, *Too many server errors*, *Revenue is down*). A
rule that is broken opens an incident and is mailed once; when it holds again, so is that.
What is broken now: `./watershed alerts list`, or `ledger.incidents`.

* **Nobody is told** while `SMTP_HOST` and `ALERTS_TO` are not set; incidents are kept all the same.
* **Failed**: the log says which rule or which server. A mail that could not be sent is sent by the next run.
* Failures of Airflow's own tasks are told by the tasks themselves, not by this.
"""

from datetime import timedelta

from airflow.sdk import DAG
from incidents import timed_out
from wiring import DEFAULTS, START, WatershedOperator

with DAG(
    dag_id="check_alerts",
    description="The rules over the marts, every five minutes",
    doc_md=__doc__,
    on_failure_callback=timed_out,
    schedule="2-59/5 * * * *",
    start_date=START,
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(minutes=15),
    default_args={**DEFAULTS, "pool": "watch", "execution_timeout": timedelta(minutes=5)},
    tags=["watershed", "alerts", "every five minutes"],
):
    WatershedOperator(
        task_id="check",
        doc_md="Runs `watershed alerts check`.",
        arguments=["alerts", "check", "--json"],
        room="alerts",
    )
