"""A tile whose newest day has no number says so, and compares with no other day than it says: in a real browser."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import psycopg
import pytest
from playwright.sync_api import Page
from psycopg import sql

from superset_config.placed import charts_placed
from superset_config.rest import SupersetSettings
from superset_config.screenshot import CHART, TITLE, BrowserSettings, dashboard_url, logged_in, look
from tests.integration.superset.conftest import TODAY, Home, publish_rows

SAID = "Not up to date"
COMPARED = "vs a week before"
DAYS = 14


@pytest.fixture
def quiet(homes: tuple[Home, Home], superset_env: Mapping[str, str]) -> Iterator[Home]:
    """A tenant that sold something each day but today, and whose requests were answered each day but a week ago."""
    home, dsn = homes[0], superset_env["WAREHOUSE_DSN"]
    with psycopg.connect(dsn) as connection:
        for mart in ("revenue_region_hourly", "requests_region_hourly"):
            hourly = sql.Identifier("marts", mart)
            copy = sql.SQL("create temp table each_hour on commit drop as select * from {} where tenant = %s")
            connection.execute(copy.format(hourly), (home.name,))
            for day in range(1, DAYS + 1):
                connection.execute("update each_hour set period_start = period_start - interval '1 day'")
                if (mart, day) != ("requests_region_hourly", 7):
                    connection.execute(sql.SQL("insert into {} select * from each_hour").format(hourly))
            connection.execute("drop table each_hour")
        nothing = sql.SQL("update {} set purchases = 0, revenue = 0 where tenant = %s and period_start >= %s")
        for mart in ("revenue_daily", "revenue_region_hourly"):
            assert connection.execute(nothing.format(sql.Identifier("marts", mart)), (home.name, TODAY)).rowcount
    yield home
    publish_rows(dsn, home.name, 1000, home.page)


def tile(page: Page, title: str) -> str:
    named = page.locator(TITLE).get_by_text(title, exact=True)
    return page.locator(CHART).filter(has=named).inner_text()


def test_tiles_tell_a_number_of_before_from_today_s_and_compare_with_the_day_they_name(
    quiet: Home, admin_settings: SupersetSettings, tmp_path: Path
) -> None:
    settings = BrowserSettings(**admin_settings.model_dump())
    url = dashboard_url(settings.superset_url, "overview", quiet.name)
    placed = charts_placed(["overview"])["overview"]
    forecast = ("Page views, and the two weeks to come",)  # of one day there is none
    with logged_in(settings, 1440, 900) as page:
        assert look(page, url, "overview", tmp_path / "overview.png", placed, without=forecast).wrong == []
        assert SAID in tile(page, "Average today")
        assert COMPARED not in tile(page, "Average today")
        assert SAID not in tile(page, "Purchases today")
        assert f"-100.0% {COMPARED}" in tile(page, "Purchases today")
        assert COMPARED not in tile(page, "Requests today"), "there were none a week ago; with another day it must not"
