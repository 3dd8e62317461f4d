"""What each DAG has to have, however it came about."""

import json
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

from jinja2 import Template
from typer.main import get_command

from alerts.due import PATIENCE
from rejects import options, repair_commands
from rejects.reject import Chosen
from spark_jobs.reprocess_commands import DIFFERS
from stack import airflow, lineage
from stack.settings import REPO

EXPECTED = {
    "load_rollups",
    "build_marts",
    "check_alerts",
    "rebuild_marts",
    "maintain_airflow",
    "maintain_lake",
    "reprocess",
    "audit_ids",
    "daily_report",
    "finish_reports",
    "mail_report",
    "repair_rejects",
    "reconcile_books",
}
Facts = dict[str, Any]


def tasks(facts: Facts) -> list[tuple[str, dict[str, Any]]]:
    return [(f"{dag_id}.{task['id']}", task) for dag_id, dag in facts["dags"].items() for task in dag["tasks"]]


def task(facts: Facts, dag_id: str, task_id: str) -> dict[str, Any]:
    (found,) = [t for t in facts["dags"][dag_id]["tasks"] if t["id"] == task_id]
    return dict(found)


def test_every_dag_file_parses(facts: Facts) -> None:
    assert facts["import_errors"] == {}
    assert set(facts["dags"]) == EXPECTED


def test_a_dag_is_in_the_file_of_its_name(facts: Facts) -> None:
    assert {dag_id: dag["file"] for dag_id, dag in facts["dags"].items()} == {d: f"{d}.py" for d in EXPECTED}


def test_parsing_a_dag_file_opens_no_connection_starts_no_process_and_writes_nothing(facts: Facts) -> None:
    assert facts["while_parsing"] == []


def test_every_dag_tells_in_the_ui_what_it_does_and_what_to_do_when_it_fails(facts: Facts) -> None:
    for dag_id, dag in facts["dags"].items():
        assert dag["doc"].startswith(f"### {dag_id}: "), dag_id
        assert len(dag["doc"]) > 300, dag_id
        assert dag["description"], dag_id


def test_every_dag_is_tagged_as_ours_and_with_how_often_it_runs(facts: Facts) -> None:
    for dag_id, dag in facts["dags"].items():
        assert "watershed" in dag["tags"], dag_id
        assert len(set(dag["tags"]) & {"each minute", "every five minutes", "hourly", "daily", "by hand"}) == 1, dag_id


def test_no_dag_overlaps_itself_or_catches_up_or_runs_for_ever(facts: Facts) -> None:
    for dag_id, dag in facts["dags"].items():
        assert dag["max_active_runs"] == 1, dag_id
        assert dag["catchup"] is False, dag_id
        assert dag["timeout"], dag_id
        assert dag["start"] == "2026-01-01T00:00:00+00:00", dag_id


def test_every_task_has_an_owner_a_pool_of_its_kind_a_timeout_and_retries_that_back_off(facts: Facts) -> None:
    pools = set(json.loads((REPO / "dags" / "pools.json").read_text()))
    for name, found in tasks(facts):
        assert found["owner"] == "watershed", name
        assert found["pool"] in pools, name
        assert found["timeout"], name
        assert found["retries"] >= 1, name
        assert found["backoff"], name
        assert found["retry_delay"] >= 5, name
        assert not found["depends_on_past"], name


def test_a_task_gives_up_before_its_run_does(facts: Facts) -> None:
    for dag_id, dag in facts["dags"].items():
        for found in dag["tasks"]:
            assert found["timeout"] < dag["timeout"], f"{dag_id}.{found['id']}"


def test_what_runs_each_minute_is_few_tasks(facts: Facts) -> None:
    each_minute = [dag for dag in facts["dags"].values() if "each minute" in dag["tags"]]
    assert sum(len(dag["tasks"]) for dag in each_minute) <= 6


def test_load_rollups_runs_each_minute_and_says_when_rollups_changed(facts: Facts) -> None:
    assert facts["dags"]["load_rollups"]["schedule"] == "* * * * *"
    assert task(facts, "load_rollups", "load")["outlets"] == ["rollups"]


def test_books_close_every_five_minutes_and_what_audits_them_runs_each_night(facts: Facts) -> None:
    times = {dag_id: facts["dags"][dag_id]["times"] for dag_id in ("reconcile_books", "audit_ids", "reprocess")}
    assert times == {"reconcile_books": "4-59/5 * * * *", "audit_ids": "30 0 * * *", "reprocess": "0 0 * * *"}


