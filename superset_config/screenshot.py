"""Opens the dashboards in a real browser, as a reader would, and fails when a reader would see something wrong.

    python -m superset_config.screenshot --output <folder> [--tenant NAME] [--dashboard SLUG] [--width 1440]

Wrong is: a chart that is not there, or shows an error, nothing, or still a spinner, or does not say what its number
means, or cannot be read (cut off, out of the window, too small); an error message of the page; an error in the
browser's console; a request that failed. Needs the core environment (Playwright) and a Chromium.
"""

import argparse
import shutil
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import ConsoleMessage, Error, Page, Request, Response, TimeoutError, sync_playwright
from pydantic import Field

from runtime.settings import Settings, SettingsError
from superset_config.asked import chart_asking, tenants_asked
from superset_config.placed import NoDashboard, charts_placed, meanings
from superset_config.readable import unreadable
from superset_config.rest import SupersetSettings

BROWSER_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
TITLE = "[data-test='editable-title'], .header-title"
TILE = ".dashboard-chart"
"""What of a chart carries the text that says what its number means."""
CHART = ".dashboard-component-chart-holder"
# What Superset shows in the place of a chart that it does not have (any more).
MISSING = ".missing-chart-container"
# What a chart draws into: canvas and svg for charts, tables, and the text of a big number.
DRAWN = "canvas, svg.datamap, table tbody tr, .header-line"
ERRORS = (
    ".ant-message-error, [data-test='error-toast'], .toast--danger, .alert-danger, "
    "[data-test='alert-dangerous'], .ant-alert-error"
)
PATIENCE = 120
"""Seconds to wait for a page or its charts: a busy machine is slow, which is not what this looks for."""
EMPTY = ".ant-empty, [data-test='empty-state'], .empty-state"
SPINNER = "[data-test='loading-indicator'], .loading"
ANIMATION = 1500
"""Milliseconds that ECharts lets things grow: pictures of half bars mislead."""
ALL_DRAWN = """([chart, drawn, spinner, missing, placed, title, empty, without]) => {
  const said = (c) => c.querySelector(title)?.innerText.trim();
  const charts = [...document.querySelectorAll(chart)].filter((c) => c.querySelector('.slice_container, .chart-slice'));
  return charts.length + document.querySelectorAll(missing).length >= placed && !document.querySelector(spinner)
    && charts.every((c) => c.querySelector(drawn) || (without.includes(said(c)) && c.querySelector(empty)));
}"""


class ChromiumSettings(Settings):
    """With which browser pages are looked at."""

    chromium_path: Path = Field(default=Path("chromium"), description="Chromium of the page tests and the pictures")

    @property
    def browser(self) -> Path:
        """Where the browser is.

        :raises SettingsError: it is neither at ``CHROMIUM_PATH`` nor, by that name, on the PATH.
        """
        found = shutil.which(self.chromium_path)
        if found is None:
            raise SettingsError(f"there is no {self.chromium_path}: install Chromium, or set CHROMIUM_PATH to one")
        return Path(found)


class BrowserSettings(SupersetSettings, ChromiumSettings):
    """Where Superset is, who looks at it, and with which browser."""


class LogInError(Exception):
    """Superset does not let the browser in."""


@dataclass
class Look:
    """What was seen of one dashboard: the picture, the charts drawn, everything that is wrong, and whose data it is.

    ``asked`` has, by the number of each chart that asked for data, the tenants that it asked for.
    """

    slug: str
    picture: Path
    charts: int = 0
    wrong: list[str] = field(default_factory=list)
    asked: dict[int, set[str]] = field(default_factory=dict)


def dashboard_url(base: str, slug: str, tenant: str | None = None) -> str:
    """The address of a dashboard, opened on ``tenant`` instead of the one with the newest data."""
    url = f"{base.rstrip('/')}/superset/dashboard/{slug}/"
    if tenant is None:
        return url
    quoted = "'" + tenant.replace("!", "!!").replace("'", "!'") + "'"
    mask = (
        f"(NATIVE_FILTER-tenant:(extraFormData:(filters:!((col:tenant,op:IN,val:!({quoted})))),"
        f"filterState:(label:{quoted},value:!({quoted})),id:NATIVE_FILTER-tenant,ownState:()))"
    )
    return f"{url}?native_filters={mask}"


