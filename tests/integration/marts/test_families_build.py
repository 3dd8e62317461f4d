"""Marts of several types, and numbers that look back: what a changed hour touches beyond the period that holds it."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from dbt_project.build import build
from tests.integration.marts.warehouse_kit import LOADED_THROUGH, Minute, Warehouse

NOON = datetime(2026, 11, 18, 12, tzinfo=UTC)
DAY = datetime(2026, 11, 18, tzinfo=UTC)
BEFORE = timedelta(days=1)


def sale(at: datetime, app: str = "x", buyers: tuple[int, ...] = (7,), revenue: str = "2.5") -> dict[str, Any]:
    return {
        "tenant": "a", "minute": at, "region": "DE", "currency": "EUR", "app_id": app,
        "revenue": Decimal(revenue), "purchases": len(buyers), "quantity": len(buyers), "buyers": list(buyers),
    }  # fmt: skip


def refund(at: datetime) -> dict[str, Any]:
    return {
        "tenant": "a", "minute": at, "region": "DE", "currency": "EUR", "app_id": "x",
        "refunded": Decimal(1), "refunds": 1,
    }  # fmt: skip


def test_a_late_event_changes_the_later_days_that_look_back(warehouse: Warehouse) -> None:
    users = "select period_start, first_seen_users, returning_users from marts.user_activity_daily order by 1"
    ranks = """
        select period_start, app_id, rank, previous_rank, movement
        from marts.popular_apps where grain = 'day' and ranked_by = 'purchases' order by 1, 3
    """
    warehouse.load_rows("purchase", [sale(NOON)])
    warehouse.run()
    assert warehouse.rows(users, role="READER") == [(DAY, 1, 0)]
    assert warehouse.rows(ranks, role="READER") == [(DAY, "x", 1, None, None)]
    warehouse.load_rows("purchase", [sale(NOON - BEFORE), sale(NOON - BEFORE, "y", (8, 9))])
    warehouse.run()
    assert warehouse.rows(users, role="READER") == [(DAY - BEFORE, 3, 0), (DAY, 0, 1)]
    assert warehouse.rows(ranks, role="READER") == [
        (DAY - BEFORE, "y", 1, None, None),
        (DAY - BEFORE, "x", 2, None, None),
        (DAY, "x", 1, 2, 1),
    ]
    warehouse.load_rows("purchase", [], empty=[("a", NOON - BEFORE)])
    warehouse.run()
    assert warehouse.rows(users, role="READER") == [(DAY, 1, 0)]
    assert warehouse.rows(ranks, role="READER") == [(DAY, "x", 1, None, None)]


def test_users_of_the_last_days_stay_active_over_a_quiet_day(warehouse: Warehouse) -> None:
    query = """
        select period_start, daily_active_users, weekly_active_users, monthly_active_users, stickiness
        from marts.user_activity_daily order by 1
    """
    warehouse.loaded_through(DAY + timedelta(hours=1), "purchase")  # all days before are closed
    warehouse.load_rows("purchase", [sale(NOON - 11 * BEFORE, buyers=(1,)), sale(NOON - 2 * BEFORE, buyers=(2, 3))])
    warehouse.run()
    quiet = [(DAY - n * BEFORE, 0, int(n > 4), 1, 0) for n in range(10, 2, -1)]
    published = [(DAY - 11 * BEFORE, 1, 1, 1, 1), *quiet, (DAY - 2 * BEFORE, 2, 2, 3, Decimal("0.6667"))]
    assert warehouse.rows(query, role="READER") == published
    # The next sale makes known that there was none on the day before, although nothing changed in that day.
    warehouse.load_rows("purchase", [sale(NOON, buyers=(4,))])
    assert warehouse.run().restatements == 0
    yesterday, today = (DAY - BEFORE, 0, 2, 3, 0), (DAY, 1, 3, 4, Decimal("0.25"))
    assert warehouse.rows(query, role="READER") == [*published, yesterday, today]
    # And when it turns out to have been none, the days end with the newest sale again.
    warehouse.load_rows("purchase", [], empty=[("a", NOON)])
    warehouse.run()
    assert warehouse.rows(query, role="READER") == published


def test_quiet_days_that_were_published_without_a_row_get_one_with_the_next_run(warehouse: Warehouse) -> None:
    warehouse.load_rows("purchase", [sale(NOON - 5 * BEFORE), sale(NOON - BEFORE)])
    warehouse.run(gates=False)
    for schema in ("marts", "marts_build"):
        warehouse.rows(f"delete from {schema}.user_activity_daily where daily_active_users = 0", role="SUPERUSER")
    warehouse.load_rows("purchase", [sale(NOON)])
    warehouse.run(gates=False)
    days = warehouse.rows("select period_start from marts.user_activity_daily order by 1", role="READER")
    assert [day for (day,) in days] == [DAY - n * BEFORE for n in range(5, -1, -1)]


def test_a_run_builds_what_its_types_feed_and_nothing_else(warehouse: Warehouse) -> None:
    warehouse.load_rows("refund", [refund(NOON)])
    run_id = warehouse.claim().run_id
    built = set(build(warehouse.dbt_settings, run_id).seconds)
    assert {"int_claimed_hours", "int_sales_hourly", "revenue_daily", "revenue_region_monthly", "app_daily"} <= built
    assert not {name for name in built if name.startswith(("stg_", "region_", "request", "signups", "metric"))}


def test_a_period_is_closed_when_all_types_of_its_mart_are_complete(warehouse: Warehouse) -> None:
    restated = "select distinct mart from ledger.restatements where mart = 'revenue_daily'"
    warehouse.loaded_through(LOADED_THROUGH, "purchase")
    warehouse.loaded_through(NOON, "refund")
    warehouse.load_rows("purchase", [sale(NOON)])
    warehouse.load_rows("refund", [refund(NOON)])
    warehouse.run(gates=False)
    warehouse.load_rows("purchase", [sale(NOON, revenue="3")])
    warehouse.run(gates=False)
    assert warehouse.rows(restated) == []  # refunds of that day may still have come
    warehouse.loaded_through(LOADED_THROUGH, "refund")
    warehouse.load_rows("refund", [refund(NOON)])
    warehouse.run(gates=False)
    warehouse.load_rows("purchase", [sale(NOON, revenue="4")])
    warehouse.run(gates=False)
    assert warehouse.rows(restated) == [("revenue_daily",)]


def test_the_newest_hour_of_a_type_is_that_of_its_own_events(warehouse: Warehouse) -> None:
    warehouse.load_rows("purchase", [sale(NOON)])
    warehouse.load_rows("refund", [refund(NOON - BEFORE)])
    warehouse.load([Minute("a", NOON + BEFORE)])
    warehouse.run(gates=False)
    assert dict(warehouse.rows("select event_type, newest_period_start from marts.freshness", role="READER")) == {
        "purchase": NOON,
        "refund": NOON - BEFORE,
        "page_view": NOON + BEFORE,
    }
