"""The tracker in trouble, in a real browser: nothing is lost, nothing sent twice, and a refusal is final."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from playwright.sync_api import BrowserContext, Page, Route

from tests.integration.collector.browser_kit import CHROMIUM, QUEUE, Shop, emptied
from tests.integration.collector.harness import Broker

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
WAITING = "Number(localStorage['watershed.wait'] || 0)"


def track(page: Page, path: str, count: int, size: int = 1) -> None:
    """``count`` views of pages ``path/0`` and so on, each with a referrer of ``size`` bytes."""
    page.evaluate(
        """([path, count, size]) => {
            for (let n = 0; n < count; n++)
                watershed.track("page_view", {page_name: path + "/" + n, referrer: "x".repeat(size)});
        }""",
        [path, count, size],
    )


def answering(context: BrowserContext, shop: Shop, status: int, headers: dict[str, str] | None = None) -> list[str]:
    """Stand in for a collector that answers so; the bodies that it is sent."""
    bodies: list[str] = []

    def answer(route: Route) -> None:
        bodies.append(route.request.post_data or "")
        allowed = {"Access-Control-Allow-Origin": shop.url, "Access-Control-Expose-Headers": "Retry-After"}
        route.fulfill(status=status, headers={**allowed, **(headers or {})}, json={"error": "so"})

    context.route("**/events?key=*", answer)
    return bodies


def test_what_happens_offline_is_sent_once_when_the_browser_is_online_again(
    shop: Shop, context: BrowserContext, broker: Broker
) -> None:
    since = broker.ends("events.page_view")
    page = shop.visit(context, "/offline/start")
    emptied(page)
    context.set_offline(True)
    page.evaluate("history.pushState({}, '', '/offline/pushed')")
    track(page, "/offline", 120)
    page.wait_for_function(f"{WAITING} > 0")  # it was tried, in vain
    assert page.evaluate(QUEUE) == 121
    context.set_offline(False)
    assert len(shop.arrived(since, "/offline/", 122)) == 122
    emptied(page)


def test_a_collector_that_restarts_costs_nothing(shop: Shop, context: BrowserContext, broker: Broker) -> None:
    since = broker.ends("events.page_view")
    page = shop.visit(context, "/restart/start")
    emptied(page)
    shop.collector.kill()
    track(page, "/restart/down", 30)
    page.wait_for_function(f"{WAITING} > 0")
    shop.collector.start(COLLECTOR_PORT=str(shop.collector.port), COLLECTOR_CORS_ORIGINS=shop.url)
    track(page, "/restart/up", 30)
    assert len(shop.arrived(since, "/restart/", 61)) == 61


def test_what_a_closed_tab_left_is_sent_by_the_next_page(shop: Shop, context: BrowserContext, broker: Broker) -> None:
    since = broker.ends("events.page_view")
    page = shop.visit(context, "/closed/start")
    emptied(page)
    context.set_offline(True)
    track(page, "/closed", 40)
    page.close()
    context.set_offline(False)
    emptied(shop.visit(context, "/closed/next"))
    assert len({m["event_id"] for m in shop.arrived(since, "/closed/", 42)}) == 42


def test_a_tab_that_is_closed_at_once_loses_nothing(shop: Shop, context: BrowserContext, broker: Broker) -> None:
    since = broker.ends("events.page_view")
    page = shop.visit(context, "/leaving/start")
    track(page, "/leaving", 20, size=2000)  # more than the 64 KiB that may outlive a page, with what is on its way
    page.goto("about:blank")
    page.close()
    emptied(shop.visit(context, "/leaving/next"))
    views = shop.arrived(since, "/leaving/", 22)
    # Whose answer came after its page was gone is sent again: the same event, which counts once.
    assert len({m["event_id"] for m in views}) == 22


def test_a_hidden_page_sends_what_it_has_within_what_may_outlive_it(
    shop: Shop, context: BrowserContext, broker: Broker
) -> None:
    since = broker.ends("events.page_view")
    page = shop.visit(context, "/hidden/start")
    emptied(page)
    sizes: list[int] = []
    page.on("request", lambda request: sizes.append(len(request.post_data or "")) if "/events" in request.url else None)
    page.evaluate("Object.defineProperty(document, 'hidden', {value: true})")
    track(page, "/hidden", 30, size=1500)
    page.evaluate("dispatchEvent(new Event('visibilitychange'))")
    assert len(shop.arrived(since, "/hidden/", 31)) == 31
    emptied(page)
    assert len(sizes) > 1
    assert max(sizes) <= 32 * 1024


def test_what_a_hidden_page_has_taken_is_not_sent_by_a_timer_too(shop: Shop, context: BrowserContext) -> None:
    bodies: list[str] = []
    page = shop.visit(context, "/unanswered")
    emptied(page)
    context.route("**/events?key=*", lambda route: bodies.append(route.request.post_data or ""))  # no answer comes
    page.evaluate("Object.defineProperty(document, 'hidden', {value: true})")
    track(page, "/unanswered", 3)
    page.evaluate("dispatchEvent(new Event('visibilitychange'))")
    page.evaluate("new Promise(done => setTimeout(done, 1000))")  # longer than a timer waits to send
    assert "".join(bodies).count("/unanswered/0") == 1
    context.unroute_all()


def test_tabs_share_their_queue_and_send_nothing_twice(shop: Shop, context: BrowserContext, broker: Broker) -> None:
    since = broker.ends("events.page_view")
    one, other = shop.visit(context, "/tabs/one"), shop.visit(context, "/tabs/other")
    for round_ in range(5):
        track(one, f"/tabs/one/{round_}", 15)
        track(other, f"/tabs/other/{round_}", 15)
    emptied(one)
    assert len(shop.arrived(since, "/tabs/", 152)) == 152


def test_another_tab_sends_what_a_dead_one_had_taken(shop: Shop, context: BrowserContext, broker: Broker) -> None:
    since = broker.ends("events.page_view")
    page = shop.visit(context, "/taken/start")
    emptied(page)
    page.evaluate(
        """() => {
            const event = {event_type: "page_view", event_id: crypto.randomUUID(),
                           occurred_at: new Date().toISOString(), data: {region: "DE", page_name: "/taken/left"}};
            const key = "watershed.q." + Date.now() + "." + event.event_id;
            const tag = document.querySelector("script[data-key]");
            const to = tag.src.replace("/tracker.js", "/events?key=" + tag.dataset.key);
            localStorage[key] = JSON.stringify([Date.now() + 4000, to, event]);
        }"""
    )
    page.evaluate("history.pushState({}, '', '/taken/next')")
    views = shop.arrived(since, "/taken/", 3)
    assert [v["data"]["page_name"] for v in views] == ["/taken/start", "/taken/left", "/taken/next"]
    emptied(page)


@pytest.mark.parametrize("status", [400, 401, 403, 413, 415, 422])
def test_a_refusal_is_final(shop: Shop, context: BrowserContext, status: int) -> None:
    bodies = answering(context, shop, status)
    page = shop.visit(context, "/refused")
    emptied(page)
    assert len(bodies) == 1
    assert page.evaluate(WAITING) == 0


@pytest.mark.parametrize("status", [404, 408, 429, 500, 503])
def test_what_may_pass_is_tried_again_with_the_same_ids_and_not_before_its_time(
    shop: Shop, context: BrowserContext, broker: Broker, status: int
) -> None:
    since = broker.ends("events.page_view")
    bodies = answering(context, shop, status, {"Retry-After": "3"})
    page = shop.visit(context, "/again")
    page.wait_for_function(f"{WAITING} > Date.now() + 2000")
    due = page.evaluate(WAITING)
    shop.visit(context, "/again/tab")  # nor does another tab
    context.unroute_all()
    first = min(m["received_at"] for m in shop.arrived(since, "/again", 2))
    assert len(bodies) == 1
    assert first >= page.evaluate("due => new Date(due).toISOString()", due)[:19], (first, due)
    assert {m["event_id"] for m in shop.arrived(since, "/again", 2)} >= {bodies[0].split('"event_id":"')[1][:36]}


def test_the_queue_is_bounded_and_the_oldest_give_way(shop: Shop, context: BrowserContext, broker: Broker) -> None:
    since = broker.ends("events.page_view")
    page = shop.visit(context, "/bounded/start")
    emptied(page)
    context.set_offline(True)
    track(page, "/bounded", 260)
    assert page.evaluate(QUEUE) == 200
    context.set_offline(False)
    views = shop.arrived(since, "/bounded/", 201)
    numbers = {
        int(v["data"]["page_name"].rpartition("/")[2]) for v in views if not v["data"]["page_name"].endswith("start")
    }
    assert len(numbers) == 200


def test_what_is_older_than_the_collector_takes_is_given_up(shop: Shop, context: BrowserContext) -> None:
    page = shop.visit(context, "/old/start")
    emptied(page)
    page.evaluate(
        "localStorage['watershed.q.' + (Date.now() - 49 * 36e5) + '.x'] = JSON.stringify([0, '/nowhere', {}])"
    )
    page.evaluate("history.pushState({}, '', '/old/next')")
    emptied(page)


def test_what_happens_again_and_again_is_sent_while_it_does(
    shop: Shop, context: BrowserContext, broker: Broker
) -> None:
    since = broker.ends("events.page_view")
    page = shop.visit(context, "/steady/start")
    page.evaluate(
        """() => {
            let n = 0;
            setInterval(() => watershed.track("page_view", {page_name: "/steady/" + n++}), 100);
        }"""
    )
    shop.arrived(since, "/steady/", 30)
    page.close()


def test_a_date_to_come_back_at_is_kept_to_in_every_tab(shop: Shop, context: BrowserContext) -> None:
    at = datetime.now(UTC) + timedelta(minutes=2)
    bodies = answering(context, shop, 503, {"Retry-After": format_datetime(at, usegmt=True)})
    page = shop.visit(context, "/dated")
    page.wait_for_function(f"{WAITING} > 0")
    assert page.evaluate(WAITING) >= at.timestamp() // 1 * 1000 - 1000
    shop.visit(context, "/dated/tab")
    page.evaluate("new Promise(done => setTimeout(done, 1000))")  # longer than the tracker waits to send
    assert len(bodies) == 1


def test_a_pause_that_a_clock_far_ahead_left_is_over(shop: Shop, context: BrowserContext, broker: Broker) -> None:
    since = broker.ends("events.page_view")
    page = shop.visit(context, "/ahead/start")
    emptied(page)
    page.evaluate("localStorage['watershed.wait'] = Date.now() + 365 * 864e5")
    shop.go(page, "/ahead/next")
    shop.arrived(since, "/ahead/", 2)


def test_a_page_that_cannot_read_answers_gives_up_nothing_of_one_that_can(shop: Shop, context: BrowserContext) -> None:
    bodies = answering(context, shop, 503)
    page = shop.visit(context, "/read/kept")
    page.wait_for_function(f"{WAITING} > 0")
    page.evaluate("Object.defineProperty(document, 'hidden', {value: false})")  # or it would be sent as the page goes
    page.evaluate("delete localStorage['watershed.wait']")
    shop.attributes = 'data-region="DE"'
    shop.go(page, "/read/blind")
    page.wait_for_function(f"{WAITING} > 0")  # it sent what was there first, and knows that nobody took it
    assert len(bodies) > 1
    assert all("/read/kept" in body for body in bodies)
    assert "/read/kept" in page.evaluate("JSON.stringify(localStorage)")
    context.unroute_all()
