"""What operators rely on: gates hold one tenant, lost triggers heal, a full rebuild changes no number."""

from collections.abc import Mapping
from typing import Any

from tests.e2e.kit import VIEWS, Airflow, Warehouse, send_page_view

TOUCH_HOURS = """
    update ledger.unpublished set change_id = nextval('ledger.change_seq') where tenant = %(tenant)s;
    insert into ledger.unpublished (type, tenant, hour, cause, received_from)
    select distinct 'page_view', tenant, date_trunc('hour', minute), 'repair', now()
    from rollups.page_view_minute where tenant = %(tenant)s
    on conflict (type, tenant, hour) do nothing
"""
TOUCH_MINUTES = """
    insert into ledger.touched (type, tenant, minute, cause, received_from)
    select distinct 'page_view', tenant, minute, 'repair', now()
    from rollups.page_view_minute where tenant = %(tenant)s
    on conflict (type, tenant, minute) do nothing
"""
SHOWN = "select coalesce(sum(page_views), 0) from marts.region_daily where tenant = %s"
HELD = "select count(*) from marts.freshness where tenant = %s and held_because is not null"


def test_a_stop_holds_its_tenant_back_and_no_other(
    env: Mapping[str, str], demo: dict[str, Any], warehouse: Warehouse
) -> None:
    for tenant in ("damaged", "sound"):
        send_page_view(env, tenant)
    warehouse.until("both are charted", lambda: warehouse.one(SHOWN, "damaged") + warehouse.one(SHOWN, "sound") == 2)
    warehouse.rows("update rollups.page_view_minute set page_views = -5 where tenant = 'damaged'")
    warehouse.run(TOUCH_HOURS, tenant="damaged")
    send_page_view(env, "sound")
    warehouse.until("the other tenant is published", lambda: warehouse.one(SHOWN, "sound") == 2)
    warehouse.until("the damaged tenant is held, with a reason", lambda: warehouse.one(HELD, "damaged") == 1)
    assert warehouse.one(SHOWN, "damaged") == 1
    # Computed anew from the lake it is whole again, and published without anybody asking.
    warehouse.run(TOUCH_MINUTES, tenant="damaged")
    warehouse.until("the mended tenant is released", lambda: warehouse.one(HELD, "damaged") == 0)
    assert warehouse.one(SHOWN, "damaged") == 1


def test_a_lost_trigger_heals(env: Mapping[str, str], demo: dict[str, Any], warehouse: Warehouse) -> None:
    """Nobody tells Airflow that these hours wait: build_marts looks by itself."""
    send_page_view(env, "unannounced")
    warehouse.until("the event is charted", lambda: warehouse.one(SHOWN, "unannounced") == 1)
    published = "select count(*) from ledger.publications where tenant = 'unannounced'"
    before = warehouse.one(published)
    warehouse.run(TOUCH_HOURS, tenant="unannounced")
    warehouse.until("build_marts has looked", lambda: warehouse.one(published) > before)
    assert warehouse.one("select count(*) from ledger.unpublished where tenant = 'unannounced'") == 0


def test_a_full_rebuild_shows_each_model_and_changes_no_number(
    airflow: Airflow, demo: dict[str, Any], warehouse: Warehouse
) -> None:
    before = warehouse.checksum(demo["tenant"])
    run = airflow.trigger("rebuild_marts")
    warehouse.until("the rebuild ends", lambda: airflow.state("rebuild_marts", run) in {"success", "failed"}, 1500)
    assert airflow.state("rebuild_marts", run) == "success"
    tasks = airflow.get(f"dags/rebuild_marts/dagRuns/{run}/taskInstances", limit=100)["task_instances"]
    names = {task["task_id"] for task in tasks}
    for mart in VIEWS:
        assert any(mart in name for name in names), names
    assert warehouse.checksum(demo["tenant"]) == before
