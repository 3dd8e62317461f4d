"""What an operator sees and does in Airflow: numbers on runs, past days by backfill, an alert once."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.kit import Airflow, Warehouse, send_page_view, watershed

SHOWN = "select coalesce(sum(page_views), 0) from marts.region_daily where tenant = %s"


def notes(airflow: Airflow, dag_id: str) -> list[str]:
    runs = airflow.get(f"dags/{dag_id}/dagRuns", limit=50, order_by="-run_after")["dag_runs"]
    return [run["note"] or "" for run in runs if run["state"] in {"success", "failed"}]


def test_a_runs_page_says_what_it_did_in_numbers(
    env: Mapping[str, str], demo: dict[str, Any], airflow: Airflow, warehouse: Warehouse
) -> None:
    send_page_view(env, "noted")
    warehouse.until("it is charted", lambda: warehouse.one(SHOWN, "noted") == 1)

    def says(dag_id: str, *words: str) -> bool:
        return any(all(word in note for word in words) for note in notes(airflow, dag_id))

    warehouse.until(
        "a load says it", lambda: says("load_rollups", "events read 1,", "minutes touched 1,", "rows written 1")
    )
    docs = f"[Data Docs]({env['DATA_DOCS_URL']})"
    warehouse.until("a build says it", lambda: says("build_marts", "**gate_marts**: expectations", docs, "published"))


@pytest.mark.parametrize("dag_id", ["reconcile_books", "check_alerts", "audit_ids", "repair_rejects", "maintain_lake"])
def test_what_no_event_waits_for_succeeds_on_the_whole_stack(
    demo: dict[str, Any], airflow: Airflow, warehouse: Warehouse, dag_id: str
) -> None:
    """Each in its room, with the rights that it has there."""
    began = datetime.now(UTC)
    run_id = airflow.trigger(dag_id, f"{began:%Y-%m-%d}T00:30:00Z" if dag_id == "audit_ids" else None)
    warehouse.until("it is over", lambda: airflow.state(dag_id, run_id) in {"success", "failed"}, 900)
    assert airflow.state(dag_id, run_id) == "success"
    if dag_id != "reconcile_books":
        return
    assert warehouse.one("select max(finished_at) >= %s from ledger.reconciliations", began)
    acknowledged, nowhere, red = warehouse.rows(
        "select sum(acknowledged), sum(unlanded + missing), count(*) filter (where closed and not balanced)"
        " from marts.books_hourly where tenant = %s",
        demo["tenant"],
    )[0]
    assert (nowhere, red) == (0, 0)
    assert acknowledged > demo["page_views"]


def test_past_days_are_reported_by_backfill_and_the_task_leads_to_the_page(
    env: Mapping[str, str], demo: dict[str, Any], airflow: Airflow, warehouse: Warehouse
) -> None:
    days = warehouse.rows(
        "select distinct period_start::date as day from marts.region_daily where tenant = %s order by day desc limit 4",
        demo["tenant"],
    )
    newest, oldest = days[1][0], days[2][0]
    airflow.post(  # as its pages do
        "backfills",
        dag_id="daily_report",
        from_date=f"{newest}T00:00:00Z",
        to_date=f"{newest}T23:00:00Z",
        reprocess_behavior="completed",
    )

    def over() -> bool:
        known = airflow.get("backfills", dag_id="daily_report")["backfills"]
        return all(backfill["completed_at"] for backfill in known)

    warehouse.until("another backfill of the DAG is let in", over, 900)
    period = ("--from-date", f"{oldest}T00:00:00Z", "--to-date", f"{oldest}T23:00:00Z")
    words = ["stack", "airflow", "backfill", "create", "--dag-id", "daily_report", "--reprocess-behavior", "completed"]
    done = watershed(env, *words, *period)
    assert done.returncode == 0, done.stderr[-3000:]

    def backfilled() -> list[dict[str, Any]]:
        runs = airflow.get("dags/daily_report/dagRuns", run_type="backfill", limit=50)["dag_runs"]
        return [run for run in runs if run["logical_date"][:10] in {str(newest), str(oldest)}]

    warehouse.until("both days are reported", lambda: [run["state"] for run in backfilled()] == ["success"] * 2, 900)
    for run in backfilled():
        links = airflow.get(f"dags/daily_report/dagRuns/{run['dag_run_id']}/taskInstances/report/links")
        page = httpx.get(links["extra_links"]["Report"])
        assert page.status_code == 200
        assert demo["tenant"] in page.text
        assert f"date%3D{run['logical_date'][:10]}/report.html" in links["extra_links"]["Report"]
        assert f"[Report]({links['extra_links']['Report']})" in run["note"]


def test_a_failed_task_is_one_incident_until_it_works_again(
    env: Mapping[str, str], demo: dict[str, Any], airflow: Airflow, warehouse: Warehouse
) -> None:
    """The publisher loses a right: its task fails in run after run."""
    incident = Path(env["WATERSHED_STATE"]) / "airflow" / "incidents" / "build_marts.claim.json"
    warehouse.rows("revoke update on ledger.unpublished from publisher")
    try:
        airflow.trigger("build_marts")
        warehouse.until("the incident is open and told", lambda: incident.exists() and told(incident), 900)
    finally:
        warehouse.rows("grant update on ledger.unpublished to publisher")
    airflow.trigger("build_marts")
    warehouse.until("it is closed", lambda: not incident.exists(), 900)


def told(incident: Path) -> bool:
    return bool(json.loads(incident.read_text())["told"])
