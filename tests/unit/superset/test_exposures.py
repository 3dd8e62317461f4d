"""dbt's exposures are what the dashboards read, and each leads to the other."""

import pytest
import yaml

from superset_config import exposures
from superset_config.bundle import Asset, Bundle

BUNDLE = Bundle.load()
DASHBOARDS = list(BUNDLE.of("dashboards"))
KNOWN = {each["name"]: each for each in yaml.safe_load(exposures.FILE.read_text(encoding="utf-8"))["exposures"]}


def named(asset: Asset) -> str:
    return asset.path


def test_the_committed_file_is_what_the_dashboards_give() -> None:
    assert exposures.FILE.read_text(encoding="utf-8") == exposures.text(BUNDLE), f"run `{exposures.COMMAND}`"


def test_every_dashboard_is_one_exposure() -> None:
    assert len(KNOWN) == len(DASHBOARDS)
    assert {each["url"].rsplit("/", 2)[1] for each in KNOWN.values()} == {d.content["slug"] for d in DASHBOARDS}


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=named)
def test_a_dashboard_leads_to_its_exposure(dashboard: Asset) -> None:
    parts = [part for part in dashboard.content["position"].values() if isinstance(part, dict)]
    code = "".join(part["meta"]["code"] for part in parts if part["type"] == "MARKDOWN")
    name = dashboard.content["slug"].replace("-", "_")
    assert name in KNOWN
    assert f"(/docs/lineage/#!/exposure/exposure.watershed.{name})" in code


def test_a_time_grain_that_a_reader_can_choose_reads_its_mart() -> None:
    sql = "select * from marts.{{ grain_mart(time_grain) }}"
    grains = {"page_views_hourly", "page_views_daily", "page_views_weekly", "page_views_monthly"}
    assert exposures.relations(sql) == grains
    assert exposures.relations(sql, ("P1W",)) == {"page_views_weekly"}


def test_a_choice_that_is_answered_by_another_mart_reads_it() -> None:
    sql = "{{ span_rows(views_of(filter_values('page_name'), filter_values('region_name')), ['page_views']) }}"
    pages = {"page_region_hourly", "page_daily", "page_region_daily"}
    assert (
        exposures.relations(sql) == {"page_views_hourly", "page_views_daily", "region_hourly", "region_daily"} | pages
    )


def test_what_a_macro_reads_counts_and_a_word_does_not() -> None:
    assert "freshness" in exposures.relations("with {{ spans(filter_values('tenant')) }} select 1")
    assert exposures.relations("select 'region_daily' as name") == set()


def test_a_dashboard_reads_through_its_filters_too() -> None:
    revenue = next(each for each in DASHBOARDS if each.content["slug"] == "revenue")
    charts_only = {**revenue.content, "metadata": {**revenue.content["metadata"], "native_filter_configuration": []}}
    by_charts = exposures.reads(BUNDLE, Asset(revenue.path, charts_only))
    assert "revenue_region_weekly" not in by_charts, "no grain to choose, no mart of weeks"
    assert by_charts < exposures.reads(BUNDLE, revenue)