@contextmanager
def logged_in(settings: BrowserSettings, width: int, height: int) -> Iterator[Page]:
    """A page of a browser that is logged in to Superset."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=settings.browser, args=list(BROWSER_ARGUMENTS), headless=True
        )
        try:
            page = browser.new_page(viewport={"width": width, "height": height}, locale="en-GB", timezone_id="UTC")
            page.set_default_timeout(PATIENCE * 1000)
            _log_in(page, settings)
            yield page
        finally:
            browser.close()


def _log_in(page: Page, settings: BrowserSettings) -> None:
    """Send what the log-in form sends, with the browser's cookies but without its page.

    Superset's session is the cookie itself, and its log-in page goes on asking while a program has long filled in the
    form: an answer that comes after the log-in brings the old cookie back.
    """
    base = settings.superset_url.rstrip("/")
    login = {"username": settings.superset_user, "password": settings.superset_password.get_secret_value()}
    token = page.request.post(f"{base}/api/v1/security/login", data={**login, "provider": "db"})
    if not token.ok:
        raise LogInError(f"{base} refuses {settings.superset_user}: {token.status}")
    bearer = {"Authorization": f"Bearer {token.json()['access_token']}"}
    csrf_token = page.request.get(f"{base}/api/v1/security/csrf_token/", headers=bearer).json()["result"]
    page.request.post(f"{base}/login/", form={**login, "csrf_token": csrf_token}, max_redirects=0)
    if not page.request.get(f"{base}/api/v1/me/").ok:
        raise LogInError(f"{settings.superset_user} is not logged in to {base} after the log-in")


def look(
    page: Page,
    url: str,
    slug: str,
    picture: Path,
    charts: int,
    *,
    said: Mapping[str, str] | None = None,
    without: Collection[str] = (),
    seconds: float = PATIENCE,
) -> Look:
    """Open a dashboard, wait until each of its ``charts`` is drawn, take its picture, and say what is wrong.

    :param charts: how many are placed on it
    :param said: what each chart has to say that its number means, by the chart's name; None: that is not looked at
    :param without: names of the charts that may be empty: the data have nothing for them
    """
    seen = Look(slug, picture)

    def heard(message: ConsoleMessage) -> None:
        if message.type == "error":
            seen.wrong.append(f"console: {message.text[:300]}")

    def answered(response: Response) -> None:
        if response.status >= 400:
            seen.wrong.append(f"{response.status} from {response.request.method} {response.url[:200]}")

    def broke(error: Error) -> None:
        seen.wrong.append(f"script: {str(error)[:300]}")

    def asks(request: Request) -> None:
        if (number := chart_asking(request.url)) is not None:
            seen.asked.setdefault(number, set()).update(tenants_asked(request.post_data or "{}"))

    page.on("request", asks)
    page.on("console", heard)
    page.on("pageerror", broke)
    page.on("response", answered)
    page.goto(url)
    _scroll_through(page, seen, charts, without, seconds)
    _judge(page, seen, charts, without)
    picture.parent.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=picture)
    if said is not None:  # after the picture, which would show the mouse's tooltips
        _judge_meanings(page, seen, said)
    # The next dashboard is looked at on the same page: what goes wrong there is not this one's.
    page.remove_listener("request", asks)
    page.remove_listener("console", heard)
    page.remove_listener("pageerror", broke)
    page.remove_listener("response", answered)
    return seen


def _scroll_through(page: Page, seen: Look, charts: int, without: Collection[str], seconds: float) -> None:
    """Make the window as tall as the dashboard, as charts out of sight are not loaded, and wait for them."""
    try:
        page.wait_for_selector(CHART, timeout=seconds * 1000)
        for _ in range(3):  # what is drawn may change the height; it settles at once or at the second look
            height = page.evaluate("document.documentElement.scrollHeight")
            size = page.viewport_size
            if size and height > size["height"]:
                page.set_viewport_size({"width": size["width"], "height": height})
            judged = [CHART, DRAWN, SPINNER, MISSING, charts, TITLE, EMPTY, [*without]]
            page.wait_for_function(ALL_DRAWN, arg=judged, timeout=seconds * 1000)
    except TimeoutError:
        seen.wrong.append(f"not every chart was drawn after {seconds:.0f} s")
    else:
        page.wait_for_timeout(ANIMATION)


def _judge(page: Page, seen: Look, charts: int, without: Collection[str]) -> None:
    for chart in page.locator(CHART).all():
        name = chart.locator(TITLE).first
        title = name.inner_text().strip() if name.count() else "(untitled)"
        if chart.locator(".slice_container, .chart-slice").count() == 0:
            continue  # a text
        seen.charts += 1
        if chart.locator(EMPTY).count() and title in without:
            continue
        if chart.locator(EMPTY).count():
            seen.wrong.append(f"chart {title!r} is empty")
        elif chart.locator(DRAWN).count() == 0:
            seen.wrong.append(f"chart {title!r} drew nothing")
        if chart.locator(ERRORS).count():
            seen.wrong.append(f"chart {title!r} shows an error: {chart.locator(ERRORS).first.inner_text()[:300]}")
    if seen.charts != charts:
        seen.wrong.append(f"{seen.charts} charts are there, of {charts}")
    seen.wrong += unreadable(page, CHART, TITLE)
    seen.wrong += [f"message: {each.inner_text()[:300]}" for each in page.locator(ERRORS).all()]


def _judge_meanings(page: Page, seen: Look, said: Mapping[str, str]) -> None:
    """Every tile has its text; the first is pointed at, as one style sheet shows them all."""
    tiles = [chart for chart in page.locator(CHART).all() if chart.locator(TILE).count()]
    for chart in tiles:
        title = chart.locator(TITLE).first.inner_text().strip()
        if chart.locator(TILE).first.get_attribute("aria-label") != said.get(title):
            seen.wrong.append(f"chart {title!r} does not say what its number means")
    for chart in tiles[:1]:
        chart.locator(TITLE).first.hover()
        shown = chart.locator(TILE).first.evaluate("tile => getComputedStyle(tile, '::before').content")
        if shown in {"none", "normal", '""'}:
            seen.wrong.append("pointing at a chart's title does not show what its number means")


def look_at_all(
    settings: BrowserSettings,
    output: Path,
    tenant: str | None,
    width: int,
    height: int,
    *,
    only: Collection[str] = (),
    without: Collection[str] = (),
) -> list[Look]:
    """Look at every dashboard of the assets, or at the slugs in ``only``; the pictures are ``<output>/<slug>.png``.

    ``without`` names charts that may be empty.
    """
    looks = []
    with logged_in(settings, width, height) as page:
        for slug, count in charts_placed(only).items():
            url = dashboard_url(settings.superset_url, slug, tenant)
            page.set_viewport_size({"width": width, "height": height})
            looks.append(look(page, url, slug, output / f"{slug}.png", count, said=meanings(slug), without=without))
    return looks


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point: 0 when nothing is wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--output", type=Path, required=True, help="folder of the pictures")
    parser.add_argument("--tenant", help="the tenant to open, instead of the one with the newest data")
    parser.add_argument("--dashboard", action="append", default=[], help="only this one, by its slug (repeatable)")
    parser.add_argument("--width", type=int, default=1440, help="width of the window in pixels")
    parser.add_argument("--height", type=int, default=900, help="least height of the window in pixels")
    chosen = parser.parse_args(arguments)
    try:
        settings = BrowserSettings.read()
        looks = look_at_all(settings, chosen.output, chosen.tenant, chosen.width, chosen.height, only=chosen.dashboard)
    except (SettingsError, LogInError, NoDashboard) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    for seen in looks:
        sys.stdout.write(f"{seen.slug}: {seen.charts} charts, {seen.picture}\n")
        for wrong in seen.wrong:
            sys.stderr.write(f"{seen.slug}: {wrong}\n")
    return 1 if any(seen.wrong or not seen.charts for seen in looks) else 0


if __name__ == "__main__":
    sys.exit(main())
