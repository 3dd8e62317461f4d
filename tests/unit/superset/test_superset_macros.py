"""What the macros make of a reader's choices: text that a template puts into SQL."""

import pytest

from superset_config import families, literals, periods, region_names


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
    assert "timestamptz '2026-11-01 00:00:00+00'" in sql
    assert "7 days" not in sql


def test_a_time_grain_finer_than_the_marts_is_refused() -> None:
    with pytest.raises(literals.MacroError, match="PT1M"):
        families.grain_mart("PT1M")


@pytest.mark.parametrize(
    ("grain", "mart"),
    [
        (None, "region_daily"),
        ("PT1H", "region_hourly"),
        ("P1W", "region_weekly"),
        ("P3M", "region_monthly"),
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
