"""dbt builds what is claimed, whole periods of it, and nothing else."""

import json
import threading
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from dbt_project.build import DbtFailed, run_dbt
from tests.integration.marts.warehouse_kit import MARTS as VIEWS
from tests.integration.marts.warehouse_kit import Minute, Warehouse
from warehouse.marts import EVENT_TYPES, MARTS

NOON = datetime(2026, 11, 18, 12, tzinfo=UTC)
DAY = datetime(2026, 11, 18, tzinfo=UTC)
MONDAY = datetime(2026, 11, 16, tzinfo=UTC)
MONTH = datetime(2026, 11, 1, tzinfo=UTC)
LEVELS = 45
"""Steps from a level to the next that are tested to add up: from minutes to hours, days, weeks, months, ever."""


def test_page_views_reach_every_mart(warehouse: Warehouse) -> None:
    warehouse.load(
        [
            Minute("a", NOON, "DE", "home", 2, 1, (5, 7)),
            Minute("a", NOON + timedelta(minutes=1), "DE", "about", 1, 0, (7,)),
            Minute("a", NOON + timedelta(hours=1), "FR", "home", 3, 0, (5, 9)),
        ]
    )
    warehouse.run()
    assert warehouse.mart("region_hourly") == {
        ("a", NOON, "DE"): (3, 2, 1),
        ("a", NOON + timedelta(hours=1), "FR"): (3, 2, 0),
    }
    assert warehouse.mart("page_views_hourly") == {
        ("a", NOON): (3, 2, 1),
        ("a", NOON + timedelta(hours=1)): (3, 2, 0),
    }
    for name, start in (("daily", DAY), ("weekly", MONDAY), ("monthly", MONTH)):
        assert warehouse.mart(f"page_views_{name}") == {("a", start): (6, 3, 1)}
    by_region = {"DE": (3, 2, 1), "FR": (3, 2, 0)}
    assert warehouse.mart("region_daily") == {("a", DAY, region): n for region, n in by_region.items()}
    assert warehouse.mart("region_weekly") == {("a", MONDAY, region): n for region, n in by_region.items()}
    assert warehouse.mart("region_monthly") == {("a", MONTH, region): n for region, n in by_region.items()}
    assert warehouse.mart("page_daily") == {("a", DAY, "home"): (5, 3, 1), ("a", DAY, "about"): (1, 1, 0)}
    by_both = {("home", "DE"): (2, 2, 1), ("about", "DE"): (1, 1, 0), ("home", "FR"): (3, 2, 0)}
    assert warehouse.mart("page_region_daily") == {("a", DAY, *key): n for key, n in by_both.items()}
    at = {"DE": NOON, "FR": NOON + timedelta(hours=1)}
    assert warehouse.mart("page_region_hourly") == {("a", at[key[1]], *key): n for key, n in by_both.items()}


def test_an_emptied_period_vanishes_from_every_mart(warehouse: Warehouse) -> None:
    warehouse.load([Minute("a", NOON), Minute("b", NOON)])
    warehouse.run()
    warehouse.load([], empty=[("a", NOON)])
    warehouse.run()
    for name, rows in warehouse.marts().items():
        assert {tenant for tenant, *_ in rows} == {"b"}, name


def test_a_row_that_left_a_period_vanishes_and_the_rest_of_the_period_stays(warehouse: Warehouse) -> None:
    warehouse.load([Minute("a", NOON, "DE"), Minute("a", NOON + timedelta(minutes=1), "FR")])
    warehouse.run()
    warehouse.load([], empty=[("a", NOON)])
    warehouse.run()
    assert warehouse.mart("region_daily") == {("a", DAY, "FR"): (1, 0, 0)}


def test_a_run_leaves_the_rows_of_other_tenants_and_other_periods_untouched(warehouse: Warehouse) -> None:
    warehouse.load([Minute("a", NOON), Minute("b", NOON), Minute("a", NOON - timedelta(days=40))])
    warehouse.run()
    before = _versions(warehouse)
    warehouse.load([Minute("a", NOON, views=5)])
    warehouse.run()
    changed = {row[:3] for row in before.items() ^ _versions(warehouse).items()}
    assert {key[:2] for (key, _) in changed} == {(name, "a") for name in VIEWS}
    assert all(key[2] > NOON - timedelta(days=30) for (key, _) in changed)


