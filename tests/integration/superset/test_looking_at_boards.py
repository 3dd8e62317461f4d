"""Looking at a dashboard in a real browser finds what a reader would see wrong. The pages here are our own."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, sync_playwright
from pydantic import SecretStr

from superset_config import screenshot
from superset_config.placed import charts_placed
from superset_config.screenshot import BROWSER_ARGUMENTS, BrowserSettings, Look, look

SITE = "http://superset.example"
TEXT = '<div class="dashboard-component-chart-holder"><p>About this page</p></div>'


def chart(content: str, title: str = "Views") -> str:
    """A chart as Superset's pages have it."""
    shown = f'<p class="header-title">{title}</p><div class="slice_container">{content}</div>'
    return f'<div class="dashboard-component-chart-holder">{shown}</div>'


NARROW = "<style>.header-title { width: 9px; overflow: hidden }</style>"
SMALL = '<p class="subheader-line" style="font-size: 6px">+4 %</p>'
GOOD = chart("<canvas></canvas>") + chart("<table><tbody><tr><td>1</td></tr></tbody></table>", "Pages") + TEXT


@dataclass(frozen=True)
class Fault:
    """What a page has instead of, or beside, a good one's; and what is to be said of it."""

    words: str
    page: str
    seconds: float = 60


FAULTS = (
    Fault("message: Sorry, an error occurred", GOOD + '<p data-test="error-toast">Sorry, an error occurred</p>'),
    Fault("chart 'Empty' is empty", GOOD + chart('<div class="ant-empty">No results</div>', "Empty"), seconds=1),
    Fault("chart 'Blank' drew nothing", GOOD + chart("", "Blank"), seconds=1),
    Fault("chart 'Bad' shows an error", GOOD + chart('<canvas></canvas><p class="ant-alert-error">no</p>', "Bad")),
    Fault("console: the tooltip broke", GOOD + "<script>console.error('the tooltip broke')</script>"),
    Fault("script: it broke", GOOD + "<script>throw new Error('it broke')</script>"),
    Fault(f"404 from GET {SITE}/gone", GOOD + '<img src="/gone">'),
    Fault("not every chart was drawn", GOOD + '<p class="loading">wait</p>', seconds=1),
    Fault(
        "2 charts are there, of 3",
        GOOD + '<div class="dashboard-component-chart-holder"><p class="missing-chart-container">There is no chart '
        "definition associated with this component</p></div>",
    ),
    Fault("2 charts are there, of 3", GOOD + TEXT, seconds=1),
    Fault("'Revenue' in chart 'Revenue' is cut off", NARROW + chart("<canvas></canvas>", "Revenue")),
    Fault("chart 'Wide' reaches from", GOOD + f'<div style="width: 9000px">{chart("<canvas></canvas>", "Wide")}</div>'),
    Fault(
        "the text 'How to read this page' is cut off",
        GOOD + '<div class="dashboard-component-chart-holder" style="height: 40px; overflow: auto">'
        '<p style="margin: 0; height: 60px">How to read this page</p></div>',
    ),
    Fault("'+4 %' in chart 'Small' is set in 6 px", GOOD + chart(SMALL + "<canvas></canvas>", "Small")),
)


@pytest.fixture(scope="module")
def opened() -> Iterator[Page]:
    settings = BrowserSettings(superset_url=SITE, superset_user="u", superset_password=SecretStr("p"))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=settings.browser, args=list(BROWSER_ARGUMENTS))
        yield browser.new_page()
        browser.close()


@pytest.fixture
def page(opened: Page, monkeypatch: pytest.MonkeyPatch) -> Iterator[Page]:
    """One page for all, as the dashboards are looked at."""
    monkeypatch.setattr(screenshot, "ANIMATION", 0)
    yield opened
    opened.unroute("**/*")


def seen(
    page: Page, content: str, placed: int, folder: Path, seconds: float = 60, *, without: Collection[str] = ()
) -> Look:
    def answer(route: Route) -> None:
        there = route.request.url in {f"{SITE}/board", f"{SITE}/favicon.ico"}
        route.fulfill(status=200 if there else 404, content_type="text/html", body=f"<!doctype html>{content}")

    page.route("**/*", answer)
    return look(page, f"{SITE}/board", "board", folder / "board.png", placed, seconds=seconds, without=without)


def test_nothing_is_wrong_with_a_board_whose_charts_are_drawn(page: Page, tmp_path: Path) -> None:
    found = seen(page, GOOD, 2, tmp_path)
    assert (found.wrong, found.charts) == ([], 2)
    assert found.picture.stat().st_size > 0


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.words)
def test_a_fault_that_a_reader_would_see_is_said(page: Page, tmp_path: Path, fault: Fault) -> None:
    placed = 3 if "of 3" in fault.words else fault.page.count("slice_container")
    assert fault.words in "\n".join(seen(page, fault.page, placed, tmp_path, fault.seconds).wrong)


def test_a_chart_for_which_the_data_have_nothing_may_be_empty_and_no_other(page: Page, tmp_path: Path) -> None:
    board = GOOD + chart('<div class="ant-empty">No results</div>', "Latency")
    assert seen(page, board, 3, tmp_path, without=("Latency",)).wrong == []
    assert seen(page, board, 3, tmp_path, seconds=1, without=("Lat",)).wrong != []


@pytest.mark.parametrize(
    ("found", "code"),
    [
        (Look("board", Path("board.png"), charts=2), 0),
        (Look("board", Path("board.png"), charts=2, wrong=["console: the tooltip broke"]), 1),
        (Look("board", Path("board.png")), 1),
    ],
    ids=["all is well", "something is wrong", "there are no charts"],
)
def test_the_script_fails_when_anything_is_wrong(monkeypatch: pytest.MonkeyPatch, found: Look, code: int) -> None:
    for name in ("SUPERSET_URL", "SUPERSET_USER", "SUPERSET_PASSWORD"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setattr(screenshot, "look_at_all", lambda *_, **__: [Look("good", Path("good.png"), charts=1), found])
    assert screenshot.main(["--output", "pictures"]) == code


def test_the_files_say_how_many_charts_a_board_has() -> None:
    placed = charts_placed()
    assert placed["page-views"] == 11
    assert all(placed.values())
