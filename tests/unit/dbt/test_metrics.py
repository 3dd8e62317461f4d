"""Metrics are defined once, as data: few aggregates, over columns that are there, and no amount across currencies."""

from typing import Any

import pytest

from dbt_project import metrics
from dbt_project.metrics import Aggregate, MetricError, Number, Operation, defined, of_mart, parsed

DEFINED = defined()
SALES: dict[str, Any] = {
    "name": "sales",
    "columns": [
        {"name": "currency", "data_type": "text"},
        {"name": "revenue", "data_type": "numeric(38,4)"},
        {"name": "purchases", "data_type": "bigint"},
    ],
}


def mart(**metric: Any) -> dict[str, Any]:
    said = {"label": "It", "expression": "sum(purchases)", "format": "count", "description": "What it means, said."}
    return {**SALES, "config": {"meta": {"metrics": {"it": {**said, **metric}}}}}


def test_an_expression_is_read_as_terms() -> None:
    assert parsed("sum(a) / (max(b) - 2)", "it") == Operation(
        "/", Aggregate("sum", "a"), Operation("-", Aggregate("max", "b"), Number(2))
    )
    assert parsed("quantile(duration_sketch, 0.95)", "it") == Aggregate("quantile", "duration_sketch", 0.95)


@pytest.mark.parametrize(
    "expression",
    [
        "revenue",
        "1 + 2",
        "sum(revenue",
        "sum(revenue) if 1 else 2",
        "sum(sum(revenue))",
        "sum(revenue, 1)",
        "sum('revenue')",
        "sum(r.evenue)",
        "sum(Revenue)",
        "sum(revenue) ** 2",
        "sum(revenue, distinct=True)",
        "avg(revenue)",
        "pg_sleep(revenue)",
        "quantile(duration_sketch)",
        "quantile(duration_sketch, 95.0)",
        "quantile(duration_sketch, '0.95')",
        'count_like(state, "%\' or true --")',
        "sum(revenue); drop table marts.revenue_daily",
        "True * sum(revenue)",
    ],
)
def test_nothing_but_allowed_aggregates_and_numbers_may_stand_in_an_expression(expression: str) -> None:
    with pytest.raises(MetricError, match="it"):
        parsed(expression, "it")


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"expression": "sum(visitors)"}, "no column visitors"),
        ({"format": "euros"}, "no such format"),
        ({"description": "It."}, "does not say what the number means"),
        ({"colour": "red"}, "has no colour"),
    ],
)
def test_a_definition_that_is_not_whole_is_named(wrong: dict[str, str], words: str) -> None:
    with pytest.raises(MetricError, match=rf"sales\.it.*{words}"):
        list(of_mart(mart(**wrong)))


def test_a_definition_without_a_description_is_named() -> None:
    sales = mart()
    del sales["config"]["meta"]["metrics"]["it"]["description"]
    with pytest.raises(MetricError, match=r"sales\.it: description missing"):
        list(of_mart(sales))


@pytest.mark.parametrize("expression", ["sum(revenue)", "sum(revenue) / sum(purchases)"])
def test_an_amount_of_money_is_of_one_currency_or_is_refused(expression: str) -> None:
    with pytest.raises(MetricError, match="across currencies"):
        list(of_mart(mart(expression=expression, format="value")))
    (metric,) = of_mart(mart(expression=expression, format="value", within="currency"))
    assert metric.columns >= {"revenue", "currency"}


def test_every_metric_of_money_is_of_one_currency() -> None:
    money = [metric for metric in DEFINED.values() if {"revenue", "refunded", "net_revenue"} & metric.columns]
    assert {metric.name for metric in money} >= {"net_revenue", "revenue", "refunded", "average_purchase"}
    assert {metric.within for metric in money} == {"currency"}


def test_every_family_has_its_metrics() -> None:
    assert {metric.mart for metric in DEFINED.values()} >= {
        "region_daily",
        "apps_region_daily",
        "app_totals",
        "app_daily",
        "popular_apps_daily",
        "revenue_daily",
        "signups_region_daily",
        "user_activity_daily",
        "metric_hourly",
        "requests_region_daily",
    }


def test_a_mart_s_page_says_what_its_metrics_mean_and_how_they_are_made() -> None:
    said = metrics.table(mart(expression="sum(revenue)", within="currency")["config"]["meta"]["metrics"])
    assert "**It** (`it`)" in said
    assert "What it means, said." in said
    assert "`sum(revenue)`, within one currency" in said