def test_a_run_without_a_claim_changes_nothing(warehouse: Warehouse) -> None:
    warehouse.load([Minute("a", NOON)])
    warehouse.run()
    before = warehouse.marts()
    warehouse.run()
    assert warehouse.marts() == before


def test_a_full_refresh_gives_what_the_runs_gave(warehouse: Warehouse) -> None:
    for hour in range(5):
        warehouse.load([Minute("a", NOON + timedelta(hours=hour), "DE", "home", hour + 1, 1, (hour, hour + 1))])
        warehouse.run(gates=False)
    published = warehouse.marts()
    run_id = warehouse.claim(everything=True).run_id
    warehouse.build(run_id, full_refresh=True)
    warehouse.pass_gates(run_id)
    assert warehouse.publish(run_id).rows == {"a": 0}
    assert warehouse.marts() == published


def test_a_full_rebuild_removes_what_has_left_the_rollups(warehouse: Warehouse) -> None:
    warehouse.load([Minute("a", NOON), Minute("a", NOON + timedelta(days=3))])
    warehouse.run(gates=False)
    warehouse.rows("delete from rollups.page_view_minute where minute = %s", (NOON,))
    run_id = warehouse.claim(everything=True).run_id
    warehouse.build(run_id)
    warehouse.pass_gates(run_id)
    warehouse.publish(run_id)
    assert warehouse.mart("region_daily") == {("a", DAY + timedelta(days=3), "DE"): (1, 0, 0)}
    assert set(warehouse.mart("page_daily")) == {("a", DAY + timedelta(days=3), "home")}


