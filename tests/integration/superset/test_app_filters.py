"""With apps chosen, App store and Revenue count these alone, by whole days, and compare no part of a day."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pytest

from superset_config.periods import CHOSEN
from tests.integration.superset.marts_kit import Marts, Time

NAMES = {"1": "Chess", "2": "Maps", "3": None}
OTHERS = {"2": "Chess", "1": "Maps", "3": None}
CLOSED = Time("2026-11-22 00:00:00", "2026-11-24 00:00:00")


def midnight(day: int) -> datetime:
    return datetime(2026, 11, day)  # noqa: DTZ001 - a local date, as the datasets give it


@pytest.fixture
def filled(marts: Marts) -> Marts:
    """Three apps by day and region, whose numbers tell them apart; another tenant has these names for other ids."""
    for tenant, times in (("t", 1), ("other", 1000)):
        marts.fresh(tenant, "2026-11-25 10:00", event_type="app_created")
        for day in range(18, 26):
            for number, (app_id, name) in enumerate((NAMES if tenant == "t" else OTHERS).items()):
                for region, factor in (("DE", 1), ("FR", 2)):
                    marts.put(
                        "app_daily", f"2026-11-{day}", tenant=tenant, app_id=app_id, region=region, app_name=name,
                        category="games" if app_id == "1" else None, created=10**number * factor * times,
                        verified=10**number * times, purchases=5, refunds=0, quantity=5,
                    )  # fmt: skip
            for region, factor in (("DE", 1), ("FR", 2)):
                row = {"region": region, "category": "games", "created": 111 * factor * times, "verified": 111 * times}
                marts.put("apps_region_daily", f"2026-11-{day}", tenant=tenant, **row)
    return marts


@pytest.mark.parametrize(
    ("apps", "regions", "created", "verified"),
    [
        ([], [], 333, 222),
        (["Chess"], [], 3, 2),
        (["Chess", "3"], [], 303, 202),
        (["Maps"], ["France"], 20, 10),
        (["Chess'; --"], [], 0, 0),
    ],
)
def test_tiles_and_charts_follow_apps_and_regions(
    filled: Marts, apps: Sequence[str], regions: Sequence[str], created: int, verified: int
) -> None:
    given = {"tenant": ["t"], "app": apps, "region_name": regions}
    rows = filled.rows("apps_totals", CLOSED, scope=[CHOSEN], **given)
    shown = {row["position"]: (row["created"], row["verified"]) for row in rows}
    assert shown[0] == (2 * created, 2 * verified)
    assert shown[-1] == ((2 * created, 2 * verified) if created else (None, None))
    by_day = filled.rows("apps_over_time", CLOSED, "P1D", **given)
    assert [(row["period_start"], row["created"], row["verified"]) for row in by_day] == [
        (midnight(day), created, verified) for day in (22, 23)
    ]
    by_region = filled.rows("apps_by_region", CLOSED, **given)
    assert sum(row["created"] for row in by_region) == 2 * created
    assert {row["region_name"] for row in by_region} == (set(regions or ["Germany", "France"]) if created else set())


def test_of_a_running_day_a_chosen_app_is_counted_and_compared_with_nothing(filled: Marts) -> None:
    def positions(**filters: Any) -> dict[int, int]:
        return {row["position"]: row["created"] for row in filled.rows("apps_totals", scope=["Day so far"], **filters)}

    assert positions(tenant=["t"], app=["Chess"]) == {0: 3}
    assert set(positions(tenant=["t"])) == {0, -1}


def test_hours_of_a_chosen_app_are_shown_as_days(filled: Marts) -> None:
    rows = filled.rows("apps_over_time", CLOSED, "PT1H", tenant=["t"], app=["Chess"])
    assert [(row["label"][:6], row["created"]) for row in rows] == [("Sun 22", 3), ("Mon 23", 3)]


def test_an_app_is_found_by_a_name_that_it_once_had(filled: Marts) -> None:
    filled.connection.execute(
        "update pg_temp.app_daily set app_name = 'Chess 2' where app_id = '1' and period_start >= '2026-11-23'"
    )
    for name in ("Chess", "Chess 2"):
        rows = filled.rows("apps_over_time", CLOSED, "P1D", tenant=["t"], app=[name])
        assert [row["created"] for row in rows] == [3, 3], name


def test_an_app_is_of_the_category_it_has(filled: Marts) -> None:
    for category, created in (("games", 3), ("(none)", 330)):
        rows = filled.rows(
            "apps_over_time", CLOSED, "P1D", tenant=["t"], app=["Chess", "Maps", "3"], category=[category]
        )
        assert [row["created"] for row in rows] == [created, created]


def test_without_an_app_the_mart_of_apps_is_not_read(marts: Marts) -> None:
    for dataset in ("apps_totals", "apps_over_time", "apps_by_region"):
        assert "app_daily" not in marts.sql(dataset, region_name=["France"], category=["games"]), dataset
        assert "app_daily" in marts.sql(dataset, app=["Chess"]), dataset


@pytest.fixture
def sold(marts: Marts) -> Marts:
    """Sales of two apps in two currencies by day, as they are ranked, and of all apps by region."""
    for tenant, times in (("t", 1), ("other", 1000)):
        marts.fresh(tenant, "2026-11-25 10:00", event_type="purchase")
        for app_id, name in (("1", "Chess"), ("2", "Maps")):
            marts.put("app_daily", "2026-11-20", tenant=tenant, app_id=app_id, region="DE", app_name=name)
        for currency, sales in (("EUR", 2), ("USD", 1)):
            sums = {"refunded": 1, "net_revenue": 99, "refunds": 1, "buyers": 1, "buyers_sketch": [1]}
            every = {"currency": currency, "region": "DE", "revenue": 100, "purchases": 9, "quantity": 9, **sums}
            marts.put("revenue_region_monthly", "2026-11-01", tenant=tenant, **{**every, "purchases": 100 * sales})
            for day in range(18, 26):
                marts.put("revenue_daily", f"2026-11-{day}", tenant=tenant, **every)
                for app_id, name in (("1", "Chess"), ("2", "Maps")):
                    n = int(app_id) * sales * times
                    row = {"app_id": app_id, "app_name": name, "purchases": n, "quantity": 2 * n}
                    ranked = {"ranked_by": "revenue", "currency": currency, "revenue": 5 * n}
                    marts.put("popular_apps_daily", f"2026-11-{day}", tenant=tenant, **row, **ranked)
        for app_id in ("1", "2"):
            ranked = {"ranked_by": "purchases", "currency": "(all)", "app_id": app_id, "purchases": 7, "quantity": 7}
            marts.put("popular_apps_daily", "2026-11-22", tenant=tenant, **ranked)
    return marts


@pytest.mark.parametrize(
    ("apps", "currency", "purchases"),
    [(["Chess"], [], 2), (["Chess", "Maps"], [], 6), (["Maps"], ["USD"], 2)],
)
def test_sales_of_a_chosen_app_are_those_of_its_ranking_and_the_rest_is_empty(
    sold: Marts, apps: Sequence[str], currency: Sequence[str], purchases: int
) -> None:
    given = {"tenant": ["t"], "app": apps, "currency": currency}
    totals = {row["position"]: row for row in sold.rows("revenue_totals", CLOSED, scope=[CHOSEN], **given)}
    by_day = sold.rows("revenue_over_time", CLOSED, "PT1H", **given)
    for row, days in ((totals[0], 2), (totals[-1], 2), (by_day[0], 1), (by_day[1], 1)):
        counted = {"purchases": days * purchases, "quantity": 2 * days * purchases, "revenue": 5 * days * purchases}
        assert {name: row[name] for name in counted} == counted
        assert {row[name] for name in UNKNOWN} == {None}
    assert [row["period_start"] for row in by_day] == [midnight(22), midnight(23)]


UNKNOWN = ("refunded", "net_revenue", "refunds", "buyers")


def test_sales_of_a_chosen_app_stay_apart_by_currency(sold: Marts) -> None:
    rows = sold.rows("revenue_by_currency", CLOSED, tenant=["t"], app=["Maps"])
    assert {(row["currency"], row["purchases"], row["revenue"], row["buyers"]) for row in rows} == {
        ("EUR", 8, 40, None),
        ("USD", 4, 20, None),
    }


@pytest.mark.parametrize("dataset", ["revenue_totals", "revenue_over_time", "revenue_by_currency", "revenue_by_region"])
def test_sales_of_an_app_are_not_told_by_region(sold: Marts, dataset: str) -> None:
    assert sold.rows(dataset, CLOSED, tenant=["t"], region_name=["Germany"])
    assert sold.rows(dataset, CLOSED, tenant=["t"], region_name=["Germany"], app=["Chess"]) == []
    assert bool(sold.rows(dataset, CLOSED, tenant=["t"], app=["Chess"])) is (dataset != "revenue_by_region")


def test_without_an_app_revenue_reads_no_ranking(marts: Marts) -> None:
    for dataset in ("revenue_totals", "revenue_over_time", "revenue_by_currency"):
        assert "popular_apps" not in marts.sql(dataset, region_name=["France"]), dataset
        assert "popular_apps" in marts.sql(dataset, app=["Chess"]), dataset