def test_build_marts_is_woken_by_changed_rollups_and_also_looks_by_itself(facts: Facts) -> None:
    build = facts["dags"]["build_marts"]
    assert build["timetable"] == "AssetOrTimeSchedule"
    assert build["assets"] == ["rollups"]


def test_nothing_is_built_before_its_gate_and_nothing_published_before_both(facts: Facts) -> None:
    after = {t["id"]: t["after"] for t in facts["dags"]["build_marts"]["tasks"]}
    assert after == {
        "claim": [],
        "gate_rollups": ["claim"],
        "build": ["gate_rollups"],
        "gate_marts": ["build"],
        "publish": ["gate_marts"],
    }


def test_all_steps_of_a_build_have_the_same_run_id(facts: Facts) -> None:
    ids = {t["arguments"][t["arguments"].index("--run-id") + 1] for t in facts["dags"]["build_marts"]["tasks"]}
    assert len(ids) == 1


def test_rebuild_marts_shows_each_model_as_a_task_in_dbts_order(facts: Facts) -> None:
    hourly = task(facts, "rebuild_marts", "models.region_hourly_run")
    daily = task(facts, "rebuild_marts", "models.region_daily_run")
    assert hourly["after"] == ["gate_rollups"]
    assert daily["after"] == ["models.region_hourly_run"]
    assert hourly["full_refresh"] is True
    assert daily["full_refresh"] is True
    assert task(facts, "rebuild_marts", "gate_marts")["after"] == ["models.dbt_project_test"]


def test_a_rebuild_waits_for_a_running_build_and_takes_everything(facts: Facts) -> None:
    assert task(facts, "rebuild_marts", "claim")["after"] == ["builds_are_done"]
    assert "--all" in task(facts, "rebuild_marts", "claim")["arguments"]


def test_a_command_runs_in_the_name_of_its_own_room(facts: Facts) -> None:
    rooms = {"load": "load", "marts claim": "publish", "marts build": "dbt", "gate": "gate", "publish": "publish"}
    rooms |= {"reprocess": "load", "lake maintain": "maintain", "report": "report", "books reconcile": "books"}
    rooms |= {"audit ids": "load"}
    rooms |= {"alerts check": "alerts", "alerts report": "mail_report", "repair": "repair"}
    seen = set()
    for name, found in tasks(facts):
        if found["type"] == "WatershedOperator":
            words = " ".join(found["arguments"])
            assert [found["room"]] == [room for start, room in rooms.items() if words.startswith(start)], name
            seen.add(found["room"])
    assert seen == set(airflow.ROOMS)


def test_a_failure_of_any_task_is_an_incident_and_its_next_success_ends_it(facts: Facts) -> None:
    for name, found in tasks(facts):
        assert found["alerts"] == {
            "on_failure_callback": ["failed"],
            "on_success_callback": ["recovered"],
            "on_skipped_callback": ["recovered"],
        }, name


def test_a_run_whose_time_is_up_is_an_incident_too(facts: Facts) -> None:
    for dag_id, dag in facts["dags"].items():
        assert dag["alerts"] == ["timed_out"], f"{dag_id}: no task's callback is called then"


def test_the_runbook_has_a_page_for_every_dag(facts: Facts) -> None:
    headings = [line for line in (REPO / "docs" / "operations.md").read_text().splitlines() if line.startswith("### ")]
    for dag_id in facts["dags"]:
        assert f"### …`{dag_id}` fails" in headings, "alerts link to it"


def test_gates_lead_to_data_docs(facts: Facts) -> None:
    for name, found in tasks(facts):
        assert ("Data Docs" in found["links"]) == (found["room"] == "gate"), name


def test_every_dag_with_a_period_can_be_backfilled(facts: Facts) -> None:
    """Airflow refuses to backfill what has no periodic schedule, or is also woken by assets."""
    periodic = {dag_id for dag_id, dag in facts["dags"].items() if {"hourly", "daily"} & set(dag["tags"])}
    periodic |= {"load_rollups"}
    for dag_id in periodic:
        assert facts["dags"][dag_id]["timetable"] in {"CronTriggerTimetable", "CronDataIntervalTimetable"}, dag_id


