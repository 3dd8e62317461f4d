"""From the HTTP answer to the chart, on the whole stack: what was sent is what the charts show."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from superset_config.bundle import Bundle
from superset_config.rest import Superset, SupersetSettings
from superset_config.screenshot import BrowserSettings, look_at_all
from superset_config.verify import verify
from tests.e2e.kit import Airflow, Warehouse, last_json, send_page_view, watershed


def test_the_charts_equal_what_was_sent_to_the_last_event(demo: dict[str, Any]) -> None:
    assert demo["equal"], demo
    assert demo["page_views"] > 0


def test_every_event_type_reaches_its_rollup(demo: dict[str, Any], warehouse: Warehouse) -> None:
    counted = {
        type_: warehouse.one(f"select count(*) from rollups.{type_}_minute where tenant = %s", demo["tenant"])
        for type_ in (
            "page_view",
            "app_created",
            "app_verified",
            "purchase",
            "refund",
            "signup",
            "metric",
            "request_log",
        )
    }
    assert all(counted.values()), counted


def test_everything_that_landed_is_counted_or_booked(demo: dict[str, Any], warehouse: Warehouse) -> None:
    """Landed = counted + duplicates + collisions, and nothing is waiting."""
    broken = warehouse.rows("select * from ledger.cells where landed <> counted + duplicates + collisions")
    assert broken == []
    assert warehouse.one("select count(*) from ledger.cells where tenant = %s and duplicates > 0", demo["tenant"]) > 0


def test_sending_everything_again_changes_no_chart(
    env: Mapping[str, str], demo: dict[str, Any], warehouse: Warehouse
) -> None:
    before = warehouse.checksum(demo["tenant"])
    again = last_json(watershed(env, "demo", "run", "--json"))
    assert again["equal"]
    assert again["page_views"] == demo["page_views"]
    assert warehouse.checksum(demo["tenant"]) == before


def test_an_access_log_ends_equal_with_every_line_a_request_log(log_demo: dict[str, Any], warehouse: Warehouse) -> None:
    assert log_demo["equal"], log_demo
    requests = warehouse.one(
        "select sum(requests) from rollups.request_log_minute where tenant = %s", log_demo["tenant"]
    )
    assert requests == 10_000


def test_an_access_log_imported_twice_counts_once(
    env: Mapping[str, str], log_demo: dict[str, Any], access_log: Path, warehouse: Warehouse
) -> None:
    before = warehouse.checksum(log_demo["tenant"])
    again = last_json(watershed(env, "demo", "run", "--log", str(access_log), "--json"))
    assert again["equal"]
    assert warehouse.checksum(log_demo["tenant"]) == before


def test_one_event_is_in_the_chart_within_the_waits_of_the_pipeline(
    env: Mapping[str, str], demo: dict[str, Any], warehouse: Warehouse, record_property: Any
) -> None:
    send_page_view(env, "one")
    accepted = time.monotonic()
    charted = "select coalesce(sum(page_views), 0) from marts.region_daily where tenant = 'one'"
    warehouse.until("the event is charted", lambda: warehouse.one(charted) > 0)
    record_property("seconds_from_answer_to_mart", round(time.monotonic() - accepted, 1))
    assert warehouse.one(charted) == 1
    assert warehouse.one("select complete_through is not null from marts.freshness where tenant = 'one'")


def test_superset_has_every_reviewed_asset_and_each_chart_answers_with_data(
    env: Mapping[str, str], demo: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SUPERSET_URL", "SUPERSET_USER", "SUPERSET_PASSWORD"):
        monkeypatch.setenv(name, env[name])
    with Superset(SupersetSettings.read()) as superset:
        assert verify(superset, Bundle.load(), need_data=True, tenant=demo["tenant"]) == []


@pytest.mark.parametrize("width", [1440, 400])
def test_every_dashboard_is_drawn_without_an_error(
    env: Mapping[str, str],
    demo: dict[str, Any],
    pictures: Path,
    width: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("SUPERSET_URL", "SUPERSET_USER", "SUPERSET_PASSWORD"):
        monkeypatch.setenv(name, env[name])
    looks = look_at_all(BrowserSettings.read(), pictures / str(width), demo["tenant"], width, 900)
    assert [look.slug for look in looks if not look.charts] == []
    wrong = [f"{look.slug}: {each}" for look in looks for each in look.wrong]
    assert not wrong, "\n".join(wrong)


def test_a_log_from_2015_is_drawn_too(
    env: Mapping[str, str], log_demo: dict[str, Any], pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SUPERSET_URL", "SUPERSET_USER", "SUPERSET_PASSWORD"):
        monkeypatch.setenv(name, env[name])
    of_the_log = ("page-views", "service-health")
    # A log of this format has no durations; these tiles' words say where to see that.
    without = ("p50 latency (ms)", "p95 latency (ms)", "p99 latency (ms)", "Apdex")
    looks = look_at_all(
        BrowserSettings.read(), pictures / "log", log_demo["tenant"], 1440, 900, only=of_the_log, without=without
    )
    assert {look.slug for look in looks if look.charts} == set(of_the_log)
    wrong = [f"{look.slug}: {each}" for look in looks for each in look.wrong]
    assert not wrong, "\n".join(wrong)


def test_docs_are_served(env: Mapping[str, str], demo: dict[str, Any]) -> None:
    for name, words in (("DBT_DOCS_URL", "region_daily"), ("DATA_DOCS_URL", "expectation")):
        answer = httpx.get(env[name], follow_redirects=True, timeout=30)
        assert answer.status_code == httpx.codes.OK
        assert words in answer.text.lower(), name


def test_airflow_has_no_import_error_and_its_minute_runs_succeed(airflow: Airflow, demo: dict[str, Any]) -> None:
    assert airflow.get("importErrors")["import_errors"] == []
    for dag_id in ("load_rollups", "build_marts"):
        runs = airflow.get(f"dags/{dag_id}/dagRuns", order_by="-start_date", limit=20)["dag_runs"]
        states = {run["state"] for run in runs}
        assert "success" in states, f"{dag_id}: {states}"
        assert "failed" not in states, f"{dag_id}: {states}"
