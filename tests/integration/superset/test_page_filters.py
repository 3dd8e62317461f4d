"""With pages and regions chosen, each number of Page views is what counting the views one by one gives."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import pytest

from superset_config.periods import CHOSEN
from tests.integration.superset.marts_kit import Marts, Time
from warehouse.marts import MARTS

NEWEST = datetime(2026, 11, 25, 10, tzinfo=UTC)  # a Wednesday; its hour is over
END = NEWEST + timedelta(hours=1)
PAGES = ("/", "/docs", "/it's")
REGIONS = {"DE": "Germany", "FR": "France"}
OF_PAGES = re.compile(r"pg_temp\.page_(daily|region)")
CHOICES = list(product(([], ["/docs"], ["/", "/it's"]), ([], ["France"], ["Germany", "France"])))
"""Of pages and of regions, each alone and together."""


@dataclass(frozen=True)
class View:
    """One view."""

    page: str
    region: str
    at: datetime
    visitor: int


def _views() -> Iterator[View]:
    """Sixteen days by the hour: of each page and region a view by who comes every hour, and others now and then."""
    for hour in range(16 * 24):
        at = END - timedelta(hours=1 + hour)
        for number, (page, region) in enumerate(product(PAGES, REGIONS)):
            yield View(page, region, at, number)
            if (hour + number) % 5 == 0:
                yield View(page, region, at, 100 + hour % 37)


VIEWS = list(_views())
STARTS: dict[str, Callable[[datetime], datetime]] = {
    "hour": lambda at: at,
    "day": lambda at: at.replace(hour=0),
    "week": lambda at: at.replace(hour=0) - timedelta(days=at.weekday()),
    "month": lambda at: at.replace(day=1, hour=0),
}
GRAINS = {"PT1H": "hour", "P1D": "day", "P1W": "week", "P1M": "month"}
Counted = dict[Any, tuple[int, int]]


def counted(views: Iterable[View], key: Callable[[View], Any]) -> Counted:
    """Views and distinct visitors by ``key``."""
    found: dict[Any, list[View]] = defaultdict(list)
    for view in views:
        found[key(view)].append(view)
    return {name: (len(some), len({view.visitor for view in some})) for name, some in found.items()}


def by_period(views: Iterable[View], unit: str) -> Counted:
    return counted(views, lambda view: STARTS[unit](view.at).replace(tzinfo=None))


def chosen(pages: list[str], regions: list[str], since: datetime, until: datetime = END) -> list[View]:
    return [
        view
        for view in VIEWS
        if since <= view.at < until
        and (not pages or view.page in pages)
        and (not regions or REGIONS[view.region] in regions)
    ]


def numbers(row: dict[str, Any]) -> tuple[int, int]:
    return row["page_views"], row["visitors"]


@pytest.fixture
def filled(marts: Marts) -> Marts:
    """Every mart of page views, of a tenant and of another one that has the same pages and visitors of its own."""
    for mart in (mart for mart in MARTS if mart.event_types == ("page_view",) and mart.dimensions):
        rows: dict[tuple[str, datetime], list[int]] = defaultdict(list)
        for view in VIEWS:
            place = {"page_name": view.page, "region": view.region}
            key = " ".join(place[name] for name in mart.dimensions)
            rows[key, STARTS[mart.grain](view.at)].append(view.visitor)
        for (key, at), visitors in rows.items():
            start = f"{at:%Y-%m-%d %H:%M}"
            marts.add(mart.name, key, start, len(visitors), sorted(set(visitors)))
            marts.add(mart.name, key, start, 1000, [-1 - len(key)], tenant="other")
    for tenant in ("t", "other"):
        marts.fresh(tenant, f"{NEWEST:%Y-%m-%d %H:%M}", END)
    return marts


def test_a_chart_over_time_follows_pages_and_regions_in_every_grain(filled: Marts) -> None:
    since = datetime(2026, 11, 22, tzinfo=UTC)  # a Sunday: its week and month began before, and are whole
    for (pages, regions), (grain, unit) in product(CHOICES, GRAINS.items()):
        rows = filled.rows(
            "page_views_over_time", Time(f"{since:%Y-%m-%d %H:%M:%S}"), grain,
            tenant=["t"], page_name=pages, region_name=regions,
        )  # fmt: skip
        truth = by_period(chosen(pages, regions, STARTS[unit](since)), unit)
        assert {row["period_start"]: numbers(row) for row in rows} == truth, (pages, regions, grain)


def test_a_chosen_page_over_time_is_what_the_mart_of_pages_has(filled: Marts) -> None:
    known = filled.connection.execute(
        """
        select period_start at time zone 'UTC' as period_start, page_views, visitors from pg_temp.page_daily
        where tenant = 't' and page_name = '/docs' and period_start >= '2026-11-12' order by 1
        """
    ).fetchall()
    rows = filled.rows("page_views_over_time", tenant=["t"], page_name=["/docs"])
    shown = sorted((row["period_start"], *numbers(row)) for row in rows)
    assert shown == [(row["period_start"], row["page_views"], row["visitors"]) for row in known]
    assert len(shown) == 14


def test_tiles_and_what_they_are_compared_with_follow_pages_and_regions(filled: Marts) -> None:
    day = timedelta(days=1)
    for pages, regions in CHOICES:
        rows = filled.rows(
            "page_views_totals", tenant=["t"], period=["Last 7 days"], scope=[CHOSEN, "Day so far"],
            page_name=pages, region_name=regions,
        )  # fmt: skip
        shown = {(row["scope"], row["position"]): numbers(row) for row in rows}
        for scope, start, by in ((CHOSEN, 19, 7 * day), ("Day so far", 25, day)):
            since = datetime(2026, 11, start, tzinfo=UTC)
            for position, back in ((0, timedelta(0)), (-1, by)):
                # Until the same time of day: what is counted by day alone could not tell.
                (truth,) = counted(chosen(pages, regions, since - back, END - back), lambda _view: None).values()
                assert shown[scope, position] == truth, (pages, regions, scope, position)


SPANS = [
    (None, None),
    ("2026-11-20 00:00:00", "2026-11-22 00:00:00"),
    ("2026-11-20 21:00:00", "2026-11-22 03:00:00"),
    ("2026-11-20 21:00:00", "2026-11-21 02:00:00"),
    ("2026-11-20 05:00:00", "2026-11-20 09:00:00"),
    ("2026-11-20 05:00:00", "2026-11-21 00:00:00"),
    ("2026-11-20 00:00:00", "2026-11-20 09:00:00"),
]


@pytest.mark.parametrize(("since", "until"), SPANS)
def test_tables_of_pages_and_of_regions_follow_each_other(filled: Marts, since: str | None, until: str | None) -> None:
    first = datetime.fromisoformat(since).replace(tzinfo=UTC) if since else END - timedelta(hours=24)
    last = datetime.fromisoformat(until).replace(tzinfo=UTC) if until else END
    period = [] if since else ["Last 24 hours"]
    for pages, regions in CHOICES:
        given = {"tenant": ["t"], "period": period, "page_name": pages, "region_name": regions}
        by_region = filled.rows("page_views_by_region", Time(since, until), **given)
        # Superset filters by a column that a dataset has by itself.
        shown = {
            row["region_name"]: numbers(row)
            for row in by_region
            if row["region_name"] in (regions or row["region_name"])
        }
        assert shown == counted(chosen(pages, regions, first, last), lambda view: REGIONS[view.region])
        by_page = filled.rows("page_views_by_page", Time(since, until), **given)
        assert sum(row["share"] for row in by_page) == pytest.approx(1)
        shown = {row["page_name"]: numbers(row) for row in by_page if row["page_name"] in (pages or row["page_name"])}
        assert shown == counted(chosen(pages, regions, first, last), lambda view: view.page)


def test_other_tenants_pages_never_come_along(filled: Marts) -> None:
    for dataset in ("page_views_over_time", "page_views_totals", "page_views_by_region", "page_views_by_page"):
        for pages, regions in CHOICES:
            rows = filled.rows(dataset, tenant=["t"], page_name=pages, region_name=regions)
            assert {row["tenant"] for row in rows} == {"t"}
        together = filled.rows(dataset, page_name=["/docs"])
        for tenant in ("t", "other"):
            alone = filled.rows(dataset, tenant=[tenant], page_name=["/docs"])
            assert alone and sorted(map(numbers, alone)) == sorted(
                numbers(row) for row in together if row["tenant"] == tenant
            )


def test_a_page_that_is_none_is_nowhere_and_harms_nothing(filled: Marts) -> None:
    hostile = ["/'; delete from pg_temp.page_daily; --"]
    rows = filled.rows("page_views_over_time", tenant=["t"], page_name=hostile)
    assert {numbers(row) for row in rows} == {(0, 0)}
    assert filled.rows("page_views_by_region", tenant=["t"], page_name=hostile) == []
    assert filled.connection.execute("select count(*) > 0 as there from pg_temp.page_daily").fetchone() == {
        "there": True
    }


@pytest.mark.parametrize("regions", [[], ["France"]])
def test_without_a_page_the_marts_of_pages_are_not_read(marts: Marts, regions: list[str]) -> None:
    for dataset in ("page_views_over_time", "page_views_totals", "page_views_by_region"):
        for grain in (None, *GRAINS):
            assert not OF_PAGES.search(marts.sql(dataset, None, grain, region_name=regions)), dataset
            assert OF_PAGES.search(marts.sql(dataset, None, grain, region_name=regions, page_name=["/"])), dataset
