"""What a migration makes stale is built anew by the next run, without anybody asking for it."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import psycopg

from contracts.registry import Registry
from tests.integration.marts.warehouse_kit import Minute, Warehouse
from warehouse.migrate import migrate
from warehouse.rebuild import known_marts, mark_new_marts

NOON = datetime(2026, 11, 18, 12, tzinfo=UTC)
SALE = {
    "tenant": "a", "minute": NOON, "region": "DE", "currency": "EUR", "app_id": "x",
    "revenue": Decimal("2.5"), "purchases": 1, "quantity": 1, "buyers": [7],
}  # fmt: skip


def test_a_mart_that_is_new_is_built_from_all_that_is_there(warehouse: Warehouse) -> None:
    warehouse.load_rows("purchase", [SALE])
    warehouse.load([Minute("a", NOON)])
    warehouse.run(gates=False)
    warehouse.rows("drop table marts.revenue_daily")
    done = migrate(warehouse.dsns["WAREHOUSE"], Registry.load())
    assert done.hours_to_rebuild == 1
    assert warehouse.rows("select type, tenant, hour, cause from ledger.unpublished") == [
        ("purchase", "a", NOON, "rebuild")
    ]
    warehouse.run(gates=False)
    assert warehouse.rows("select revenue, buyers from marts.revenue_daily", role="READER") == [(Decimal("2.5000"), 1)]


def test_a_mart_with_a_new_column_is_built_anew(warehouse: Warehouse) -> None:
    seen = {"app_name": "X", "app_name_at": NOON, "developer": 1, "developer_at": NOON}
    app = {"tenant": "a", "minute": NOON, "region": "DE", "category": "games", "app_id": "x", "apps": 1, **seen}
    warehouse.load_rows("app_created", [app])
    for minute in (0, 1):  # twice: the share is of apps, not of events
        warehouse.load_rows("app_verified", [{**app, "minute": NOON.replace(minute=minute)}])
    warehouse.run()
    warehouse.rows("alter table marts.app_totals drop column apps, drop column verified_apps")
    assert migrate(warehouse.dsns["WAREHOUSE"], Registry.load()).hours_to_rebuild == 2
    warehouse.run(gates=False)
    found = "select created, verified, apps, verified_apps, share_verified from marts.app_totals"
    assert warehouse.rows(found, role="READER") == [(1, 2, 1, 1, 1)]


def test_a_new_column_is_added_to_what_dbt_built_before(warehouse: Warehouse) -> None:
    warehouse.load([Minute("a", NOON, visitors=(1,))])
    warehouse.run(gates=False)
    warehouse.rows("alter table marts.page_views_daily drop column visitors_by_hour")
    warehouse.rows("alter table marts_build.page_views_daily drop column visitors_by_hour", role="DBT")
    assert migrate(warehouse.dsns["WAREHOUSE"], Registry.load()).hours_to_rebuild == 1
    warehouse.run(gates=False)
    found = "select visitors_by_hour from marts.page_views_daily"
    assert warehouse.rows(found, role="READER") == [([0] * 12 + [1],)]
    assert warehouse.rows("select count(*) from ledger.restatements") == [(0,)]


def restated(warehouse: Warehouse, mart: str) -> list[tuple[Any, ...]]:
    return warehouse.rows(
        "select tenant, old, new, cause from ledger.restatements where mart = %s order by tenant", (mart,)
    )


def test_a_new_mart_restates_nothing_when_it_is_filled_and_what_is_late_afterwards(warehouse: Warehouse) -> None:
    other = NOON.replace(hour=15)
    warehouse.load([Minute("a", NOON), Minute("b", NOON)])
    warehouse.run(gates=False)
    warehouse.rows("drop table marts.region_hourly")
    migrate(warehouse.dsns["WAREHOUSE"], Registry.load())
    # One tenant is held meanwhile: its filling is yet to come.
    run_id = warehouse.claim().run_id
    warehouse.build(run_id)
    warehouse.pass_gates(run_id, failing={"b": "holds"})
    assert warehouse.publish(run_id).restatements == 0
    assert warehouse.rows("select mart, tenant from ledger.fillings") == [("region_hourly", "b")]
    assert warehouse.run(gates=False).restatements == 0
    assert warehouse.rows("select tenant from marts.region_hourly order by 1", role="READER") == [("a",), ("b",)]
    assert warehouse.rows("select * from ledger.fillings") == []
    # From now on an hour that had nothing is one in which nothing had happened, of whoever it is.
    warehouse.load([Minute("a", other, views=2), Minute("b", other, views=3)], cause="late")
    warehouse.run(gates=False)
    assert restated(warehouse, "region_hourly") == [
        ("a", None, {"page_views": 2, "visitors": 0, "bot_page_views": 0}, "late"),
        ("b", None, {"page_views": 3, "visitors": 0, "bot_page_views": 0}, "late"),
    ]


def test_a_filling_lasts_until_all_hours_that_were_marked_for_it_are_published(warehouse: Warehouse) -> None:
    other = NOON.replace(hour=15)
    warehouse.publish(warehouse.offer(["a"], NOON, 1))
    warehouse.rows("delete from marts.region_hourly")
    warehouse.mark([("a", NOON), ("a", other)])
    with psycopg.connect(warehouse.dsns["WAREHOUSE"]) as owner:
        mark_new_marts(owner, {k: v for k, v in known_marts(owner).items() if k != "region_hourly"}, Registry.load())
    run_id = warehouse.offer(["a"], NOON, 1)
    # As if it had been claimed after the build.
    warehouse.rows("delete from intermediate.int_claimed_hours where hour = %s", (other,), role="SUPERUSER")
    warehouse.publish(run_id)
    assert warehouse.rows("select mart, tenant from ledger.fillings") == [("region_hourly", "a")]
    warehouse.publish(warehouse.offer(["a"], other, 2))
    assert restated(warehouse, "region_hourly") == []
    assert len(restated(warehouse, "page_views_hourly")) == 1, "a mart that readers had"
    assert warehouse.rows("select * from ledger.fillings") == []


def test_the_first_filling_of_a_new_column_restates_only_what_else_changed(warehouse: Warehouse) -> None:
    warehouse.load([Minute("a", NOON, "DE"), Minute("a", NOON, "FR")])
    warehouse.run(gates=False)
    with psycopg.connect(warehouse.dsns["WAREHOUSE"]) as owner:
        known = known_marts(owner)
        mark_new_marts(owner, known | {"region_hourly": known["region_hourly"] - {"bot_page_views"}}, Registry.load())
    warehouse.load([Minute("a", NOON, "DE", bots=2), Minute("a", NOON, "FR", views=4, bots=2)], cause="late")
    warehouse.run(gates=False)
    assert restated(warehouse, "region_hourly") == [
        ("a", {"page_views": 1, "visitors": 0}, {"page_views": 4, "visitors": 0}, "late")
    ]
    assert warehouse.rows("select * from ledger.fillings") == []


def test_a_migration_that_brings_nothing_new_marks_nothing(warehouse: Warehouse) -> None:
    warehouse.load_rows("purchase", [SALE])
    warehouse.run(gates=False)
    assert migrate(warehouse.dsns["WAREHOUSE"], Registry.load()).hours_to_rebuild == 0
    assert warehouse.rows("select count(*) from ledger.unpublished") == [(0,)]


def test_what_was_cut_at_a_smaller_size_is_recomputed(warehouse: Warehouse) -> None:
    whole, cut = tuple(range(1, 9)), tuple(range(1, 11))
    other = NOON.replace(hour=15)
    warehouse.load([Minute("a", NOON, views=10, visitors=cut), Minute("b", NOON, views=10, visitors=whole)])
    warehouse.load([Minute("a", other, views=10, visitors=cut[:5])])
    warehouse.run(gates=False)
    warehouse.rows("create or replace function sketch.k() returns integer language sql immutable return 10")
    migrate(warehouse.dsns["WAREHOUSE"], Registry.load())
    assert warehouse.rows("select sketch.k()") == [(65_536,)]
    # From the lake the minute that was cut; from the rollups every hour of the day, week and month that it is in.
    assert warehouse.rows("select type, tenant, minute, cause from ledger.touched") == [
        ("page_view", "a", NOON, "reprocess")
    ]
    assert warehouse.rows("select tenant, hour from ledger.unpublished order by 2") == [("a", NOON), ("a", other)]
