"""The page views' datasets on a real Postgres, over a handful of rows written out here."""

import random
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from superset_config.merges import SKETCH_SIZE
from superset_config.periods import CHOSEN
from tests.integration.superset.marts_kit import Marts, Time


def test_a_visitor_of_two_regions_and_two_days_counts_once(marts: Marts) -> None:
    marts.fresh("t", "2026-11-25 10:00")
    marts.add("region_daily", "DE", "2026-11-23", 4, [1, 2, 3])
    marts.add("region_daily", "FR", "2026-11-24", 3, [3, 4])
    now = marts.rows("page_views_totals", scope=[CHOSEN])[0]
    assert (now["page_views"], now["visitors"]) == (7, 4)


def test_regions_chosen_by_name_are_merged_and_the_others_left_out(marts: Marts) -> None:
    marts.fresh("t", "2026-11-25 10:00")
    for region, visitors in (("DE", [1, 2]), ("FR", [2, 3]), ("US", [9])):
        marts.add("region_daily", region, "2026-11-24", 5, visitors)
    now = marts.rows("page_views_totals", scope=[CHOSEN], region_name=["Germany", "France"])[0]
    assert (now["page_views"], now["visitors"]) == (10, 3)


def test_full_sketches_are_estimated_within_two_percent(marts: Marts) -> None:
    marts.fresh("t", "2026-11-25 10:00")
    marts.connection.execute("select setseed(0.5)")
    marts.connection.execute(
        """
        with v as (select (random() * 9223372036854774784)::bigint as h, i from generate_series(1, 120000) as i),
        r as (select 'DE' as region, h from v where i <= 80000 union all select 'FR', h from v where i > 40000)
        insert into pg_temp.region_daily (
            tenant, region, period_start, page_views, visitors, bot_page_views, visitors_sketch
        )
        select 't', region, '2026-11-24', count(*), 80000, 0, (array_agg(h order by h))[:%s] from r group by region
        """,
        (SKETCH_SIZE,),
    )
    assert marts.rows("page_views_totals", scope=[CHOSEN])[0]["visitors"] == pytest.approx(120_000, rel=0.02)
    shown = {row["visitors"] for row in marts.rows("page_views_over_time", region_name=["Germany"])}
    assert 80_000 in shown, "a single row is what the mart has counted, not an estimate"


def test_visitors_of_days_so_far_are_read_by_the_hour_and_merged_from_nothing(marts: Marts) -> None:
    """Merged from the sketches of their hours they took 4.9 s, over thirty days at a million events a day."""
    marts.fresh("t", "2026-11-25 10:00")  # it is 10:30
    for day, hours in (("2026-11-17", 0), ("2026-11-18", 24), ("2026-11-24", 9), ("2026-11-25", 11)):
        marts.add("region_daily", "DE", day, 24, [])
        for hour in range(hours):
            marts.add("region_hourly", "DE", f"{day} {hour:02}:00", 1, [99, 2 * hour, 2 * hour + 1])
    seen = {row["day"].day: row["visitors"] for row in marts.rows("overview_page_views")}
    by_hour = {"9": 19, "10": 21, "11": 23}
    assert seen == {17: 0, 18: (by_hour["10"] + by_hour["11"]) / 2, **dict.fromkeys(range(19, 24), 0), 24: 19, 25: 23}
    assert "sketch" not in marts.sql("overview_page_views")


def test_a_span_that_begins_within_a_day_is_covered_by_hours_and_days_without_overlap(marts: Marts) -> None:
    marts.fresh("t", "2026-11-25 10:00")
    for day in ("2026-11-22", "2026-11-23", "2026-11-24", "2026-11-25"):
        marts.add("region_daily", "DE", day, 24, [1])
        for hour in range(24):
            marts.add("region_hourly", "DE", f"{day} {hour:02}:00", 1, [hour])
    chosen = Time("2026-11-22 20:00:00", "2026-11-25 03:00:00")
    assert marts.rows("page_views_totals", chosen, scope=[CHOSEN])[0]["page_views"] == 4 + 48 + 3


def test_the_default_period_ends_at_the_newest_data_of_each_tenant(marts: Marts) -> None:
    marts.fresh("old", "2015-05-20 21:00")
    marts.add("region_daily", "DE", "2015-05-20", 3, [1], tenant="old")
    marts.fresh("live", "2026-11-25 10:00")
    marts.add("region_daily", "DE", "2026-11-25", 5, [1], tenant="live")
    marts.add("region_daily", "DE", "2015-05-20", 7, [1], tenant="live")
    views = {row["tenant"]: row["page_views"] for row in marts.rows("page_views_by_region")}
    assert views == {"old": 3, "live": 5}


