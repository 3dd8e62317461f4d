"""What an operator sees and does in Airflow: numbers on runs, past days by backfill, an alert once."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

from tests.e2e.kit import Airflow, Warehouse, send_page_view

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


def test_past_days_are_reported_by_backfill_and_the_task_leads_to_the_page(
    env: Mapping[str, str], demo: dict[str, Any], airflow: Airflow, warehouse: Warehouse
) -> None:
    days = warehouse.rows(
        "select distinct period_start::date as day from marts.region_daily where tenant = %s order by day desc limit 4",
        demo["tenant"],
    )
    newest, oldest = days[1][0], days[2][0]
    airflow.post(
        "backfills",
        dag_id="daily_report",
        from_date=f"{oldest}T00:00:00Z",
        to_date=f"{newest}T23:00:00Z",
        reprocess_behavior="completed",
    )

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
