"""What operators rely on: gates hold one tenant, lost triggers heal, a full rebuild changes no number."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.kit import Airflow, Warehouse

TOUCH = """
    insert into ledger.unpublished (type, tenant, hour, cause, received_from)
    values ('page_view', %s, date_trunc('hour', now()), 'load', now())
    on conflict (type, tenant, hour) do update
    set change_id = nextval('ledger.change_seq'), changed_at = now(), claimed_by = null, claimed_change_id = null
"""
ROLLUP = """
    insert into rollups.page_view_minute (tenant, minute, region, page_name, page_views, bot_page_views, visitors)
    values (%s, date_trunc('minute', now()), 'DE', '/x', %s, 0, '{}')
    on conflict (tenant, minute, region, page_name) do update set page_views = excluded.page_views
"""


@pytest.fixture
def bad_tenant(warehouse: Warehouse) -> Iterator[str]:
    """A tenant whose rollups hold a number that cannot be; gone again afterwards."""
    tenant = "impossible"
    yield tenant
    for table in ("rollups.page_view_minute", "ledger.unpublished", "marts_build.region_hourly"):
        warehouse.rows(f"delete from {table} where tenant = %s", tenant)


def test_a_stop_holds_its_tenant_back_and_no_other(bad_tenant: str, demo: dict[str, Any], warehouse: Warehouse) -> None:
    warehouse.rows(ROLLUP, bad_tenant, -5)
    warehouse.rows(TOUCH, bad_tenant)
    warehouse.rows(ROLLUP, "possible", 5)
    warehouse.rows(TOUCH, "possible")
    shown = "select coalesce(sum(page_views), 0) from marts.region_daily where tenant = %s"
    warehouse.until("the other tenant is published", lambda: warehouse.one(shown, "possible") == 5)
    held = "select count(*) from marts.freshness where tenant = %s and held_because is not null"
    warehouse.until("the bad tenant is held with a reason", lambda: warehouse.one(held, bad_tenant) == 1)
    assert warehouse.one("select count(*) from marts.region_hourly where tenant = %s", bad_tenant) == 0
    # Its claim waits: mended, it is published without anybody asking.
    warehouse.rows(ROLLUP, bad_tenant, 7)
    warehouse.rows(TOUCH, bad_tenant)
    warehouse.until("the mended tenant is published", lambda: warehouse.one(shown, bad_tenant) == 7)


def test_a_lost_trigger_heals(demo: dict[str, Any], warehouse: Warehouse) -> None:
    """Nobody tells Airflow that these rollups changed: build_marts looks by itself."""
    warehouse.rows(ROLLUP, "unannounced", 3)
    warehouse.rows(TOUCH, "unannounced")
    shown = "select coalesce(sum(page_views), 0) from marts.region_daily where tenant = 'unannounced'"
    warehouse.until("build_marts has looked", lambda: warehouse.one(shown) == 3)


def test_a_full_rebuild_shows_each_model_and_changes_no_number(
    airflow: Airflow, demo: dict[str, Any], warehouse: Warehouse
) -> None:
    before = warehouse.checksum(demo["tenant"])
    run = airflow.trigger("rebuild_marts")
    warehouse.until("the rebuild ends", lambda: airflow.state("rebuild_marts", run) in {"success", "failed"}, 900)
    assert airflow.state("rebuild_marts", run) == "success"
    tasks = airflow.get(f"dags/rebuild_marts/dagRuns/{run}/taskInstances", limit=100)["task_instances"]
    names = {task["task_id"] for task in tasks}
    for mart in ("region_hourly", "region_daily", "region_weekly", "region_monthly", "page_daily"):
        assert any(mart in name for name in names), names
    assert warehouse.checksum(demo["tenant"]) == before
