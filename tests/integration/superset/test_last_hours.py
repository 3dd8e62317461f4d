"""What a span is compared with ends within an hour, of which a part counts: on a real Postgres, over a few rows."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from superset_config.merges import SKETCH_SIZE
from tests.integration.superset.marts_kit import Marts


def test_who_came_only_in_the_hour_that_a_span_ends_in_counts_by_its_part(marts: Marts) -> None:
    """Once, whole, if they came before, too: merged once, an hour that ends within is not merged with and without."""
    marts.fresh("t", "2026-11-25 10:00")  # it is 10:30
    marts.add("region_daily", "DE", "2026-11-16", 1, [1])
    for hour, visitors in (("08", [2, 3]), ("10", [3, 4, 5, 6]), ("11", [9])):
        marts.add("region_hourly", "DE", f"2026-11-18 {hour}:00", 4, visitors)
    marts.add("region_hourly", "DE", "2026-11-24 10:00", 4, [1, 2, 3, 4])
    week = {row["position"]: row["visitors"] for row in marts.rows("page_views_totals", scope=["Week so far"])}
    assert week[-1] == len([1, 2, 3]) + Decimal(len([4, 5, 6])) / 2 + Decimal("0.5"), "rounded, as there is no half"
    day = {row["position"]: row["visitors"] for row in marts.rows("page_views_totals", scope=["Day so far"])}
    assert day[-1] == 2, "of a single row, too"


@pytest.mark.parametrize(
    ("before", "complete", "expected"),
    [
        (8, datetime(2026, 11, 25, 10, 30, tzinfo=UTC), 80_000 + 40_000 / 2),
        (10, datetime(2026, 11, 25, 10, 0, 1, tzinfo=UTC), 120_000 / 3600),
    ],
)
def test_full_sketches_of_the_hour_that_a_span_ends_in_are_estimated_by_its_part(
    marts: Marts, before: int, complete: datetime, expected: float
) -> None:
    """Of 120,000 visitors, 80,000 are in one row and 80,000 in another, of the hour that runs, as the first may be."""
    marts.fresh("t", "2026-11-25 10:00", complete)
    marts.add("region_daily", "DE", "2026-11-24", 1, [1])
    marts.connection.execute("select setseed(0.5)")
    marts.connection.execute(
        """
        with v as (select (random() * 9223372036854774784)::bigint as h, i from generate_series(1, 120000) as i),
        r as (
            select 'FR' as region, %s as hour, h from v where i <= 80000
            union all select 'DE', 10, h from v where i > 40000
        )
        insert into pg_temp.region_hourly (
            tenant, region, period_start, page_views, visitors, bot_page_views, visitors_sketch
        )
        select
            't', region, '2026-11-24 00:00+00'::timestamptz + hour * interval '1 hour', count(*), 80000, 0,
            (array_agg(h order by h))[:%s]
        from r group by region, hour
        """,
        (before, SKETCH_SIZE),
    )
    rows = marts.rows("page_views_totals", scope=["Day so far"], region_name=["Germany", "France"])
    day = {row["position"]: row["visitors"] for row in rows}
    assert float(day[-1]) == pytest.approx(expected, rel=0.02)


def test_a_day_that_ends_within_the_last_hour_of_a_span_counts_whole(marts: Marts) -> None:
    """In Kolkata it is ten past midnight, and UTC counts an hour since half past eleven: the day is one, not hours."""
    marts.fresh("t", "2026-11-25 18:00", datetime(2026, 11, 25, 18, 40, tzinfo=UTC), time_zone="Asia/Kolkata")
    for day in (15, 16, 17, 22, 23, 24):
        marts.add("region_daily", "IN", f"2026-11-{day} 18:30", 10, [day])
    marts.add("region_hourly", "IN", "2026-11-18 17:00", 4, [17])
    marts.add("region_hourly", "IN", "2026-11-18 18:00", 6, [17])
    rows = marts.rows("page_views_totals", scope=["Week so far"])
    assert {row["position"]: (row["page_views"], row["visitors"]) for row in rows} == {0: (30, 3), -1: (30, 3)}


def test_of_hours_alone_the_last_is_counted_in_part_whenever_a_day_begins_in_it(marts: Marts) -> None:
    """In Kolkata it is ten past midnight, 18:40 UTC: two thirds of UTC's hour have gone by."""
    complete = datetime(2026, 11, 25, 18, 40, tzinfo=UTC)
    marts.fresh("t", "2026-11-25 18:00", complete, event_type="metric", time_zone="Asia/Kolkata")
    for at, count in (("2026-11-16 09:00", 7), ("2026-11-18 18:00", 60), ("2026-11-25 18:00", 40)):
        marts.put("metric_hourly", at, source="a", metric_type="cpu", samples=count, value_sum=count)
    week = {row["position"]: row["samples"] for row in marts.rows("metrics_totals", scope=["Week so far"])}
    assert week == {0: 40, -1: 7 + 40}