def test_the_change_compares_with_the_same_elapsed_part_of_the_week_before(marts: Marts) -> None:
    # Wednesday 10:30: Monday, Tuesday, ten hours and half of the eleventh
    marts.fresh("t", "2026-11-25 10:00")
    for day in ("2026-11-09", "2026-11-16", "2026-11-17", "2026-11-18", "2026-11-23", "2026-11-24", "2026-11-25"):
        marts.add("region_daily", "DE", day, 240, [1])
    for day in ("2026-11-18", "2026-11-25"):
        for hour in range(24):
            marts.add("region_hourly", "DE", f"{day} {hour:02}:00", 10, [hour])
    rows = marts.rows("page_views_totals", scope=["Week so far"])
    views = {row["position"]: row["page_views"] for row in rows}
    assert views == {0: 720, -1: Decimal(240 + 240 + 100 + 5)}


def test_nothing_is_compared_where_the_data_do_not_reach_back(marts: Marts) -> None:
    marts.fresh("t", "2026-11-25 10:00")
    marts.add("region_daily", "DE", "2026-11-20", 1, [1])
    assert [row["position"] for row in marts.rows("page_views_totals", scope=[CHOSEN])] == [0]


def test_march_so_far_is_compared_with_no_more_than_february(marts: Marts) -> None:
    marts.fresh("t", "2026-03-31 23:00", complete=datetime(2026, 4, 1, tzinfo=UTC))
    for day in ("2026-02-01", "2026-02-28", "2026-03-01", "2026-03-31"):
        marts.add("region_daily", "DE", day, 10, [1])
    views = {row["position"]: row["page_views"] for row in marts.rows("page_views_totals", scope=["Month so far"])}
    assert views == {0: 20, -1: 20}


@pytest.mark.parametrize(
    ("grain", "labels", "complete"),
    [
        ("PT1H", 24 + 11, 24 + 10),
        ("P1D", 2, 1),
        ("P1W", 1, 0),
        ("P1M", 1, 0),
    ],
)
def test_periods_without_a_view_are_zero_and_running_ones_are_not_complete(
    marts: Marts, grain: str, labels: int, complete: int
) -> None:
    marts.fresh("t", "2026-11-25 10:00")
    marts.add("region_daily", "DE", "2026-11-24", 1, [1])
    rows = marts.rows("page_views_over_time", Time("2026-11-24 00:00:00"), grain)
    assert len({row["label"] for row in rows}) == labels
    assert sum(row["complete"] for row in rows) == complete


def test_visitors_of_a_week_are_those_of_the_week_and_not_the_sum_of_its_days(marts: Marts) -> None:
    marts.fresh("t", "2026-11-25 10:00")
    for day in ("2026-11-23", "2026-11-24"):
        marts.add("region_daily", "DE", day, 1, [7])
    marts.add("region_weekly", "DE", "2026-11-23", 2, [7])
    newest = max(marts.rows("page_views_over_time", grain="P1W"), key=lambda row: row["period_start"])
    assert (newest["page_views"], newest["visitors"]) == (2, 1)
    assert newest["label"].startswith("from 23 Nov")


def test_a_bar_of_another_year_than_this_one_says_its_year(marts: Marts) -> None:
    marts.fresh("t", "2015-05-20 21:00")
    marts.add("region_daily", "DE", "2015-05-20", 1, [1])
    assert [row["label"] for row in marts.rows("page_views_over_time")] == ["Wed 20 May 2015"]


def test_pages_are_ranked_over_the_period_and_a_visitor_of_a_page_counts_once(marts: Marts) -> None:
    marts.fresh("t", "2026-11-25 10:00")
    marts.add("region_daily", "DE", "2026-11-24", 8, [1])
    for day in ("2026-11-23", "2026-11-24"):
        marts.add("page_daily", "/", day, 3, [1, 2], bots=1)
    marts.add("page_daily", "/docs", "2026-11-24", 2, [1])
    pages = {row["page_name"]: row for row in marts.rows("page_views_by_page")}
    assert (pages["/"]["page_views"], pages["/"]["visitors"], pages["/"]["bot_page_views"]) == (6, 2, 2)
    assert pages["/docs"]["share"] == Decimal("0.25")


def test_each_of_many_pages_has_the_visitors_of_both_its_days_once(marts: Marts) -> None:
    marts.fresh("t", "2026-11-25 10:00")
    marts.add("region_daily", "DE", "2026-11-24", 8, [1])
    chance = random.Random(3)  # noqa: S311
    expected = {}
    for page in range(200):
        first, second = (chance.sample(range(50), chance.randint(0, 30)) for _ in range(2))
        marts.add("page_daily", f"/{page}", "2026-11-23", 1, first)
        marts.add("page_daily", f"/{page}", "2026-11-24", 1, second)
        expected[f"/{page}"] = len({*first, *second})
    assert {row["page_name"]: row["visitors"] for row in marts.rows("page_views_by_page")} == expected


