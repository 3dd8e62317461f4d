"""Each gate names the tenants that fail, and what it cannot check is an error and not a pass."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from expectations import gate as gate_module
from expectations.check import CheckFailed
from expectations.suites import Expectation, Suite
from tests.integration.marts.warehouse_kit import Minute, Warehouse

HOUR = datetime(2026, 11, 18, 12, tzinfo=UTC)


def failures(warehouse: Warehouse, severity: str = "stop") -> dict[str, list[str]]:
    verdict = warehouse.gate("rollups", warehouse.claim().run_id)
    found = verdict.failures("stop" if severity == "stop" else "warn")
    return {tenant: [name.rsplit(": ", 1)[1] for name in names] for tenant, names in found.items()}


@pytest.mark.parametrize(
    ("damage", "expectation"),
    [
        (
            "update rollups.page_view_minute set page_views = -1, bot_page_views = 2 where tenant = 'b'",
            "counts_are_not_negative",
        ),
        (
            "update rollups.page_view_minute set minute = minute + interval '1 second' where tenant = 'b'",
            "minutes_are_whole",
        ),
        ("update rollups.page_view_minute set region = 'de' where tenant = 'b'", "regions_are_codes"),
        ("update rollups.page_view_minute set visitors = '{1,2}' where tenant = 'b'", "visitors_are_within_page_views"),
        ("delete from rollups.page_view_minute where tenant = 'b'", "every_counted_event_is_in_a_row"),
        ("update ledger.cells set duplicates = 1 where tenant = 'b'", "landed_is_accounted_for"),
    ],
)
def test_damage_in_the_rollups_stops_its_tenant_only(warehouse: Warehouse, damage: str, expectation: str) -> None:
    warehouse.load([Minute("a", HOUR), Minute("b", HOUR)])
    warehouse.rows(damage)
    found = failures(warehouse)
    assert set(found) == {"b"}
    assert expectation in found["b"]


@pytest.mark.parametrize(
    ("minutes", "expectation"),
    [
        ([Minute("a", HOUR, page="(other)", views=2), Minute("a", HOUR, views=98)], "few_views_are_over_the_cap"),
        ([Minute("a", HOUR, views=1, bots=9)], "people_outnumber_bots"),
        ([Minute("a", datetime(2096, 1, 1, tzinfo=UTC))], "nothing_is_ahead_of_time"),
    ],
)
def test_what_is_odd_is_warned_of_and_stops_nobody(
    warehouse: Warehouse, minutes: list[Minute], expectation: str
) -> None:
    warehouse.load(minutes)
    verdict = warehouse.gate("rollups", warehouse.claim().run_id)
    assert verdict.failures("stop") == {}
    assert verdict.failures("warn") == {"a": [f"rollups.page_view_minute.warn: {expectation}"]}


def test_rows_that_are_not_claimed_are_not_looked_at(warehouse: Warehouse) -> None:
    warehouse.load([Minute("a", HOUR, region="nowhere")])
    warehouse.rows("delete from ledger.unpublished")
    warehouse.load([Minute("a", HOUR + timedelta(hours=1))])
    assert failures(warehouse) == {}


@pytest.mark.parametrize(
    ("damage", "expectation"),
    [
        ("update marts_build.page_views_hourly set page_views = 4", "page_views_hourly.stop: levels_sum"),
        ("delete from marts_build.page_views_daily", "page_views_daily.stop: levels_sum"),
        ("update marts_build.page_views_weekly set bot_page_views = 1", "page_views_weekly.stop: levels_sum"),
        ("delete from marts_build.page_views_monthly", "page_views_monthly.stop: levels_sum"),
        ("update marts_build.region_weekly set page_views = page_views + 1", "region_weekly.stop: levels_sum"),
        ("update marts_build.region_monthly set bot_page_views = 1", "region_monthly.stop: levels_sum"),
        ("delete from marts_build.page_daily", "page_daily.stop: levels_sum"),
        ("delete from marts_build.page_region_daily", "page_region_daily.stop: levels_sum"),
        ("update marts_build.page_region_hourly set page_views = 4", "page_region_hourly.stop: levels_sum"),
        (
            "update marts_build.page_region_hourly set visitors = 1",
            "page_region_hourly.stop: visitors_fit_their_sketch",
        ),
        ("update marts_build.region_hourly set visitors = 1", "region_hourly.stop: visitors_fit_their_sketch"),
        ("update marts_build.region_daily set page_views = -1", "region_daily.stop: numbers_are_possible"),
        ("update marts_build.region_daily set region = 'DEU'", "region_daily.stop: regions_are_codes"),
    ],
)
def test_damage_in_the_candidates_stops_its_tenant_only(warehouse: Warehouse, damage: str, expectation: str) -> None:
    run_id = warehouse.offer(["a", "b"], HOUR, 3)
    warehouse.rows(f"{damage} where tenant = 'b'", role="DBT")
    found = warehouse.gate("marts", run_id).failures("stop")
    assert set(found) == {"b"}
    assert f"marts_build.{expectation}" in found["b"]


def test_each_of_more_than_two_hundred_failing_tenants_is_named(warehouse: Warehouse) -> None:
    tenants = [f"t{n:03}" for n in range(250)]
    warehouse.load([Minute(tenant, HOUR, region="nowhere") for tenant in tenants])
    assert sorted(failures(warehouse)) == tenants


def test_what_cannot_be_checked_is_an_error_and_writes_no_result(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = Expectation(
        "broken", "It works.", "select tenant, no_such_column as observed from {batch} group by tenant"
    )
    suite = Suite("rollups", "page_view_minute", "stop", (broken,))
    monkeypatch.setattr(gate_module, "load_suites", lambda _stage: (suite,))
    warehouse.load([Minute("a", HOUR)])
    run_id = warehouse.claim().run_id
    with pytest.raises(CheckFailed, match="no_such_column"):
        warehouse.gate("rollups", run_id)
    assert warehouse.rows("select count(*) from ledger.gate_results") == [(0,)]


def test_a_gate_that_runs_again_replaces_what_it_said(warehouse: Warehouse) -> None:
    warehouse.load([Minute("a", HOUR, region="nowhere")])
    run_id = warehouse.claim().run_id
    warehouse.gate("rollups", run_id)
    warehouse.rows("update rollups.page_view_minute set region = 'DE'")
    assert warehouse.gate("rollups", run_id).failures("stop") == {}
    assert warehouse.rows("select count(*) from ledger.gate_results where not success") == [(0,)]


def test_data_docs_show_a_failed_run_and_keep_no_more_than_they_should(warehouse: Warehouse) -> None:
    warehouse.load([Minute("a", HOUR, region="nowhere")])
    for _ in range(3):
        warehouse.gate("rollups", warehouse.claim(uuid4()).run_id, data_docs_runs=2)
    pages = Path(warehouse.folder, "site", "data-docs")
    assert len({path.name for path in pages.glob("validations/*/*/*/*")}) == 2
    shown = "".join(path.read_text() for path in pages.glob("validations/rollups/**/*.html"))
    assert "Each region is two capital letters" in shown
    assert (pages / "index.html").exists()


def test_what_was_found_long_ago_is_forgotten(warehouse: Warehouse) -> None:
    warehouse.load([Minute("a", HOUR)])
    old = warehouse.claim().run_id
    warehouse.pass_gates(old)
    warehouse.rows("update ledger.gate_results set checked_at = now() - interval '31 days'")
    new = warehouse.claim().run_id
    warehouse.gate("rollups", new)
    assert warehouse.rows("select distinct run_id from ledger.gate_results") == [(new,)]
