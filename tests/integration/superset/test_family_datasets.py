"""The other families' datasets on a real Postgres: every number here is worked out by hand from the rows above it."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from superset_config.literals import MacroError
from superset_config.periods import CHOSEN
from tests.integration.superset.marts_kit import BUNDLE, Marts, Time


def sold(marts: Marts, mart: str, at: str, amount: str, **values: Any) -> None:
    """A row of a mart of revenue: one purchase of ``amount``, nothing refunded unless said."""
    row: dict[str, Any] = {"region": "DE", "currency": "EUR", "refunded": 0, "refunds": 0, "buyers_sketch": [1]}
    row |= {"purchases": 1, "quantity": 1, "revenue": Decimal(amount), **values}
    row["buyers"] = len(row["buyers_sketch"])
    marts.put(mart, at, **row, net_revenue=row["revenue"] - Decimal(row["refunded"]))


def answered(marts: Marts, mart: str, at: str, durations: list[int], **values: Any) -> None:
    """A row of a mart of requests with these durations, in buckets as the rollup makes them; no errors unless said."""
    row: dict[str, Any] = {"service": "api", "region": "DE"}
    if mart.startswith("request_"):
        row = {"service": "api", "route": "/", "method": "GET"}
    row |= {"requests": len(durations), "client_errors": 0, "errors": 0, "timed": len(durations), **values}
    row["satisfied"] = sum(each <= 500 for each in durations)
    row["tolerating"] = sum(500 < each <= 2000 for each in durations)
    buckets: dict[str, int] = {}
    for each in durations:
        bucket = marts.connection.execute(
            "select ceil(ln(%s::numeric) / ln(1.01 / 0.99))::int as b", (each,)
        ).fetchone()
        assert bucket is not None
        buckets[str(bucket["b"])] = buckets.get(str(bucket["b"]), 0) + 1
    marts.put(mart, at, **row, duration_sketch=json.dumps(buckets))


def sales_are_fresh(marts: Marts, tenant: str = "t") -> None:
    marts.fresh(tenant, "2026-11-25 10:00", event_type="purchase")


def test_amounts_are_of_the_most_used_currency_until_one_is_chosen(marts: Marts) -> None:
    sales_are_fresh(marts)
    for mart in ("revenue_daily", "revenue_region_monthly"):
        sold(marts, mart, "2026-11-01" if mart.endswith("monthly") else "2026-11-24", "10.00", purchases=3)
        sold(marts, mart, "2026-11-01" if mart.endswith("monthly") else "2026-11-24", "99.00", currency="USD")
    (now,) = marts.rows("revenue_totals", scope=[CHOSEN])
    assert (now["currency"], now["revenue"]) == ("EUR", Decimal(10))
    (now,) = marts.rows("revenue_totals", scope=[CHOSEN], currency=["USD"])
    assert (now["currency"], now["revenue"]) == ("USD", Decimal(99))


def test_two_currencies_at_once_are_refused(marts: Marts) -> None:
    with pytest.raises(MacroError, match="never added"):
        marts.rows("revenue_totals", currency=["EUR", "USD"])


MONEY = [
    (dataset.name, metric["metric_name"])
    for dataset in BUNDLE.of("datasets")
    if dataset.content.get("currency_code_column")
    for metric in dataset.content["metrics"]
    if "revenue" in metric["expression"] or "refunded" in metric["expression"]
]


@pytest.mark.parametrize(("dataset", "metric"), MONEY)
def test_no_amount_is_ever_added_across_currencies(marts: Marts, dataset: str, metric: str) -> None:
    for tenant, currency in (("a", "EUR"), ("b", "USD")):
        marts.fresh(tenant, "2026-11-25 10:00", datetime(2026, 11, 26, tzinfo=UTC), event_type="purchase")
        for mart, at in (
            ("revenue_daily", "2026-11-25"),
            ("revenue_daily", "2026-11-24"),
            ("revenue_daily", "2026-11-17"),
            ("revenue_daily", "2026-11-01"),
            ("revenue_region_hourly", "2026-11-25 03:00"),
            ("revenue_region_hourly", "2026-11-24 03:00"),
            ("revenue_region_monthly", "2026-11-01"),
        ):
            sold(marts, mart, at, "10.00", tenant=tenant, currency=currency, refunded=2, refunds=1)
        marts.put(
            "popular_apps_daily",
            "2026-11-24",
            tenant=tenant,
            ranked_by="revenue",
            currency=currency,
            app_id="x",
            revenue=10,
            purchases=1,
            quantity=1,
        )
    assert marts.metric(dataset, metric) is None
    if not metric.endswith(("_before", "_change", "_incomplete")):
        assert marts.metric(dataset, metric, "tenant = 'a'") is not None


def test_every_metric_of_an_amount_is_among_those_tried() -> None:
    assert {dataset for dataset, _ in MONEY} == {
        "forecast_revenue",
        "overview_revenue",
        "revenue_by_app",
        "revenue_by_currency",
        "revenue_by_region",
        "revenue_over_time",
        "revenue_totals",
    }


def test_net_revenue_is_gross_less_what_was_refunded_in_the_same_period(marts: Marts) -> None:
    sales_are_fresh(marts)
    sold(marts, "revenue_region_monthly", "2026-11-01", "1")
    sold(marts, "revenue_daily", "2026-11-23", "30.00", purchases=2, buyers_sketch=[1, 2])
    sold(marts, "revenue_daily", "2026-11-24", "10.50", refunded=Decimal("4.25"), refunds=1, buyers_sketch=[2, 3])
    (now,) = marts.rows("revenue_totals", scope=[CHOSEN])
    assert (now["revenue"], now["refunded"], now["net_revenue"]) == (Decimal("40.5"), Decimal("4.25"), Decimal("36.25"))
    assert (now["purchases"], now["buyers"]) == (3, 3)
    assert marts.metric("revenue_totals", "average_purchase_total", scope=[CHOSEN]) == Decimal("13.5")


def test_revenue_so_far_is_compared_with_as_much_of_the_running_hour(marts: Marts) -> None:
    marts.fresh("t", "2026-11-25 10:00", event_type="refund")
    sales_are_fresh(marts)
    sold(marts, "revenue_region_monthly", "2026-11-01", "1")
    sold(marts, "revenue_daily", "2026-11-16", "100")
    for hour, amount in ((8, "40"), (10, "6"), (11, "1000")):
        sold(marts, "revenue_region_hourly", f"2026-11-18 {hour:02}:00", amount)
    sold(marts, "revenue_daily", "2026-11-18", "1046")
    sold(marts, "revenue_daily", "2026-11-25", "73")
    by_position = {row["position"]: row["revenue"] for row in marts.rows("revenue_totals", scope=["Week so far"])}
    assert by_position == {0: 73, -1: 100 + 40 + Decimal(6) / 2}


def test_a_day_without_purchases_has_no_average_least_of_all_that_of_the_day_before(marts: Marts) -> None:
    sales_are_fresh(marts)
    sold(marts, "revenue_region_monthly", "2026-11-01", "1")
    sold(marts, "revenue_region_hourly", "2026-11-24 08:00", "10.00")
    sold(marts, "revenue_daily", "2026-11-24", "10.00")
    assert marts.metric("overview_revenue", "average_of_day", "not newest") == 10
    assert marts.metric("overview_revenue", "average_of_day") is None
    assert marts.metric("overview_revenue", "net_revenue_of_day") == 0
    sold(marts, "revenue_region_hourly", "2026-11-25 08:00", "30.00", purchases=2)
    sold(marts, "revenue_daily", "2026-11-25", "30.00", purchases=2)
    assert marts.metric("overview_revenue", "average_of_day") == 15
    assert marts.metric("overview_revenue", "average_of_day", "day is not null") == 15, "whatever days are asked for"
    assert marts.metric("overview_revenue", "net_revenue_of_day") == 30


@pytest.mark.parametrize(("name", "before"), [("average_purchase", 10), ("refund_rate", Decimal("0.2"))])
def test_a_period_without_purchases_does_not_have_the_average_of_the_one_before(
    marts: Marts, name: str, before: Decimal
) -> None:
    sales_are_fresh(marts)
    marts.fresh("t", "2026-11-25 10:00", event_type="refund")
    sold(marts, "revenue_region_monthly", "2026-11-01", "1")
    sold(marts, "revenue_daily", "2026-11-16", "10.00", refunded=2, refunds=1)
    asked = {"scope": [CHOSEN], "period": ["Week so far"]}
    assert marts.metric("revenue_totals", f"{name}_total", "position = -1", **asked) == before
    assert marts.metric("revenue_totals", f"{name}_total", **asked) is None
    sold(marts, "revenue_daily", "2026-11-24", "30.00")
    assert marts.metric("revenue_totals", "average_purchase_total", **asked) == 30


def test_currencies_stand_beside_each_other_whatever_is_chosen(marts: Marts) -> None:
    sales_are_fresh(marts)
    sold(marts, "revenue_daily", "2026-11-24", "10")
    sold(marts, "revenue_daily", "2026-11-24", "20", currency="USD")
    rows = {row["currency"]: row["revenue"] for row in marts.rows("revenue_by_currency", currency=["USD"])}
    assert rows == {"EUR": 10, "USD": 20}


def test_revenue_of_a_week_comes_from_the_week_and_other_currencies_stay_out(marts: Marts) -> None:
    sales_are_fresh(marts)
    sold(marts, "revenue_region_monthly", "2026-11-01", "1")
    sold(marts, "revenue_daily", "2026-11-23", "1")
    sold(marts, "revenue_region_weekly", "2026-11-23", "7", buyers_sketch=[1, 2])
    sold(marts, "revenue_region_weekly", "2026-11-23", "5", currency="USD")
    newest = max(marts.rows("revenue_over_time", grain="P1W"), key=lambda row: row["period_start"])
    assert (newest["revenue"], newest["buyers"], newest["complete"]) == (7, 2, False)


def test_apps_earn_in_the_chosen_currency_by_their_newest_name(marts: Marts) -> None:
    sales_are_fresh(marts)
    sold(marts, "revenue_region_monthly", "2026-11-01", "1")
    app: dict[str, Any] = {"app_id": "x", "ranked_by": "revenue", "currency": "EUR", "purchases": 1, "quantity": 1}
    marts.put("popular_apps_daily", "2026-11-23", **app, app_name="Old", revenue=3)
    marts.put("popular_apps_daily", "2026-11-24", **app, app_name="New", revenue=4)
    marts.put("popular_apps_daily", "2026-11-24", **{**app, "currency": "USD"}, app_name="New", revenue=100)
    marts.put("popular_apps_daily", "2026-11-24", **{**app, "ranked_by": "purchases", "currency": "(all)"})
    (row,) = marts.rows("revenue_by_app")
    assert (row["app"], row["revenue"], row["purchases"]) == ("New", 7, 2)


def test_a_family_is_complete_as_far_as_the_least_of_its_event_types(marts: Marts) -> None:
    sales_are_fresh(marts)
    early = datetime(2026, 11, 25, 4, tzinfo=UTC)
    marts.fresh("t", "2026-11-20 07:00", early, event_type="refund")
    sold(marts, "revenue_region_monthly", "2026-11-01", "1")
    sold(marts, "revenue_daily", "2026-11-24", "1")
    complete = {
        r["period_start"].hour: r["complete"]
        for r in marts.rows("revenue_over_time", Time("2026-11-25 00:00:00"), "PT1H")
    }
    assert (complete[3], complete[4], max(complete)) == (True, False, 10)
    shown = {row["family"]: row for row in marts.rows("data_freshness")}
    assert shown["Revenue"]["complete_through"] == datetime(2026, 11, 25, 4)  # noqa: DTZ001 (as the dataset gives it)
    marts.fresh("t", "2026-11-20 07:00", None, event_type="app_created")
    shown = {row["family"]: row for row in marts.rows("data_freshness")}
    assert shown["App store"]["state"].startswith("Not known yet")
    assert "\u2013" in shown["App store"]["complete_text"]  # the dash is what the tile turns red on


def test_a_held_family_says_why(marts: Marts) -> None:
    now = datetime.now(UTC)
    marts.fresh("t", "2026-11-25 10:00", now, held="amounts are negative", event_type="purchase")
    (row,) = marts.rows("data_freshness", tenant=["t"])[:1]
    assert row["state"] == "Held: amounts are negative"
    assert marts.metric("data_freshness", "pages_behind") == len(marts.rows("data_freshness"))


@pytest.mark.parametrize("services", [[], ["api"]])
def test_latency_is_that_of_all_requests_together(marts: Marts, services: list[str]) -> None:
    marts.fresh("t", "2026-11-25 10:00", event_type="request_log")
    answered(marts, "requests_region_daily", "2026-11-23", [*range(1, 101)])
    answered(marts, "requests_region_daily", "2026-11-24", [1000] * 20, region="FR")
    answered(marts, "requests_region_daily", "2026-11-24", [7000] * 9, service="shop")
    condition = "service = 'api'" if services else "true"
    exact = marts.connection.execute(
        f"""
        select sketch.quantile(m, 0.5) as p50, sketch.quantile(m, 0.95) as p95, sketch.quantile(m, 0.99) as p99
        from (
            select sketch.merge_buckets(duration_sketch) as m from pg_temp.requests_region_daily where {condition}
        ) as merged
        """.encode()
    ).fetchone()
    (now,) = marts.rows("requests_totals", scope=[CHOSEN], service=services)
    assert {name: now[name] for name in ("p50", "p95", "p99")} == exact
    assert float(now["p95"]) == pytest.approx(1000 if services else 7000, rel=0.02)


def test_error_rates_and_apdex_are_of_sums_and_never_means_of_means(marts: Marts) -> None:
    marts.fresh("t", "2026-11-25 10:00", event_type="request_log")
    answered(marts, "requests_region_daily", "2026-11-24", [100] * 8 + [1000] * 2)
    answered(marts, "requests_region_daily", "2026-11-24", [5000] * 90, region="FR", errors=45, client_errors=9)
    assert marts.metric("requests_totals", "error_rate_total", scope=[CHOSEN]) == Decimal("0.45")
    assert marts.metric("requests_totals", "client_error_rate_total", scope=[CHOSEN]) == Decimal("0.09")
    assert marts.metric("requests_totals", "apdex_total", scope=[CHOSEN]) == Decimal("0.09")
    assert marts.metric("requests_by_region", "apdex_of_region", "region = 'DE'") == Decimal("0.9")
    assert marts.metric("requests_by_service", "error_rate_of_service", region_name=["Germany"]) == 0


def test_a_faultless_week_before_is_said_to_be_one(marts: Marts) -> None:
    marts.fresh("t", "2026-11-25 10:00", event_type="request_log")
    answered(marts, "requests_region_daily", "2026-11-09", [100])
    answered(marts, "requests_region_hourly", "2026-11-18 08:00", [100, 100])
    for mart, at in (("hourly", "2026-11-25 08:00"), ("daily", "2026-11-25")):
        answered(marts, f"requests_region_{mart}", at, [100, 1000], errors=1)
    week = "scope = 'Week so far'"
    assert marts.metric("requests_totals", "error_rate_before", week) == 0
    assert marts.metric("requests_totals", "error_rate_now", week) == Decimal("0.5")
    assert marts.metric("requests_totals", "requests_change", week) == 0


def test_a_tile_compares_with_what_was_and_tells_no_change_from_nothing(marts: Marts) -> None:
    marts.fresh("t", "2026-11-25 10:00", event_type="request_log")
    answered(marts, "requests_region_daily", "2026-11-09", [100])
    for day, durations, errors in (("2026-11-17", [100, 5000], 0), ("2026-11-24", [100, 100], 1)):
        answered(marts, "requests_region_daily", day, durations, errors=errors)

    def tile(metric: str) -> list[Any]:
        asked = {"scope": [CHOSEN], "period": ["Week so far"]}
        return [marts.metric("requests_totals", metric, f"position = {n}", **asked) for n in (0, -1)]

    assert tile("apdex_total") == [1, Decimal("0.5")], "nobody had to wait a little, and that is no gap"
    assert tile("error_rate_total") == [Decimal("0.5"), None], "from none to some is no number of percent"
    marts.connection.execute("update pg_temp.requests_region_daily set satisfied = 0 where errors = 0")
    assert tile("apdex_total") == [1, None]


def test_a_day_without_requests_has_no_rate_and_no_latency_least_of_all_those_of_the_day_before(marts: Marts) -> None:
    marts.fresh("t", "2026-11-25 10:00", event_type="request_log")
    answered(marts, "requests_region_hourly", "2026-11-24 08:00", [100, 1000], errors=1)
    answered(marts, "requests_region_daily", "2026-11-24", [100, 1000], errors=1)

    def tiles() -> list[Any]:
        return [marts.metric("overview_requests", f"{name}_of_day") for name in ("error_rate", "p95", "requests")]

    assert marts.metric("overview_requests", "error_rate_of_day", "not newest") == Decimal("0.5")
    assert tiles()[:2] == [None, None]
    answered(marts, "requests_region_hourly", "2026-11-25 08:00", [10])
    answered(marts, "requests_region_daily", "2026-11-25", [10])
    error_rate, p95, _ = tiles()
    assert error_rate == 0
    assert float(p95) == pytest.approx(10, rel=0.01)


@pytest.mark.parametrize("name", ["error_rate", "client_error_rate", "p50", "p95", "p99", "apdex"])
def test_a_period_without_requests_does_not_have_the_rates_of_the_one_before(marts: Marts, name: str) -> None:
    marts.fresh("t", "2026-11-25 10:00", event_type="request_log")
    answered(marts, "requests_region_daily", "2026-11-10", [10])
    answered(marts, "requests_region_daily", "2026-11-16", [100, 1000], errors=1, client_errors=1)
    asked = {"scope": [CHOSEN], "period": ["Week so far"]}
    assert marts.metric("requests_totals", f"{name}_total", "position = -1", **asked) is not None
    assert marts.metric("requests_totals", f"{name}_total", **asked) is None


def test_routes_come_from_the_hours_of_the_period(marts: Marts) -> None:
    marts.fresh("t", "2026-11-25 10:00", event_type="request_log")
    answered(marts, "request_hourly", "2026-11-25 09:00", [10, 20])
    answered(marts, "request_hourly", "2026-11-24 23:00", [3000], route="/slow", errors=1)
    answered(marts, "request_hourly", "2026-11-24 10:00", [10], route="/old")
    rows = {row["route"]: row for row in marts.rows("requests_by_route", period=["Last 24 hours"])}
    assert {route: row["requests"] for route, row in rows.items()} == {"GET /": 2, "GET /slow": 1}
    assert float(rows["GET /slow"]["p99"]) == pytest.approx(3000, rel=0.01)


def test_a_period_without_requests_is_zero_and_has_no_latency(marts: Marts) -> None:
    marts.fresh("t", "2026-11-25 10:00", event_type="request_log")
    answered(marts, "requests_region_hourly", "2026-11-25 08:00", [10])
    answered(marts, "requests_region_daily", "2026-11-25", [10])
    rows = {r["label"]: r for r in marts.rows("requests_over_time", Time("2026-11-25 08:00:00"), "PT1H")}
    assert [row["requests"] for row in rows.values()] == [1, 0, 0]
    assert [row["p95"] is None for row in rows.values()] == [False, True, True]


def test_the_newest_three_hours_are_180_minutes_up_to_what_is_complete(marts: Marts) -> None:
    marts.fresh("t", "2026-11-25 10:00", event_type="request_log")
    answered(marts, "requests_region_daily", "2026-11-25", [10])
    answered(marts, "request_minute", "2026-11-25 10:29", [10, 10], errors=1)
    answered(marts, "request_minute", "2026-11-25 10:30", [10])  # has only begun
    rows = sorted(marts.rows("requests_by_minute"), key=lambda row: row["period_start"])
    assert (len(rows), sum(row["requests"] for row in rows)) == (180, 2)
    assert (rows[-1]["requests"], rows[-1]["errors"]) == (2, 1)


def test_active_users_are_of_days_that_are_over_and_counted(marts: Marts) -> None:
    marts.fresh("t", "2026-11-25 10:00", event_type="signup")
    counts = {"weekly_active_users": 9, "monthly_active_users": 20, "first_seen_users": 1, "returning_users": 4}
    quiet = {"weekly_active_users": 8, "monthly_active_users": 19, "first_seen_users": 0, "returning_users": 0}
    marts.put("user_activity_daily", "2026-11-21", daily_active_users=5, **counts)
    marts.put("user_activity_daily", "2026-11-22", daily_active_users=0, **quiet)
    marts.put("user_activity_daily", "2026-11-24", daily_active_users=4, **counts)
    marts.put("user_activity_daily", "2026-11-25", daily_active_users=1, **counts)
    rows = sorted(marts.rows("active_users_over_time"), key=lambda row: row["period_start"])
    # A day of which nothing is known is not shown, least of all as one on which the week's users are gone.
    assert [row["daily_active_users"] for row in rows] == [5, 0, 4]
    assert [row["weekly_active_users"] for row in rows] == [9, 8, 9]
    assert [row["monthly_active_users"] for row in rows] == [20, 19, 20]
    assert marts.metric("active_users_over_time", "stickiness_of_day", "label = 'Tue 24 Nov'") == Decimal("0.2")


def test_active_users_are_compared_with_no_day_on_which_there_were_none(marts: Marts) -> None:
    marts.fresh("t", "2026-11-25 10:00", event_type="signup")
    around = {"weekly_active_users": 9, "monthly_active_users": 20, "first_seen_users": 0, "returning_users": 0}
    for day in range(16, 25):
        marts.put("user_activity_daily", f"2026-11-{day}", daily_active_users=0, **around)

    def tile(name: str, day: str) -> Any:
        return marts.metric("active_users_over_time", f"{name}_of_tile", f"label = '{day}'")

    assert [tile("daily_active_users", day) for day in ("Mon 16 Nov", "Tue 17 Nov", "Tue 24 Nov")] == [0, None, 0]
    assert tile("stickiness", "Tue 17 Nov") is None
    assert tile("weekly_active_users", "Tue 17 Nov") == 9
    assert marts.metric("active_users_over_time", "stickiness_of_tile") == 0, "of the newest day, with all days shown"


def test_sign_ups_follow_channel_plan_and_region(marts: Marts) -> None:
    marts.fresh("t", "2026-11-25 10:00", event_type="signup")
    for channel, plan, region, count in (("ads", "pro", "DE", 1), ("ads", "free", "DE", 2), ("search", "pro", "FR", 4)):
        marts.put("signups_region_daily", "2026-11-24", channel=channel, plan=plan, region=region, signups=count)
    assert marts.metric("signups_totals", "signups_total", scope=[CHOSEN]) == 7
    assert marts.metric("signups_totals", "signups_total", scope=[CHOSEN], channel=["ads"]) == 3
    assert marts.metric("signups_totals", "signups_total", scope=[CHOSEN], plan=["pro"], region_name=["France"]) == 4
    assert {r["channel"]: r["signups"] for r in marts.rows("signups_by_kind", plan=["pro"])} == {"ads": 1, "search": 4}


def test_the_ranking_is_that_of_the_newest_period_of_the_grain(marts: Marts) -> None:
    marts.fresh("t", "2026-11-25 10:00", event_type="purchase")
    ranked: dict[str, Any] = {"ranked_by": "purchases", "currency": "(all)", "purchases": 1, "quantity": 1}
    marts.put("popular_apps_daily", "2026-11-24", **ranked, app_id="old", rank=1)
    marts.put("popular_apps_daily", "2026-11-25", **ranked, app_id="a", rank=1, previous_rank=3, movement=2)
    marts.put("popular_apps_daily", "2026-11-25", **ranked, app_id="b", app_name="B", rank=2)
    marts.put("popular_apps_daily", "2026-11-25", **{**ranked, "ranked_by": "revenue"}, app_id="c", rank=1)
    marts.put("popular_apps_weekly", "2026-11-23", **ranked, app_id="w", rank=1, previous_rank=1, movement=0)
    days = {row["app"]: (row["rank"], row["climbed"]) for row in marts.rows("app_ranks", grain="PT1H")}
    assert days == {"a": (1, "+2"), "B": (2, "new")}
    assert {row["app"]: row["climbed"] for row in marts.rows("app_ranks", grain="P1W")} == {"w": "0"}


def test_the_share_verified_is_of_the_sums(marts: Marts) -> None:
    for region, apps, verified in (("DE", 1, 1), ("FR", 9, 3)):
        events = {"created": apps, "verified": 7}  # an app that is verified again is one app
        counts = {"apps": apps, "verified_apps": verified}
        marts.put("app_totals", "1970-01-01", region=region, category="games", **events, **counts)
    assert marts.metric("apps_of_all_time", "share_verified") == Decimal("0.4")
    assert marts.metric("apps_of_all_time", "share_verified", region_name=["Germany"]) == 1


def test_created_apps_are_told_apart_by_category_and_region(marts: Marts) -> None:
    marts.fresh("t", "2026-11-25 10:00", event_type="app_created")
    for category, region in (("games", "DE"), ("games", "FR"), ("music", "DE")):
        marts.put("apps_region_daily", "2026-11-24", region=region, category=category, created=1, verified=0)
    assert marts.metric("apps_totals", "created_total", scope=[CHOSEN]) == 3
    assert marts.metric("apps_totals", "created_total", scope=[CHOSEN], category=["games"]) == 2
    assert marts.metric("apps_totals", "created_total", scope=[CHOSEN], region_name=["Germany"]) == 2


def test_an_app_shows_its_newest_name_and_the_sum_of_its_days(marts: Marts) -> None:
    marts.fresh("t", "2026-11-25 10:00", event_type="purchase")
    app: dict[str, Any] = {"app_id": "x", "region": "DE", "created": 0, "verified": 0, "refunds": 0, "quantity": 2}
    marts.put("app_daily", "2026-11-23", **app, app_name="Old", purchases=1)
    marts.put("app_daily", "2026-11-24", **app, app_name="New", purchases=2)
    (row,) = marts.rows("app_list")
    assert (row["app"], row["category"], row["purchases"], row["quantity"]) == ("New", "(none)", 3, 4)


def test_an_average_weighs_every_measurement_and_metrics_are_not_mixed(marts: Marts) -> None:
    marts.fresh("t", "2026-11-25 10:00", event_type="metric")
    for source, metric, samples, total in (("a", "cpu", 9, 90), ("b", "cpu", 1, 90), ("a", "memory", 2, 4000)):
        marts.put(
            "metric_hourly",
            "2026-11-25 08:00",
            source=source,
            metric_type=metric,
            samples=samples,
            value_sum=total,
            value_min=1,
            value_max=total,
        )
    assert marts.metric("metrics_totals", "average_total", scope=[CHOSEN]) == 18
    assert marts.metric("metrics_totals", "average_total", scope=[CHOSEN], source=["a"]) == 10
    assert marts.metric("metrics_totals", "average_total", scope=[CHOSEN], metric_type=["memory"]) == 2000
    rows = marts.rows("metrics_over_time", Time("2026-11-25 06:00:00"), "PT1H")
    assert {(row["source"], row["period_start"].hour) for row in rows} == {("a", 8), ("b", 8)}
    assert marts.metric("metrics_list", "sources") == 2


@pytest.mark.parametrize(
    ("dataset", "event_type", "mart", "measure"),
    [
        ("overview_signups", "signup", "signups_region_hourly", "signups"),
        ("overview_apps", "app_created", "apps_region_hourly", "created"),
        ("overview_metrics", "metric", "metric_hourly", "samples"),
    ],
)
def test_the_days_before_count_up_to_the_same_time_of_day(
    marts: Marts, dataset: str, event_type: str, mart: str, measure: str
) -> None:
    marts.fresh("t", "2026-11-25 10:00", event_type=event_type)  # complete through 10:30
    for hour, count in ((9, 4), (10, 6), (11, 100)):
        marts.put(mart, f"2026-11-24 {hour:02}:00", **{measure: count})
    for at in ("2026-11-25 09:00", "2026-11-25 10:00"):
        marts.put(mart, at, **{measure: 5})
    for day in ("2026-11-24", "2026-11-25"):
        if mart != "metric_hourly":
            marts.put(mart.replace("hourly", "daily"), day, **{measure: 1000})
    by_day = {row["day"].day: row[measure] for row in marts.rows(dataset)}
    assert by_day[24] == 4 + 6 // 2
    assert by_day[25] == (1000 if mart != "metric_hourly" else 10)


def test_a_day_of_nothing_is_no_day_to_compare_with(marts: Marts) -> None:
    marts.fresh("t", "2026-11-25 10:00", event_type="metric")
    for day, count in ((16, 4), (25, 5)):
        marts.put("metric_hourly", f"2026-11-{day} 09:00", samples=count)
    by_day = {row["day"].day: row["samples"] for row in marts.rows("overview_metrics")}
    assert by_day == {16: 4, 17: 0, 18: None, **dict.fromkeys(range(19, 25), 0), 25: 5}, "the 18th is a week before"


@pytest.mark.parametrize(("first", "days"), [("2026-11-11", 14), ("2026-11-12", 0)])
def test_a_forecast_wants_two_complete_weeks(marts: Marts, first: str, days: int) -> None:
    marts.fresh("t", "2026-11-25 10:00")  # the 25th still runs
    marts.add("region_daily", "DE", first, 5, [1])
    marts.add("region_daily", "FR", first, 2, [1])
    marts.add("region_daily", "DE", "2026-11-25", 1000, [1])
    rows = sorted(marts.rows("forecast_page_views"), key=lambda row: row["day"])
    assert [row["page_views"] for row in rows] == [7, *[0] * (days - 1)][:days]


def test_a_tenant_sees_its_own_failed_checks_and_those_that_passed_for_all(marts: Marts) -> None:
    for tenant, success in (("t", False), ("other", False), ("*", True)):
        marts.connection.execute(
            "insert into pg_temp.gate_results"
            " (tenant, stage, suite, expectation, severity, success, observed, checked_at)"
            " values (%s, 'marts', 's', 'e', 'stop', %s, 'seen', now())",
            (tenant, success),
        )
    rows = {row["tenant"]: (row["runs"], row["failures"]) for row in marts.rows("gate_checks", tenant=["t"])}
    assert rows == {"t": (1, 1), "*": (1, 0)}


def test_loads_and_publications_are_those_of_the_last_seven_days(marts: Marts) -> None:
    for age, events in (("1 hour", 5), ("2 days", 7), ("8 days", 100)):
        marts.connection.execute(
            "insert into pg_temp.loads (tenant, event_type, started_at, finished_at, events_read)"
            " values ('*', 'signup', now() - %s::interval, now(), %s)",
            (age, events),
        )
        marts.connection.execute(
            "insert into pg_temp.publications (tenant, published_at, rows_written, held_because)"
            " values ('t', now() - %s::interval, %s, %s)",
            (age, events, "why" if events == 7 else None),
        )
    assert marts.metric("loads_by_hour", "events_read_sum") == 12
    assert marts.metric("loads_by_hour", "events_read_day") == 5
    assert marts.metric("publications_by_hour", "held_sum") == 1
    assert marts.metric("publications_by_hour", "mart_rows_written") == 12


def test_the_filters_offer_what_there_is_of_their_family(marts: Marts) -> None:
    sold(marts, "revenue_region_monthly", "2026-11-01", "1", purchases=3)
    marts.put("signups_region_monthly", "2026-11-01", region="FR", channel="ads", plan="pro", signups=2)
    regions = {(row["family"], row["region_name"]) for row in marts.rows("family_regions")}
    assert regions == {("Revenue", "Germany"), ("User activity", "France")}
    assert marts.rows("currency_choices") == [{"tenant": "t", "currency": "EUR", "purchases": 3}]