def test_a_report_is_of_the_day_that_its_run_is_called_by(facts: Facts) -> None:
    assert facts["dags"]["daily_report"]["timetable"] == "CronDataIntervalTimetable"
    for task_id in ("report", "dump"):
        arguments = task(facts, "daily_report", task_id)["arguments"]
        assert arguments[arguments.index("--date") + 1] == "{{ day_of(dag_run) }}"
    finished = task(facts, "finish_reports", "finish")["arguments"]
    assert finished[finished.index("--date") + 1] == "{{ day_of(dag_run) }}"
    mailed = task(facts, "mail_report", "mail")["arguments"]
    assert mailed[mailed.index("--day") + 1] == "{{ day_of(dag_run) }}"
    assert "--if-possible" in mailed, "an installation without mail is not one that fails each night"


def test_a_reprocessing_is_of_the_whole_day_of_its_run_and_changes_nothing_unless_it_was_asked_for(
    facts: Facts,
) -> None:
    assert facts["dags"]["reprocess"]["timetable"] == "CronDataIntervalTimetable"
    assert task(facts, "reprocess", "reprocess")["final_code"] == DIFFERS
    words = task(facts, "reprocess", "reprocess")["arguments"]
    assert words[words.index("--from") + 1] == "{{ day_of(dag_run) }}"
    assert words[words.index("--to") + 1] == "{{ day_after(dag_run) }}"
    (choice,) = [word for word in words if "--apply" in word]
    rendered = {
        kind: Template(choice).render(dag_run=SimpleNamespace(run_type=kind))
        for kind in ("scheduled", "backfill", "manual")
    }
    assert rendered == {"scheduled": "--dry-run", "backfill": "--apply", "manual": "--apply"}


def test_the_dags_of_which_no_lineage_is_told_are_there_and_update_no_asset(facts: Facts) -> None:
    for name in lineage.QUIET:
        assert not [task["outlets"] for task in facts["dags"][name]["tasks"] if task["outlets"]], name


def repair_asked_for(facts: Facts, **params: Any) -> dict[str, Any]:
    """What the command of `repair_rejects` is asked for, when a run has ``params`` beside the defaults."""
    given = {**facts["dags"]["repair_rejects"]["params"], **params}
    run = {"params": given, "run_id": "manual__1", "dag_run": {"triggering_user_name": "ann"}}
    words = [Template(word).render(run) for word in task(facts, "repair_rejects", "repair")["arguments"][1:]]
    return get_command(repair_commands.app).make_context("repair", words).params


def test_a_repair_only_looks_unless_somebody_says_otherwise(facts: Facts) -> None:
    asked = repair_asked_for(facts)
    assert (asked["apply"], asked["revalidate"], asked["patch"]) == (False, True, "")
    assert (asked["by"], asked["as_json"]) == ("ann, manual__1", True)
    names = ("reason", "field", "type_", "tenant", "key", "version", "since", "until")
    assert options.chosen(*(asked[name] for name in names)) == Chosen(), "what is left empty does not matter"


def test_a_repair_is_asked_for_what_its_run_says(facts: Facts) -> None:
    patch = [{"op": "replace", "path": "/data/region", "value": 'it\'s <b> & "c"'}]
    params = {"reason": "enum", "field": "/data/region", "type": "page_view", "tenant": "acme", "key": "k_1"}
    params |= {"version": "2", "received_from": "2026-11-01", "received_to": "2026-11-03T12:00"}
    asked = repair_asked_for(facts, **params, patch=patch, dry_run=False)
    assert (asked["apply"], asked["revalidate"], json.loads(asked["patch"])) == (True, False, patch)
    names = ("reason", "field", "type_", "tenant", "key", "version", "since", "until")
    assert [asked[name] for name in names] == list(params.values())


def test_dbts_results_are_written_where_the_lineage_of_a_build_is_read(facts: Facts) -> None:
    build = task(facts, "build_marts", "build")
    folder = build["dbt_artifacts"]
    assert folder
    assert build["arguments"][build["arguments"].index("--run-results") + 1] == f"{folder}/run_results.json"


def test_a_report_that_was_preliminary_is_looked_at_each_hour(facts: Facts) -> None:
    assert "hourly" in facts["dags"]["finish_reports"]["tags"]
    assert facts["dags"]["finish_reports"]["timetable"] == "CronDataIntervalTimetable"


def test_a_report_by_mail_is_tried_until_its_day_is_over_complete_or_given_up_everywhere_on_earth(facts: Facts) -> None:
    """A day ends up to twelve hours after that of UTC, and is waited for twelve hours more."""
    mailed = task(facts, "mail_report", "mail")["arguments"]
    assert "hourly" in facts["dags"]["mail_report"]["tags"]
    more = timedelta(days=int(mailed[mailed.index("--days") + 1]))
    assert more > timedelta(days=1) + timedelta(hours=12) + PATIENCE
