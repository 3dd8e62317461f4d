"""### repair_rejects: rejected events, mended and sent again; by hand

One task, `watershed repair`. *Trigger* asks which rejected events (reason, field, type, tenant, key, contract version,
times of receipt; what is left empty does not matter) and how they are mended: by a JSON Patch, or, without one, not at
all, which helps where a contract is newer now. **It only looks unless `dry_run` is switched off.**

* **The result** (the run's note, the task's *XCom*) says how many would pass, and why the others would not: by reason,
  with an example of each. *sent* says how many were sent.
* **What passes** goes through the collector as every event does, under its own id and time, and is counted by the next
  load. Charts of closed days that change are restated with the cause *repair*.
* **Again**: what was repaired is left alone. A run that was cut short has noted what it was about to send; the next one
  sends that first, and it counts once.
* **Failed**: the log says why. *Refuses … that pass here*: the collector runs with other contracts, start it anew.
  *Given up after …*: it was away. Trigger it again with the same values.

`./watershed rejects list` counts what there is; `./watershed rejects show` has one in full.
"""

from datetime import timedelta

from airflow.sdk import DAG, Param
from incidents import timed_out
from wiring import DEFAULTS, START, WatershedOperator


def text(title: str, description: str) -> Param:
    """A value that may be left empty."""
    return Param(default=None, type=["null", "string"], title=title, description=description)


ARGUMENTS = [
    "repair",
    "--reason", "{{ params.reason or '' }}",
    "--field", "{{ params.field or '' }}",
    "--type", "{{ params.type or '' }}",
    "--tenant", "{{ params.tenant or '' }}",
    "--key", "{{ params.key or '' }}",
    "--version", "{{ params.version or '' }}",
    "--from", "{{ params.received_from or '' }}",
    "--to", "{{ params.received_to or '' }}",
    "--patch", "{{ params.patch | tojson if params.patch else '' }}",
    "{{ '--no-revalidate' if params.patch else '--revalidate' }}",
    "{{ '--dry-run' if params.dry_run else '--apply' }}",
    "--by", "{{ (dag_run.triggering_user_name or 'airflow') ~ ', ' ~ run_id }}",
    "--json",
]  # fmt: skip
"""The command's words: options that are empty do not matter to it."""

with DAG(
    dag_id="repair_rejects",
    description="Rejected events, mended and sent again; by hand",
    doc_md=__doc__,
    on_failure_callback=timed_out,
    schedule=None,
    start_date=START,
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=6),
    default_args={**DEFAULTS, "pool": "housekeeping", "execution_timeout": timedelta(hours=2)},
    params={
        "reason": text("Reason", "The keyword of a reason, such as additionalProperties."),
        "field": text("Field", "Where that reason is: a JSON pointer, such as /data/amount."),
        "type": text("Event type", "The type that the events claimed to be."),
        "tenant": text("Tenant", "Whose events."),
        "key": text("Write key", "The id of the key that sent them."),
        "version": text("Contract version", "The one that the events name, or none."),
        "received_from": text("Received from", "A date or time, UTC."),
        "received_to": text("Received before", "A date or time, UTC."),
        "patch": Param(
            default=None,
            type=["null", "array"],
            items={"type": "object"},
            title="JSON Patch",
            description='RFC 6902, such as [{"op": "remove", "path": "/data/debug"}]. Empty: judged as they are.',
        ),
        "dry_run": Param(default=True, type="boolean", title="Dry run", description="Only look; nothing is changed."),
    },
    tags=["watershed", "repair", "by hand"],
):
    WatershedOperator(
        task_id="repair",
        doc_md="Runs `watershed repair`; a dry run unless the run's parameters say otherwise.",
        arguments=ARGUMENTS,
        room="repair",
    )
