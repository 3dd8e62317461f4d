"""The tracker where storage is blocked or full, in a real browser: views are sent, and a refusal holds."""

import pytest
from playwright.sync_api import BrowserContext, Page

from tests.integration.collector.browser_kit import CHROMIUM, QUEUE, Shop, emptied
from tests.integration.collector.harness import Broker

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
IDS = {"visitor_id", "session_id"}


def fill(page: Page) -> None:
    """Leave no room in either storage, as a site with a cache of its own does."""
    page.evaluate(
        """() => {
            for (const storage of [localStorage, sessionStorage]) {
                for (let n = 0, size = 4e6; size >= 1; n++) {
                    try { storage[n] = "x".repeat(size); } catch (full) { size /= 2; }
                }
            }
        }"""
    )


def test_without_storage_views_are_sent_all_the_same(shop: Shop, context: BrowserContext, broker: Broker) -> None:
    since = broker.ends("events.page_view")
    context.add_init_script("Object.defineProperty(window, 'localStorage', {get() { throw new Error('blocked') }})")
    page = shop.visit(context, "/blocked/1")
    page.evaluate("history.pushState({}, '', '/blocked/2')")
    assert len(shop.arrived(since, "/blocked/", 2)) == 2


def test_where_the_browser_blocks_storage_and_locks_views_are_sent_all_the_same(
    shop: Shop, context: BrowserContext, broker: Broker
) -> None:
    since = broker.ends("events.page_view")
    shop.attributes = 'data-region="DE"'
    page = shop.visit(context, "/around")
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.evaluate(
        """() => {
            const frame = document.createElement("iframe");
            frame.sandbox = "allow-scripts";  // without an origin: as strict as a browser that blocks all cookies
            frame.src = "/framed";
            document.body.append(frame);
        }"""
    )
    assert len(shop.arrived(since, "/framed", 1)) == 1
    assert problems == []


def test_what_waits_when_the_storage_fills_up_is_sent_and_so_is_what_comes_then(
    shop: Shop, context: BrowserContext, broker: Broker
) -> None:
    since = broker.ends("events.page_view")
    page = shop.visit(context, "/full/start")
    emptied(page)
    context.set_offline(True)
    with page.expect_event("requestfailed"):
        page.evaluate("history.pushState({}, '', '/full/before')")
        fill(page)
        page.evaluate("history.pushState({}, '', '/full/then')")
    assert page.evaluate(QUEUE) == 1, "what was tried in vain is still where the next page finds it"
    context.set_offline(False)
    shop.arrived(since, "/full/", 3)
    page.evaluate("history.pushState({}, '', '/full/after')")
    views = shop.arrived(since, "/full/", 4)
    assert len({v["data"]["visitor_id"] for v in views}) == 1


def test_a_full_session_storage_silences_no_page(shop: Shop, context: BrowserContext, broker: Broker) -> None:
    since = broker.ends("events.page_view")
    shop.attributes = 'crossorigin data-region="DE"'
    page = shop.visit(context, "/room/start")
    emptied(page)
    fill(page)
    page.evaluate("watershed.consent(true)")
    page.evaluate("history.pushState({}, '', '/room/next')")
    shop.arrived(since, "/room/", 2)


def test_a_refusal_holds_when_the_storage_is_full_at_the_next_load(
    shop: Shop, context: BrowserContext, broker: Broker
) -> None:
    since = broker.ends("events.page_view")
    page = shop.visit(context, "/holds/given")
    emptied(page)
    page.evaluate("watershed.consent(false)")
    fill(page)
    shop.go(page, "/holds/refused")
    given, refused = shop.arrived(since, "/holds/", 2)
    assert set(given["data"]) >= IDS
    assert not IDS & set(refused["data"])


def test_a_refusal_where_the_storage_is_full_is_remembered_and_takes_the_ids_away(
    shop: Shop, context: BrowserContext, broker: Broker
) -> None:
    since = broker.ends("events.page_view")
    page = shop.visit(context, "/taken-back/given")
    emptied(page)
    fill(page)
    page.evaluate("history.pushState({}, '', '/taken-back/full')")
    shop.arrived(since, "/taken-back/", 2)
    page.evaluate("watershed.consent(false)")
    assert page.evaluate("[localStorage['watershed.visitor'], sessionStorage['watershed.session']]") == [None, None]
    shop.go(page, "/taken-back/refused")
    *_, refused = shop.arrived(since, "/taken-back/", 3)
    assert refused["data"]["page_name"] == "/taken-back/refused"
    assert not IDS & set(refused["data"])


def test_a_damaged_entry_is_taken_away_and_stops_nothing(shop: Shop, context: BrowserContext, broker: Broker) -> None:
    since = broker.ends("events.page_view")
    page = shop.visit(context, "/damaged/start")
    emptied(page)
    page.evaluate(
        """() => ["null", "7", "{", '[0]'].forEach((text, n) => {
            localStorage["watershed.q." + (Date.now() - 1000) + "." + n] = text;
        })"""
    )
    page.evaluate("watershed.consent(false)")
    shop.go(page, "/damaged/next")
    shop.arrived(since, "/damaged/", 2)
    emptied(page)
    assert page.evaluate(QUEUE) == 0
