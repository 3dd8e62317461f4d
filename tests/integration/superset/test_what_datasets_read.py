"""How much of the marts a dataset reads, as Postgres' plans tell it; on a real Postgres."""

from collections.abc import Iterator
from typing import Any

import pytest

from superset_config.periods import CHOSEN
from tests.integration.superset.marts_kit import BUNDLE, Marts


def test_a_chart_of_sums_alone_opens_no_sketch_and_one_of_visitors_each_once(marts: Marts) -> None:
    """A sketch may be half a megabyte: a fortnight of regions took a minute when they were read for each day."""
    rows = marts.sql("page_views_over_time", grain="P1D")

    def plan(measure: str) -> str:
        query = f"explain select label, sum({measure}) from ({rows}) as d where tenant = 't' group by label"
        return "\n".join(row["QUERY PLAN"] for row in marts.connection.execute(query.encode()))

    # Who counts is a CTE of its own: nobody asks it, or it answers as often as it is asked without counting anew.
    assert "CTE Scan on counted" not in plan("page_views")
    assert plan("visitors").count("CTE Scan on counted") == 1
    assert plan("visitors").count("ProjectSet") == 1


def test_a_tile_of_sums_opens_no_sketch_for_what_it_compares_with(marts: Marts) -> None:
    rows = marts.sql("page_views_totals", scope=[CHOSEN])

    def plan(measure: str) -> str:
        query = f"explain select position, sum({measure}) from ({rows}) as d where tenant = 't' group by position"
        return "\n".join(row["QUERY PLAN"] for row in marts.connection.execute(query.encode()))

    assert "CTE Scan on counted" not in plan("page_views")
    assert plan("visitors").count("CTE Scan on counted") == 1


def test_a_fortnight_of_days_is_read_day_by_day(marts: Marts) -> None:
    """Postgres compared each row of the mart with each of the days: two million pairs for a tile of Overview."""
    marts.fresh("t", "2026-11-25 10:00", event_type="metric")
    marts.connection.execute(
        """
        insert into pg_temp.metric_hourly (tenant, period_start, source, metric_type, samples)
        select 't', h, 's' || s, 'm', 1
        from
            generate_series('2026-10-25+00'::timestamptz, '2026-11-25 10:00+00', '1 hour') as h,
            generate_series(1, 20) as s
        """
    )
    marts.connection.execute("create unique index on pg_temp.metric_hourly (tenant, period_start, source, metric_type)")
    marts.connection.execute("analyze pg_temp.metric_hourly")
    query = f"explain (analyze, format json) {marts.sql('overview_metrics')}"
    row = marts.connection.execute(query.encode()).fetchone()
    assert row is not None
    steps = list(of_plan(row["QUERY PLAN"][0]["Plan"]))
    read = sum(s["Actual Rows"] * s["Actual Loops"] for s in steps if s.get("Relation Name") == "metric_hourly")
    thrown_away = sum(s.get("Rows Removed by Join Filter", 0) * s["Actual Loops"] for s in steps)
    wanted = 20 * (14 * 11 + 11)  # the hour that each day ends in is apart, and not read again with the others
    assert wanted <= read <= wanted + 10
    assert thrown_away < wanted


@pytest.mark.parametrize(
    "dataset", sorted(d.name for d in BUNDLE.of("datasets") if "quantiles(" in str(d.content.get("sql")))
)
def test_a_chart_that_shows_no_latency_merges_none(marts: Marts, dataset: str) -> None:
    """Of five thousand rows they took 0.1 s, of charts that show errors only."""

    def plan(measure: str) -> str:
        query = f"explain select sum({measure}) from ({marts.sql(dataset)}) as d where tenant = 't'"
        return "\n".join(row["QUERY PLAN"] for row in marts.connection.execute(query.encode()))

    assert "jsonb_each_text" not in plan("errors")
    assert "jsonb_each_text" in plan("p95")


def of_plan(step: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """``step`` of a plan, and those below it."""
    yield step
    for each in step.get("Plans", ()):
        yield from of_plan(each)
