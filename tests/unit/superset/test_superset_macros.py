"""What the macros make of a reader's choices: text that a template puts into SQL."""

import re
from collections.abc import Callable

import pytest

from superset_config import comparisons, families, literals, periods, region_names, rows
from superset_config.bundle import Asset, Bundle
from warehouse.marts import MARTS

BUNDLE = Bundle.load()


def test_quotes_in_a_choice_stay_inside_the_literal() -> None:
    assert (
        literals.among("t", ["x'); drop table marts.freshness; --"]) == "t in ('x''); drop table marts.freshness; --')"
    )


def test_nothing_chosen_is_no_condition() -> None:
    assert literals.among("t", []) == "true"


@pytest.mark.parametrize("instant", ["now()", "2026-01-01' or true --", "2026-01-01", "infinity"])
def test_an_instant_that_is_none_is_refused(instant: str) -> None:
    with pytest.raises(literals.MacroError, match="not an instant"):
        periods.spans(since=instant)


def test_an_unknown_period_is_refused() -> None:
    with pytest.raises(literals.MacroError, match="no such period"):
        periods.spans(periods=["Last 3 days; drop"])


def test_an_unknown_scope_is_refused() -> None:
    with pytest.raises(literals.MacroError, match="no such scope"):
        periods.spans(scopes=["x"])


def test_dates_take_the_place_of_the_period() -> None:
    sql = periods.spans(periods=["Last 7 days"], since="2026-11-01 00:00:00", until="2026-11-08 00:00:00")
    assert "timestamp '2026-11-01 00:00:00' at time zone time_zone" in sql
    assert "7 days" not in sql


def test_a_time_grain_finer_than_the_marts_is_refused() -> None:
    with pytest.raises(literals.MacroError, match="PT1M"):
        families.grain_mart("PT1M")


@pytest.mark.parametrize(
    ("grain", "mart"),
    [
        (None, "page_views_daily"),
        ("PT1H", "page_views_hourly"),
        ("P1W", "page_views_weekly"),
        ("P3M", "page_views_monthly"),
    ],
)
def test_visitors_come_from_the_mart_of_the_grain(grain: str | None, mart: str) -> None:
    assert families.grain_mart(grain) == mart


def test_regions_are_chosen_by_name_and_found_by_code() -> None:
    assert region_names.in_regions("r.region", ["Germany", "Unknown", "QQ"]) == "r.region in ('DE', 'ZZ', 'QQ')"


def test_region_names_are_unique_so_that_a_name_finds_one_region() -> None:
    names = region_names.names_by_code()
    assert len(set(names.values())) == len(names)
    assert all(len(code) == 2 and code.isupper() for code in names)


def test_the_default_period_is_one_that_the_filter_offers() -> None:
    assert f"('{periods.DEFAULT_PERIOD}', 2)" in periods.period_rows()


@pytest.mark.parametrize("ask", [lambda: periods.spans(family="x'; drop"), lambda: families.grain_mart("P1D", "x")])
def test_an_unknown_family_is_refused(ask: Callable[[], str]) -> None:
    with pytest.raises(literals.MacroError, match="no such family"):
        ask()


def test_several_of_what_is_never_added_are_refused() -> None:
    with pytest.raises(literals.MacroError, match="choose one currency"):
        rows.the_one("currency", [], ["EUR", "USD"])


def test_only_what_may_not_be_added_is_shown_one_at_a_time() -> None:
    with pytest.raises(literals.MacroError, match="no such column"):
        rows.the_one("region", [], [])


def test_a_part_of_a_day_is_not_told_of_what_is_counted_by_day() -> None:
    with pytest.raises(literals.MacroError, match="counted by day"):
        comparisons.each_day("active_users", {"daily_active_users": 0}, asked=["day"])


@pytest.mark.parametrize(
    ("family", "grain", "mart"),
    [
        ("revenue", "PT1H", "revenue_region_hourly"),
        ("revenue", "P1D", "revenue_daily"),
        ("revenue", "P3M", "revenue_region_monthly"),
        ("active_users", "PT1H", "user_activity_daily"),
        ("active_users", "P1M", "user_activity_daily"),
        ("metrics", "P1W", "metric_hourly"),
        ("app_ranks", "P1W", "popular_apps_weekly"),
    ],
)
def test_the_mart_of_the_grain_or_the_next_finer_one_answers(family: str, grain: str, mart: str) -> None:
    assert families.grain_mart(grain, family) == mart


def test_every_family_reads_published_marts() -> None:
    published = {mart.name for mart in MARTS}
    for name, family in families.FAMILIES.items():
        assert {each for each in (family.hour, family.day, family.week, family.month) if each} <= published, name


def test_a_dashboard_waits_for_every_event_type_that_its_marts_are_made_from() -> None:
    published = {mart.name: mart for mart in MARTS}
    for title, name in families.TITLES.items():
        family = families.FAMILIES[name]
        made_from = set(published[family.by_day].event_types)
        assert made_from <= set(family.event_types), title


@pytest.mark.parametrize(
    ("pages", "regions", "family"),
    [([], [], "page_views"), ([], ["France"], "regions"), (["/"], [], "pages"), (["/"], ["France"], "page_regions")],
)
def test_page_views_come_from_the_marts_that_tell_apart_what_was_chosen(
    pages: list[str], regions: list[str], family: str
) -> None:
    assert families.views_of(pages, regions) == family


@pytest.mark.parametrize("family", families.FAMILIES)
def test_no_join_asks_the_calendar_for_each_pair_of_rows(family: str) -> None:
    """It takes 20 microseconds, which is a second for a few days of a few thousand rows."""
    for sql in (rows.span_rows(family, ["x"]), rows.grain_rows(family, None, ["x"])):
        for join in sql.split("inner join marts.")[1:]:
            condition = join.split("union all")[0]
            assert "s.tenant" in condition
            assert "calendar." not in condition


@pytest.mark.parametrize("dataset", list(BUNDLE.of("datasets")), ids=lambda each: each.name)
def test_no_dataset_asks_the_calendar_in_the_condition_of_a_join(dataset: Asset) -> None:
    words = str(dataset.content["sql"])
    assert not re.search(r"\bon\b(?:(?!\bwhere\b|\bgroup by\b|\bjoin\b).)*calendar\.", words, re.DOTALL | re.IGNORECASE)
