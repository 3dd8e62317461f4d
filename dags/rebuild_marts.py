"""### rebuild_marts: every mart anew from the rollups, model by model

By hand only: after a change of a model that must reach closed periods, or when in doubt about what `marts_build`
holds. `build_marts` does the daily work and builds what changed in one dbt run; here each model is a task of its own,
so that a long rebuild shows how far it is and goes on where it failed (clear the failed task).

1. `builds_are_done` waits for a running `build_marts`; new ones stand aside from then on.
2. `claim` takes **all** hours there are, and `gate_rollups` checks their rollups.
3. `models`: each dbt model with `--full-refresh`, in dbt's order, then `test`, dbt's own tests.
4. `gate_marts` and `publish`, as in `build_marts`: readers see the old numbers until the last step, then the new ones,
   and a closed period that changed is written to the restatements.
"""

import os
from datetime import timedelta

from airflow.sdk import DAG, chain
from cosmos.airflow.task_group import DbtTaskGroup
from cosmos.config import ExecutionConfig, ProfileConfig, ProjectConfig, RenderConfig
from cosmos.constants import ExecutionMode, InvocationMode, LoadMode, TestBehavior
from incidents import timed_out
from wiring import DEFAULTS, MACROS, MARTS, PROJECT, RUN_UUID, START, NoRunOf, WatershedOperator

with DAG(
    dag_id="rebuild_marts",
    description="Every mart anew, a task a model; by hand",
    doc_md=__doc__,
    on_failure_callback=timed_out,
    schedule=None,
    start_date=START,
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=12),
    default_args={**DEFAULTS, "pool": "marts", "execution_timeout": timedelta(hours=2)},
    user_defined_macros=MACROS,
    tags=["watershed", "marts", "by hand"],
):
    builds_are_done = NoRunOf(
        task_id="builds_are_done",
        doc_md="Waits for a running `build_marts`, without holding a worker.",
        other_dag="build_marts",
        pool="housekeeping",
        timeout=timedelta(hours=1),
    )
    claim = WatershedOperator(
        task_id="claim",
        doc_md="Takes all hours that the rollups have.",
        arguments=["marts", "claim", "--all", "--run-id", RUN_UUID, "--json"],
        room="publish",
        nothing_without="hours",
    )
    gate_rollups = WatershedOperator(
        task_id="gate_rollups",
        doc_md="Checks the claimed rollups; a failed *stop* holds that tenant back.",
        arguments=["gate", "rollups", "--run-id", RUN_UUID, "--json"],
        room="gate",
        links=["Data Docs"],
    )
    models = DbtTaskGroup(
        group_id="models",
        project_config=ProjectConfig(
            dbt_project_path=PROJECT,
            # Written by the stack before Airflow starts: reading it costs milliseconds, `dbt ls` would cost seconds
            # each time this file is parsed, and a task parses it too.
            manifest_path=os.environ["DBT_MANIFEST"],
            install_dbt_deps=False,
        ),
        profile_config=ProfileConfig(
            profile_name="watershed", target_name="warehouse", profiles_yml_filepath=PROJECT / "profiles.yml"
        ),
        execution_config=ExecutionConfig(
            execution_mode=ExecutionMode.LOCAL,
            invocation_mode=InvocationMode.SUBPROCESS,
            dbt_executable_path=os.environ["DBT_BIN"],
        ),
        render_config=RenderConfig(
            load_method=LoadMode.DBT_MANIFEST, test_behavior=TestBehavior.AFTER_ALL, emit_datasets=False
        ),
        operator_args={"vars": {"run_id": RUN_UUID}, "full_refresh": True},
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
        doc_md="Replaces all periods in `marts` in one transaction.",
        arguments=["publish", "--run-id", RUN_UUID, "--json"],
        room="publish",
        outlets=[MARTS],
    )
    chain(builds_are_done, claim, gate_rollups, models, gate_marts, publish)
