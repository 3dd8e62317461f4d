"""A reviewed dashboard in a real browser: a click on what a chart shows filters the others; it keeps up by itself."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from playwright.sync_api import Page, Request

from superset_config.asked import chart_asking, question
from superset_config.bundle import Bundle
from superset_config.placed import charts_placed
from superset_config.rest import Superset, SupersetSettings
from superset_config.screenshot import BrowserSettings, dashboard_url, logged_in
from tests.integration.superset.conftest import Home

SLUG = "page-views"
WIDTH, HEIGHT = 1440, 4000
"""Of the window: taller than the dashboard, as charts out of sight ask nothing."""
PATIENCE = 60
"""Seconds for the charts to ask."""
LOOK = 0.1


@dataclass
class Board:
    """An open dashboard. ``asked`` has what each chart asked for since the last look, by the chart's name."""

    page: Page
    names: dict[int, str]
    asked: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def heard(self, request: Request) -> None:
        if (number := chart_asking(request.url)) in self.names:
            self.asked.setdefault(self.names[number], []).append(question(request.post_data or "{}"))

    def wait(self, so: Callable[["Board"], bool]) -> None:
        """Until what was asked is ``so``, and everything is answered."""
        for _ in range(round(PATIENCE / LOOK)):
            if so(self):
                break
            self.page.wait_for_timeout(LOOK * 1000)
        else:
            pytest.fail(f"asked within {PATIENCE} s: {sorted(self.asked)}")
        self.page.wait_for_load_state("networkidle")

    def cell(self, chart: str, text: str) -> None:
        """Click on a cell of a table."""
        self.page.locator(f"[data-test-chart-name='{chart}'] td", has_text=text).click()


def asked_of(questions: list[dict[str, Any]], column: str) -> set[str]:
    """The values of ``column`` that the newest of ``questions`` is narrowed to."""
    newest = questions[-1]
    of_all = newest["queries"] if "queries" in newest else [newest.get("extra_form_data") or {}]
    return {
        str(value)
        for each in of_all
        for one in each.get("filters", ())
        if one["col"] == column and one["op"] == "IN"
        for value in one["val"]
    }


@contextmanager
def opened(settings: SupersetSettings, superset: Superset, tenant: str) -> Iterator[Board]:
    reviewed = {chart.uuid: chart.name for chart in Bundle.load().of("charts")}
    names = {int(row["id"]): reviewed[each] for each, row in superset.by_uuid("chart").items() if each in reviewed}
    with logged_in(BrowserSettings(**settings.model_dump()), WIDTH, HEIGHT) as page:
        board = Board(page, names)
        page.on("request", board.heard)
        page.clock.install()  # before the page's own timers
        page.goto(dashboard_url(settings.superset_url, SLUG, tenant))
        board.wait(lambda it: len(it.asked) == charts_placed([SLUG])[SLUG])
        yield board


def test_a_click_on_a_region_filters_every_other_chart_and_another_click_ends_it(
    admin_settings: SupersetSettings, administrator: Superset, homes: tuple[Home, Home]
) -> None:
    with opened(admin_settings, administrator, homes[0].name) as board:
        everything = set(board.asked) - {"Regions"}
        for wanted in ({"Germany"}, set[str]()):
            board.asked.clear()
            board.cell("Regions", "Germany")
            board.wait(lambda it: everything <= set(it.asked))
            assert {chart: asked_of(each, "region_name") for chart, each in board.asked.items()} == dict.fromkeys(
                everything, wanted
            ), "the chart that was clicked shows what it did"


def test_an_open_dashboard_asks_again_each_minute_by_itself(
    admin_settings: SupersetSettings, administrator: Superset, homes: tuple[Home, Home]
) -> None:
    with opened(admin_settings, administrator, homes[0].name) as board:
        everything = set(board.asked)
        board.asked.clear()
        board.page.clock.fast_forward(50_000)
        board.page.wait_for_load_state("networkidle")
        early = set(board.asked)
        board.page.clock.fast_forward(11_000)
        board.wait(lambda it: everything <= set(it.asked))
        assert early == set()
