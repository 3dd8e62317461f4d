"""What a publication changes in a closed period is written down."""

from datetime import UTC, datetime

from contracts.registry import Registry
from tests.integration.marts.warehouse_kit import LOADED_THROUGH, Minute, Warehouse
from warehouse.causes import CAUSES
from warehouse.migrate import migrate

HOUR = datetime(2026, 11, 18, 12, tzinfo=UTC)
DAY = datetime(2026, 11, 18, tzinfo=UTC)


def test_a_changed_row_of_a_closed_period_is_restated_with_old_new_and_cause(warehouse: Warehouse) -> None:
    warehouse.load([Minute("a", HOUR, "DE", views=1, visitors=(1,)), Minute("a", HOUR, "FR"), Minute("b", HOUR)])
    assert warehouse.run(gates=False).restatements == 0
    warehouse.load(
        [Minute("a", HOUR, "DE", views=3, visitors=(1, 2)), Minute("a", HOUR, "IT"), Minute("b", HOUR)], cause="late"
    )
    warehouse.run(gates=False)
    restated = warehouse.rows(
        """
        select mart, tenant, period_start, key, old, new, cause from ledger.restatements order by mart, key::text
        """
    )

    def numbers(views: int, visitors: int) -> dict[str, int]:
        return {"page_views": views, "visitors": visitors, "bot_page_views": 0}

    # Complete through noon of the 20th: hour and day were closed, week and month were not. Tenant b did not change.
    assert restated == [
        ("page_daily", "a", DAY, {"page_name": "home"}, numbers(2, 1), numbers(4, 2), "late"),
        ("page_region_daily", "a", DAY, {"page_name": "home", "region": "DE"}, numbers(1, 1), numbers(3, 2), "late"),
        ("page_region_daily", "a", DAY, {"page_name": "home", "region": "FR"}, numbers(1, 0), None, "late"),
        ("page_region_daily", "a", DAY, {"page_name": "home", "region": "IT"}, None, numbers(1, 0), "late"),
        ("page_region_hourly", "a", HOUR, {"page_name": "home", "region": "DE"}, numbers(1, 1), numbers(3, 2), "late"),
        ("page_region_hourly", "a", HOUR, {"page_name": "home", "region": "FR"}, numbers(1, 0), None, "late"),
        ("page_region_hourly", "a", HOUR, {"page_name": "home", "region": "IT"}, None, numbers(1, 0), "late"),
        ("page_views_daily", "a", DAY, {}, numbers(2, 1), numbers(4, 2), "late"),
        ("page_views_hourly", "a", HOUR, {}, numbers(2, 1), numbers(4, 2), "late"),
        ("region_daily", "a", DAY, {"region": "DE"}, numbers(1, 1), numbers(3, 2), "late"),
        ("region_daily", "a", DAY, {"region": "FR"}, numbers(1, 0), None, "late"),
        ("region_daily", "a", DAY, {"region": "IT"}, None, numbers(1, 0), "late"),
        ("region_hourly", "a", HOUR, {"region": "DE"}, numbers(1, 1), numbers(3, 2), "late"),
        ("region_hourly", "a", HOUR, {"region": "FR"}, numbers(1, 0), None, "late"),
        ("region_hourly", "a", HOUR, {"region": "IT"}, None, numbers(1, 0), "late"),
    ]


def test_whatever_changed_a_closed_period_is_named(warehouse: Warehouse) -> None:
    """What loads write down of late events, repairs and erasures (test_load_behaviour.py, test_repair_rejects.py)."""
    warehouse.load([Minute(f"by {cause}", HOUR, "DE", visitors=(1,)) for cause in CAUSES])
    warehouse.run(gates=False)
    for cause in CAUSES:
        warehouse.load([Minute(f"by {cause}", HOUR, "DE", visitors=(2,), views=2)], cause=cause)
    warehouse.run(gates=False)
    expected = {(f"by {cause}", cause) for cause in CAUSES}
    assert set(warehouse.rows("select distinct tenant, cause from ledger.restatements")) == expected
    assert set(warehouse.rows("select distinct tenant, cause from marts.restated_periods")) == expected


def test_nobodys_hash_is_kept_of_what_a_mart_had(warehouse: Warehouse) -> None:
    """Nothing takes it out again when somebody is forgotten: neither what is written now, nor what was before."""
    seen = {"app_name": "X", "app_name_at": HOUR, "developer": 4711, "developer_at": HOUR}
    app = {"tenant": "a", "minute": HOUR, "region": "DE", "category": "games", "app_id": "x", "apps": 1, **seen}
    warehouse.loaded_through(LOADED_THROUGH, "app_created", "app_verified", "purchase", "refund")
    warehouse.load_rows("app_created", [app])
    warehouse.run(gates=False)
    assert warehouse.rows("select developer from marts.app_daily") == [("4711",)]
    warehouse.load_rows("app_created", [{**app, "apps": 2, "developer": None, "developer_at": None}], cause="erasure")
    warehouse.run(gates=False)
    told = "select old, new from ledger.restatements where mart = 'app_daily'"
    ((old, new),) = warehouse.rows(told)
    assert (old["created"], new["created"]) == (1, 2)
    assert "developer" not in {*old, *new}
    warehouse.rows("update ledger.restatements set old = old || '{\"developer\": \"4711\"}' where mart = 'app_daily'")
    migrate(warehouse.dsns["WAREHOUSE"], Registry.load())
    assert warehouse.rows(told) == [(old, new)]


def test_an_open_period_is_not_restated(warehouse: Warehouse) -> None:
    now = LOADED_THROUGH.replace(minute=30)
    warehouse.load([Minute("a", now)])
    warehouse.run(gates=False)
    warehouse.load([Minute("a", now, views=5)])
    assert warehouse.run(gates=False).restatements == 0


def test_what_was_restated_is_told_by_period_and_the_newest_of_each_tenant(warehouse: Warehouse) -> None:
    for views in (1, 3, 4):
        warehouse.load([Minute("a", HOUR, "DE", views=views), Minute("a", HOUR, "FR", views=views)], cause="late")
        warehouse.run(gates=False)
    every = """
        select mart, period_start, cause, count(*), run_id, min(restated_at) from marts.restatements
        group by mart, period_start, cause, run_id
    """
    found = warehouse.rows(every, role="READER")
    told = "select mart, period_start, cause, rows, run_id, restated_at from marts.restated_periods"
    assert sorted(warehouse.rows(told, role="READER")) == sorted(found)
    assert len(found) == 2 * 7, "two publications, of seven marts whose hour or day was closed"
    same = "tenant, mart, period_start, key::text, changes, cause, run_id, restated_at"
    apart = f"""
        (select {same} from marts.restatements except all select {same} from marts.newest_restatements)
        union all (select {same} from marts.newest_restatements except all select {same} from marts.restatements)
    """
    assert warehouse.rows(apart, role="READER") == []


def test_what_was_restated_before_its_periods_were_kept_is_summed_up_by_a_migration(warehouse: Warehouse) -> None:
    for views in (1, 3):
        warehouse.load([Minute("a", HOUR, "DE", views=views), Minute("a", HOUR, "FR", views=views)], cause="late")
        warehouse.run(gates=False)
    periods = "select * from ledger.restated_periods order by mart"
    kept = warehouse.rows(periods)
    assert kept
    warehouse.rows("drop view marts.restated_periods; drop table ledger.restated_periods")
    migrate(warehouse.dsns["WAREHOUSE"], Registry.load())
    assert warehouse.rows(periods) == kept