def test_of_two_pages_each_is_estimated_as_far_as_its_own_sketches_reach(marts: Marts) -> None:
    """One has a full sketch, that ends at a thousandth of the range; the other counts its visitors to the last one."""
    marts.fresh("t", "2026-11-25 10:00")
    marts.add("region_daily", "DE", "2026-11-24", 8, [1])
    step = 2**63 // 1000 // SKETCH_SIZE
    few, far = [5, 2**62, 2**62 + 1], [2**62 + n for n in range(10_000)]
    for day, full in (("2026-11-23", [step * n for n in range(1, SKETCH_SIZE + 1)]), ("2026-11-24", far)):
        marts.add("page_daily", "/full", day, 1, full)
    for day, visitors in (("2026-11-23", few), ("2026-11-24", far)):
        marts.add("page_daily", "/exact", day, 1, visitors)
    seen = {row["page_name"]: row["visitors"] for row in marts.rows("page_views_by_page")}
    assert seen["/exact"] == 10_001
    assert seen["/full"] == pytest.approx(SKETCH_SIZE * 1000, rel=1e-4)


def test_a_region_without_a_name_shows_its_code(marts: Marts) -> None:
    marts.fresh("t", "2026-11-25 10:00")
    for region in ("DE", "ZZ", "QQ"):
        marts.add("region_daily", region, "2026-11-24", 1, [1])
    assert {row["region_name"] for row in marts.rows("page_views_by_region")} == {"Germany", "Unknown", "QQ"}


@pytest.mark.parametrize(
    ("complete", "held", "words"),
    [
        ("now() - interval '2 minutes'", None, "Complete"),
        ("now() - interval '3 hours'", None, "Behind"),
        ("now() - interval '2 minutes'", "visitors above page views", "Held: visitors above page views"),
        ("null", None, "Not known yet"),
    ],
)
def test_what_is_behind_or_held_says_so_and_turns_red(
    marts: Marts, complete: str, held: str | None, words: str
) -> None:
    marts.fresh("t", "2026-11-25 10:00", held=held)
    marts.connection.execute(f"update pg_temp.freshness set complete_through = {complete}")
    (row,) = marts.rows("page_views_freshness")
    assert row["state"].startswith(words)
    assert ("\u2013" in row["complete_text"]) is (words != "Complete")  # the dash is what the tile turns red on


def test_datasets_without_any_data_are_empty_and_do_not_fail(marts: Marts) -> None:
    for dataset in marts.datasets:
        rows = marts.rows(dataset)
        assert bool(rows) is (dataset == "periods"), dataset


def test_a_hostile_choice_finds_nothing_and_harms_nothing(marts: Marts) -> None:
    marts.fresh("t", "2026-11-25 10:00")
    hostile = "t'; delete from pg_temp.freshness; --"
    assert marts.rows("page_views_totals", tenant=[hostile], region_name=[hostile]) == []
    assert marts.connection.execute("select count(*) as n from pg_temp.freshness").fetchone() == {"n": 1}


def test_days_are_the_tenants_own_in_their_dates_totals_and_comparisons(marts: Marts) -> None:
    # In Kolkata the 25th began at 18:30 UTC of the 24th, and it is 16:00 there.
    marts.fresh("k", "2026-11-25 10:00", time_zone="Asia/Kolkata")
    marts.fresh("u", "2026-11-25 10:00")
    for day, views in ((22, 1), (23, 2), (24, 4)):
        marts.add("region_daily", "DE", f"2026-11-{day} 18:30", views, [day], tenant="k")
        marts.add("region_daily", "DE", f"2026-11-{day + 1} 00:00", views, [day], tenant="u")
    for tenant in ("k", "u"):
        rows = marts.rows("page_views_over_time", Time("2026-11-23 00:00:00"), "P1D", tenant=[tenant])
        shown = {row["period_start"].day: (row["label"][:6], row["page_views"], row["complete"]) for row in rows}
        assert shown == {23: ("Mon 23", 1, True), 24: ("Tue 24", 2, True), 25: ("Wed 25", 4, False)}, tenant
        (now,) = [
            r for r in marts.rows("page_views_totals", scope=["Day so far"], tenant=[tenant]) if not r["position"]
        ]
        assert (now["page_views"], now["period_start"]) == (4, datetime(2026, 11, 25)), tenant  # noqa: DTZ001 - a local date
        days = marts.rows("overview_page_views", tenant=[tenant])
        assert {row["day"].day: row["page_views"] for row in days}[25] == 4, tenant
        pages = marts.rows("page_views_by_region", Time("2026-11-24 00:00:00", "2026-11-25 00:00:00"), tenant=[tenant])
        assert [row["page_views"] for row in pages] == [2], tenant


def test_weeks_and_days_of_25_hours_have_one_bar_each(marts: Marts) -> None:
    marts.fresh("b", "2026-10-27 10:00", time_zone="Europe/Berlin")
    for at, views in (("23 22:00", 1), ("24 22:00", 2), ("25 23:00", 4), ("26 23:00", 8)):
        marts.add("region_daily", "DE", f"2026-10-{at}", views, [1], tenant="b")
    rows = marts.rows("page_views_over_time", Time("2026-10-24 00:00:00"), "P1D")
    assert [(row["period_start"].day, row["page_views"]) for row in rows] == [(24, 1), (25, 2), (26, 4), (27, 8)]
    assert (
        marts.rows("page_views_totals", Time("2026-10-25 00:00:00", "2026-10-26 00:00:00"), scope=[CHOSEN])[0][
            "page_views"
        ]
        == 2
    )
