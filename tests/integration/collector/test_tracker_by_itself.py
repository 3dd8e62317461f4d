"""The tracker's own promises, in a real browser: consent, bounds, pauses, and what it does with odd answers."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Error, Page

from tests.integration.collector.browser_kit import CHROMIUM, QUEUE, chromium, emptied
from tests.integration.collector.tracked_site import (
    STILL,
    WAITING,
    Answer,
    Events,
    Site,
    accepted,
    open_site,
    refused,
)

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
PUSH = "path => history.pushState({}, '', path)"
IDS = {"visitor_id", "session_id"}


@pytest.fixture(scope="module")
def opened() -> Iterator[Site]:
    with open_site() as site:
        yield site


@pytest.fixture
def site(opened: Site) -> Site:
    opened.attributes, opened.answer, opened.tags = 'data-consent="given"', accepted, 1
    opened.heard = []
    return opened


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as launched:
        yield launched


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    made = browser.new_context()
    made.add_init_script(STILL)
    yield made
    made.close()


def track(page: Page, path: str, count: int, size: int = 1) -> None:
    page.evaluate(
        """([path, count, size]) => {
            for (let n = 0; n < count; n++)
                watershed.track("page_view", {page_name: path + "/" + n, referrer: "x".repeat(size)});
        }""",
        [path, count, size],
    )


def failed(page: Page) -> float:
    """Milliseconds that the tracker waits after the request that has just failed."""
    page.wait_for_function(f"{WAITING} > Date.now()")
    left: float = page.evaluate(f"{WAITING} - Date.now()")
    return left


def test_what_the_visitor_said_counts_before_what_the_page_says_and_after_a_reload(
    site: Site, context: BrowserContext
) -> None:
    page = site.visit(context, "/said/1")
    assert set(site.wait_for_page("/said/1")["data"]) >= IDS
    emptied(page)
    page.evaluate("watershed.consent(false)")
    page.evaluate(PUSH, "/said/2")
    site.wait_for_page("/said/2")
    page.goto(site.url + "/said/3")
    for name in ("/said/2", "/said/3"):
        assert not IDS & set(site.wait_for_page(name)["data"]), name
    emptied(page)
    assert page.evaluate("Object.keys(localStorage).concat(Object.keys(sessionStorage))") == ["watershed.consent"]


def test_who_consents_anew_is_another_visitor(site: Site, context: BrowserContext) -> None:
    page = site.visit(context, "/anew/1")
    before = site.wait_for_page("/anew/1")["data"]
    emptied(page)
    page.evaluate("watershed.consent(false); watershed.consent(true)")
    page.evaluate(PUSH, "/anew/2")
    after = site.wait_for_page("/anew/2")["data"]
    assert before["visitor_id"] != after["visitor_id"]
    assert before["session_id"] != after["session_id"]


def test_what_waits_for_consent_is_bounded_too(site: Site, context: BrowserContext) -> None:
    site.attributes = 'data-consent="required" data-views="off"'
    context.add_init_script(
        """window.held = 0;
        const push = Array.prototype.push;
        Array.prototype.push = function (...items) {
            const length = push.apply(this, items);
            if (items[0] && items[0].event_type) held = Math.max(held, length);
            return length;
        };"""
    )
    page = site.visit(context, "/")
    track(page, "/asked", 260)
    assert page.evaluate("held") == 201, "the newest, and then the oldest went"
    page.evaluate("timers(20)")
    assert page.evaluate("localStorage.length") == 0 and site.heard == []
    page.evaluate("watershed.consent(true)")
    emptied(page)
    assert len(site.pages()) == 200
    assert set(site.pages()) == {f"/asked/{n}" for n in range(60, 260)}, "the newest"


def test_pauses_double_up_to_five_minutes_and_differ_and_every_try_is_the_same_events(
    site: Site, context: BrowserContext
) -> None:
    site.answer = refused(503)
    page = site.visit(context, "/doubling")
    factors = []
    for tried in range(11):
        pause, least = failed(page), 1000 * min(300, 2**tried)
        assert least <= pause < 1.5 * least, (tried, pause)
        factors.append(round(pause / least, 4))
        assert len(site.heard) == tried + 1, "nothing is sent before its time"
        site.answer = refused(503) if tried < 10 else accepted
        page.evaluate("ms => later(ms)", pause)
        site.wait_for(tried + 2)
    assert len(set(factors)) > 5, "browsers that were sent away together do not come back together"
    assert all(batch == site.heard[0] for batch in site.heard)
    emptied(page)
    # What went well ends the doubling.
    site.answer = refused(503)
    page.evaluate(PUSH, "/doubling/anew")
    assert failed(page) < 1500


def test_no_request_leaves_before_its_time_and_being_online_again_is_its_time(
    site: Site, context: BrowserContext
) -> None:
    site.answer = refused(429, {"Retry-After": "240"})
    page = site.visit(context, "/told")
    assert 240_000 <= failed(page) < 360_000
    site.answer = accepted
    page.evaluate(PUSH, "/told/more")
    page.evaluate("later(239e3)")
    page.evaluate("timers(20)")
    assert len(site.heard) == 1
    page.evaluate("dispatchEvent(new Event('online'))")
    site.wait_for_page("/told/more")
    emptied(page)
    assert page.evaluate(WAITING) == 0
    assert site.pages() == ["/told", "/told", "/told/more"]


def test_an_entry_taken_by_a_clock_that_was_ahead_is_not_held_back(site: Site, context: BrowserContext) -> None:
    site.answer = refused(503)
    page = site.visit(context, "/clock")
    pause = failed(page)
    page.evaluate(
        """() => {
            for (const key of Object.keys(localStorage).filter(name => name.startsWith("watershed.q."))) {
                const [until, to, event] = JSON.parse(localStorage[key]);
                localStorage[key] = JSON.stringify([Date.now() + 2 * 864e5, to, event]);
            }
        }"""
    )
    site.answer = accepted
    page.evaluate("ms => later(ms)", pause)
    emptied(page)
    assert site.pages() == ["/clock", "/clock"]


def test_batches_are_bounded_by_events_and_by_bytes(site: Site, context: BrowserContext) -> None:
    page = site.visit(context, "/")
    emptied(page)
    site.heard = []
    track(page, "/many", 120)
    emptied(page)
    assert [len(batch) for batch in site.heard] == [50, 50, 20]
    site.heard = []
    track(page, "/large", 20, size=2000)
    emptied(page)
    assert sum(len(batch) for batch in site.heard) == 20
    assert 2 <= len(site.heard) <= 3


def test_an_event_that_no_request_can_hold_is_the_callers_error_and_spoils_nothing(
    site: Site, context: BrowserContext
) -> None:
    page = site.visit(context, "/whole")
    with pytest.raises(Error, match="too large"):
        page.evaluate("watershed.track('page_view', {referrer: 'x'.repeat(40000)})")
    page.evaluate(PUSH, "/whole/2")
    emptied(page)
    assert site.pages() == ["/whole", "/whole/2"]


def test_an_event_that_an_answer_forgets_is_sent_again_and_no_other(site: Site, context: BrowserContext) -> None:
    def first_only(events: Events) -> Answer:
        return 200, {}, {"results": [{"status": "accepted"}]}

    site.attributes += ' data-views="off"'
    page = site.visit(context, "/")
    site.answer = first_only
    track(page, "/forgotten", 3)
    pause = failed(page)
    site.answer = accepted
    page.evaluate("ms => later(ms)", pause)
    emptied(page)
    assert len(site.heard[0]) == 3
    assert site.heard[1:] == [site.heard[0][1:]]


@pytest.mark.parametrize("body", [None, [], "no object", {"results": None}])
def test_an_answer_without_verdicts_is_no_delivery(site: Site, context: BrowserContext, body: Any) -> None:
    site.answer = lambda _: (200, {}, body)
    page = site.visit(context, "/verdictless")
    pause = failed(page)
    assert page.evaluate(QUEUE) == 1
    site.answer = accepted
    page.evaluate("ms => later(ms)", pause)
    emptied(page)
    assert site.heard[0] == site.heard[1]


def test_a_request_without_an_answer_is_given_up_and_sent_again(site: Site, context: BrowserContext) -> None:
    context.add_init_script(
        """const real = AbortSignal.timeout.bind(AbortSignal);
        let tries = 0;
        AbortSignal.timeout = ms => real(tries++ ? ms : 300);"""
    )
    context.route("**/events?key=*", lambda _: None)
    page = site.visit(context, "/mute")
    pause = failed(page)
    context.unroute_all()
    page.evaluate("ms => later(ms)", pause)
    emptied(page)
    assert site.pages()
    assert all(batch == site.heard[0] for batch in site.heard), "the same event, in whichever request it arrived"


def test_a_page_that_goes_sends_what_it_has_without_another_page_to_do_it(site: Site, context: BrowserContext) -> None:
    page = site.visit(context, "/going")
    emptied(page)
    page.evaluate("window.setTimeout = () => 0")  # no timer comes to help
    track(page, "/going", 3)
    page.goto("about:blank")
    site.wait_for_page("/going/2")


def test_requests_outlive_their_page_and_carry_no_cookie(site: Site, context: BrowserContext) -> None:
    page = site.visit(context, "/kept")
    emptied(page)
    track(page, "/kept", 2)
    page.evaluate(
        """() => {
            Object.defineProperty(document, 'hidden', {value: true});
            dispatchEvent(new Event('visibilitychange'));
        }"""
    )
    emptied(page)
    sent = page.evaluate("window.sent")
    assert len(sent) == 2
    assert {(one["keepalive"], one["credentials"]) for one in sent} == {(True, "omit")}


def test_entries_for_two_addresses_are_two_requests_and_damaged_ones_are_none(
    site: Site, context: BrowserContext
) -> None:
    urls: list[str] = []
    page = site.visit(context, "/addressed")
    emptied(page)
    site.heard = []
    page.on(
        "request", lambda request: urls.append(request.url.rpartition("=")[2]) if "/events" in request.url else None
    )
    page.evaluate(
        """() => {
            for (const n of [1, 2, 3, 4]) {
                const event = {event_type: "page_view", event_id: "id-" + n, data: {page_name: "/addressed/" + n}};
                const to = location.origin + "/events?key=" + (n % 2 ? "odd" : "even");
                localStorage["watershed.q." + Date.now() + ".id-" + n] = JSON.stringify([0, to, event]);
            }
            localStorage["watershed.q." + Date.now() + ".damaged"] = "{";
        }"""
    )
    page.evaluate(PUSH, "/addressed/5")
    emptied(page)
    assert sorted(urls) == ["even", "k", "odd"]
    assert sorted(tuple(event["data"]["page_name"] for event in batch) for batch in site.heard) == [
        ("/addressed/1", "/addressed/3"),
        ("/addressed/2", "/addressed/4"),
        ("/addressed/5",),
    ]


def test_full_storage_costs_nothing(site: Site, context: BrowserContext) -> None:
    page = site.visit(context, "/full/1")
    emptied(page)
    page.evaluate(
        """() => {
            for (let size = 1 << 22; size >= 1; size /= 2)
                try { for (let n = 0; ; n++) localStorage[size + "." + n] = "x".repeat(size); } catch (full) {}
        }"""
    )
    page.evaluate(PUSH, "/full/2")
    page.evaluate(PUSH, "/full/3")
    site.wait_for_page("/full/3")
    assert sorted(site.pages()) == ["/full/1", "/full/2", "/full/3"]


def test_a_tracker_that_is_there_twice_counts_once(site: Site, context: BrowserContext) -> None:
    site.tags = 2
    page = site.visit(context, "/twice")
    emptied(page)
    page.evaluate("timers(20)")
    assert site.pages() == ["/twice"]


def test_a_page_out_of_the_back_forward_cache_is_viewed_again(site: Site, context: BrowserContext) -> None:
    page = site.visit(context, "/cached")
    emptied(page)
    page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', {persisted: false}))")
    page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))")
    site.wait_for(2)
    emptied(page)
    assert site.pages() == ["/cached", "/cached"]