def test_sketches_of_more_than_k_visitors_are_merged_to_an_estimate_within_two_percent(warehouse: Warehouse) -> None:
    # Evenly spread hashes: as near to the truth as an estimate can be, so the bound may be tight.
    step = 2**63 // 100_000
    hashes = [step * n + step // 2 for n in range(100_000)]
    warehouse.load(
        [Minute("a", NOON + timedelta(minutes=n), views=2500, visitors=tuple(hashes[n::40])) for n in range(40)]
    )
    warehouse.run()
    (estimate,) = [visitors for _, visitors, _ in warehouse.mart("region_monthly").values()]
    assert abs(estimate - 100_000) <= 2000
    ((size,),) = warehouse.rows("select cardinality(visitors_sketch) from marts.region_monthly")
    assert size == 65_536


def test_a_tenant_that_the_first_gate_holds_is_not_built(warehouse: Warehouse) -> None:
    warehouse.load([Minute("a", NOON), Minute("b", NOON, region="nowhere")])
    warehouse.run()
    assert {tenant for tenant, *_ in warehouse.mart("region_hourly", schema="marts_build")} == {"a"}


def test_two_builds_at_once_are_refused(warehouse: Warehouse) -> None:
    warehouse.load([Minute("a", NOON)])
    run_id = warehouse.claim().run_id
    with psycopg.connect(warehouse.dsns["DBT"]) as other:
        other.execute("select pg_advisory_lock(hashtextextended('marts_build', 0))")
        with pytest.raises(DbtFailed, match="another"):
            warehouse.build(run_id)


def test_dbts_own_results_are_written_of_a_build_of_one_that_failed_and_not_of_one_that_did_not_run(
    warehouse: Warehouse, tmp_path: Path
) -> None:
    results = tmp_path / "artifacts" / "run_results.json"
    warehouse.load([Minute("a", NOON)])
    run_id = warehouse.claim().run_id
    warehouse.build(run_id, run_results=results)
    first = states(results)
    assert set(first.values()) == {"success"}
    assert {"region_hourly", "page_daily"} <= set(first)
    with psycopg.connect(warehouse.dsns["DBT"], autocommit=True) as owner:
        owner.execute("alter table marts_build.page_daily add constraint broken check (page_views < 0) not valid")
        try:
            with pytest.raises(DbtFailed, match="page_daily"):
                warehouse.build(run_id, run_results=results)
        finally:
            owner.execute("alter table marts_build.page_daily drop constraint broken")
        assert states(results) == {**first, "page_daily": "error"}
        owner.execute("select pg_advisory_lock(hashtextextended('marts_build', 0))")
        with pytest.raises(DbtFailed, match="another"):
            warehouse.build(run_id, run_results=results)
    assert not results.exists()


def states(results: Path) -> dict[str, str]:
    """By model, from dbt's ``run_results.json``."""
    return {each["unique_id"].rsplit(".", 1)[1]: each["status"] for each in json.loads(results.read_text())["results"]}


def test_what_was_published_between_which_tables_is_said(warehouse: Warehouse) -> None:
    warehouse.load([Minute("a", NOON)])
    done = warehouse.run(gates=False)
    assert {"marts_build.region_hourly", "marts_build.page_daily"} <= set(done.tables()["reads"])
    assert [name.replace("marts_build.", "marts.") for name in done.tables()["reads"]] == done.tables()["writes"]
    assert "marts.metric_hourly" not in done.tables()["writes"]


def of_every_type(tenant: str, at: datetime) -> dict[str, list[dict[str, Any]]]:
    """By event type: some rows of its rollup in one minute, of two regions or whatever else tells its rows apart."""
    place = {"tenant": tenant, "minute": at}
    app = {"category": "games", "app_id": "x", "app_name": "X", "app_name_at": at, "developer": 1, "developer_at": at}
    metric = {
        "metric_type": "cpu", "samples": 2, "value_sum": 5, "value_min": 1, "value_max": 4, "value_last": 4,
        "value_last_at": at,
    }  # fmt: skip
    request = {
        "service": "shop", "method": "GET", "path": "/", "status": 200, "requests": 2, "timed": 2, "duration_sum": 6,
        "satisfied": 2, "duration_ms": Jsonb({"1": 1, "80": 1}),
    }  # fmt: skip
    return {
        "page_view": [Minute(tenant, at, region, visitors=(1, 2), views=3).row() for region in ("DE", "FR")],
        "app_created": [{**place, **app, "region": region, "apps": 2} for region in ("DE", "FR")],
        "app_verified": [{**place, **app, "region": "DE", "apps": 1}],
        "purchase": [
            {**place, "region": "DE", "currency": currency, "app_id": "x", "revenue": Decimal("2.5"), "quantity": 2,
             "purchases": 1, "buyers": [7]}
            for currency in ("EUR", "USD")
        ],
        "refund": [
            {**place, "region": "DE", "currency": "EUR", "app_id": "x", "refunded": Decimal(1), "refunds": 1}
        ],
        "signup": [
            {**place, "region": "DE", "channel": channel, "plan": "free", "signups": 1, "users": [8]}
            for channel in ("ads", "(none)")
        ],
        "metric": [{**place, **metric, "source": source} for source in ("web-1", "web-2")],
        "request_log": [{**place, **request, "region": region} for region in ("DE", "FR")],
    }  # fmt: skip


def test_dbt_data_tests_and_unit_tests_pass(warehouse: Warehouse) -> None:
    warehouse.rows("insert into ledger.tenants (tenant, time_zone) values ('k', 'Asia/Kolkata')")
    midnight = datetime(2026, 11, 29, 18, 30, tzinfo=UTC)  # of Monday 30 November in Kolkata
    minutes = [midnight - timedelta(minutes=1), midnight, midnight + timedelta(hours=20), midnight + timedelta(days=3)]
    for type_ in EVENT_TYPES:
        warehouse.load_rows(type_, [row for t in "ak" for at in minutes for row in of_every_type(t, at)[type_]])
    warehouse.run(gates=False)
    # Of an empty mart every test passes.
    for mart in MARTS:
        assert warehouse.rows(f"select count(distinct tenant) from marts_build.{mart.name}", role="GATE") == [(2,)]
    done = run_dbt(warehouse.dbt_settings, ["test"])
    levels = {name for name in done.seconds if name.startswith("sums_to_")}
    assert len(levels) == LEVELS, sorted(levels)
    # What does not add up is found, and of hours that are waiting for a build nothing is said.
    for table, measure in (("marts_build.region_weekly", "page_views"), ("intermediate.int_sales_hourly", "revenue")):
        name = table.partition(".")[2]
        warehouse.rows(f"update {table} set {measure} = {measure} + 1", role="DBT")
        with pytest.raises(DbtFailed, match=f"sums_to_{name}"):
            run_dbt(warehouse.dbt_settings, ["test", "--select", f"test_name:sums_to,{name}"])
        warehouse.rows(f"update {table} set {measure} = {measure} - 1", role="DBT")
    warehouse.load_rows("signup", [{**row, "signups": 2} for row in of_every_type("a", minutes[2])["signup"]])
    select = ["--select", "test_name:sums_to,int_signups_hourly"]
    run_dbt(warehouse.dbt_settings, ["test", *select])
    warehouse.rows("delete from ledger.unpublished")
    with pytest.raises(DbtFailed, match="sums_to_int_signups_hourly"):
        run_dbt(warehouse.dbt_settings, ["test", *select])


def test_marts_have_the_columns_of_their_models(warehouse: Warehouse) -> None:
    columns = """
        select attname, format_type(atttypid, atttypmod), attnotnull from pg_attribute
        where attrelid = %s::regclass and attnum > 0 and not attisdropped order by attname
    """
    for mart in MARTS:
        published = warehouse.rows(columns, (f"marts.{mart.name}",))
        assert published == warehouse.rows(columns, (f"marts_build.{mart.name}",)), mart.name


def test_dbt_writes_only_its_own_schemas(warehouse: Warehouse) -> None:
    for table in ("marts.region_hourly", "rollups.page_view_minute", "ledger.unpublished"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            warehouse.rows(f"delete from {table}", role="DBT")
    for schema in ("marts", "rollups", "ledger"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            warehouse.rows(f"create table {schema}.mine ()", role="DBT")


def test_readers_see_the_marts_only(warehouse: Warehouse) -> None:
    assert warehouse.rows("select * from marts.region_hourly", role="READER") == []
    for table in ("marts_build.region_hourly", "rollups.page_view_minute", "ledger.unpublished"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            warehouse.rows(f"select * from {table}", role="READER")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        warehouse.rows("delete from marts.region_hourly", role="READER")


def _versions(warehouse: Warehouse) -> dict[tuple[object, ...], object]:
    """Which version of each row there is, published and built: another xmin, another write."""
    return {
        (mart.name, *key, schema): xmin
        for schema, role in (("marts", "READER"), ("marts_build", "GATE"))
        for mart in MARTS
        for *key, xmin in warehouse.rows(
            f"select {', '.join(mart.key)}, xmin::text from {schema}.{mart.name}", role=role
        )
    }


def test_a_load_in_the_middle_of_a_build_does_not_make_the_marts_disagree(warehouse: Warehouse) -> None:
    warehouse.load([Minute("a", NOON, views=1)])
    run_id = warehouse.claim().run_id
    with psycopg.connect(warehouse.dsns["DBT"]) as blocker:
        # The build has read the rollups and waits here, before it writes its last marts.
        blocker.execute("lock table marts_build.region_daily, marts_build.page_daily in exclusive mode")
        build = threading.Thread(target=warehouse.build, args=(run_id,))
        build.start()
        warehouse.wait_until("select count(*) > 0 from intermediate.int_page_views_hourly")
        warehouse.load([Minute("a", NOON, views=7)])
    build.join()
    assert warehouse.gate("marts", run_id).failures("stop") == {}
    assert {views for name in VIEWS for views, *_ in warehouse.mart(name, "marts_build").values()} == {1}
