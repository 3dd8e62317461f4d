"""The tracker in a real browser: what it says of a visit, and what it leaves out."""

import shutil
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext

from tests.integration.collector.browser_kit import CHROMIUM, PATIENCE, QUEUE, Shop, emptied, open_shop
from tests.integration.collector.harness import REPO, Broker, CollectorProcess, wait_until

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
STORED = "localStorage.length + sessionStorage.length"


def test_each_load_is_one_view_by_the_same_visitor(shop: Shop, context: BrowserContext, broker: Broker) -> None:
    since = broker.ends("events.page_view")
    page = context.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    shop.go(page, "/load/first?secret=1#also")
    emptied(page)  # what outlives its page is sent with the browser's own agent, not the context's
    page.goto(f"{shop.url}/load/second", referer=f"{shop.url}/load/first?secret=1")
    first, second = shop.arrived(since, "/load/", 2)
    assert problems == []
    assert first["data"]["page_name"] == "/load/first"
    assert first["data"]["region"] == "DE"
    assert first["data"]["device"] == "desktop"
    assert first["data"]["is_bot"] is False
    assert "secret" not in str(first["data"]) + str(second["data"])
    assert second["data"]["referrer"] == f"{shop.url}/load/first"
    assert first["data"]["visitor_id"] == second["data"]["visitor_id"]
    assert first["data"]["session_id"] == second["data"]["session_id"]
    assert first["event_id"] != second["event_id"]
    assert first["minted"] is False


def test_privacy_control_leaves_out_every_id_and_a_headless_browser_is_a_bot(
    shop: Shop, browser: Browser, broker: Broker
) -> None:
    since = broker.ends("events.page_view")
    context = browser.new_context()
    context.add_init_script("Object.defineProperty(navigator, 'globalPrivacyControl', {value: true})")
    page = shop.visit(context, "/quiet")
    (view,) = shop.arrived(since, "/quiet", 1)
    assert set(view["data"]) == {"region", "page_name", "device", "is_bot"}
    assert view["data"]["is_bot"] is True
    emptied(page)
    assert page.evaluate(STORED) == 0
    context.close()


def test_do_not_track_leaves_out_every_id(shop: Shop, context: BrowserContext, broker: Broker) -> None:
    since = broker.ends("events.page_view")
    context.add_init_script("Object.defineProperty(navigator, 'doNotTrack', {value: '1'})")
    page = shop.visit(context, "/untracked")
    (view,) = shop.arrived(since, "/untracked", 1)
    assert not {"visitor_id", "session_id"} & set(view["data"])
    emptied(page)
    assert page.evaluate(STORED) == 0


def test_without_consent_a_view_counts_for_no_visitor(shop: Shop, context: BrowserContext, broker: Broker) -> None:
    since = broker.ends("events.page_view")
    shop.attributes = 'crossorigin data-region="DE"'
    page = shop.visit(context, "/unasked/1")
    shop.arrived(since, "/unasked/", 1)
    page.evaluate("watershed.consent(true)")
    shop.go(page, "/unasked/2")
    before, after = shop.arrived(since, "/unasked/", 2)
    assert not {"visitor_id", "session_id"} & set(before["data"])
    assert {"visitor_id", "session_id"} <= set(after["data"])


def test_where_consent_is_required_nothing_is_stored_or_sent_before(
    shop: Shop, context: BrowserContext, broker: Broker
) -> None:
    since = broker.ends("events.page_view")
    shop.attributes = 'crossorigin data-region="DE" data-consent="required"'
    page = context.new_page()
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    shop.go(page, "/asked/before")
    page.evaluate("history.pushState({}, '', '/asked/then')")
    page.evaluate("new Promise(done => setTimeout(done, 1000))")  # longer than the tracker waits to send
    assert not [url for url in requests if "/events" in url]
    assert page.evaluate(STORED) == 0
    page.evaluate("watershed.consent(true)")
    views = shop.arrived(since, "/asked/", 2)
    assert [v["data"]["page_name"] for v in views] == ["/asked/before", "/asked/then"]
    assert all("visitor_id" in v["data"] for v in views)
    emptied(page)
    page.evaluate("watershed.consent(false)")
    page.evaluate("history.pushState({}, '', '/asked/after')")
    assert page.evaluate(QUEUE) == 0
    assert page.evaluate("Object.keys(localStorage).concat(Object.keys(sessionStorage))") == ["watershed.consent"]


def test_what_happens_after_a_refusal_stays_unsaid_whatever_is_agreed_later(
    shop: Shop, context: BrowserContext, broker: Broker
) -> None:
    since = broker.ends("events.page_view")
    shop.attributes = 'crossorigin data-region="DE" data-consent="required"'
    page = shop.visit(context, "/unsaid/before")
    page.evaluate("watershed.consent(false)")
    page.evaluate("history.pushState({}, '', '/unsaid/refused')")
    shop.go(page, "/unsaid/loaded")
    page.evaluate("watershed.consent(true)")
    page.evaluate("history.pushState({}, '', '/unsaid/agreed')")
    emptied(page)
    assert [v["data"]["page_name"] for v in shop.arrived(since, "/unsaid/", 1)] == ["/unsaid/agreed"]


def test_withdrawn_consent_takes_the_ids_from_what_still_waits(
    shop: Shop, context: BrowserContext, broker: Broker
) -> None:
    since = broker.ends("events.page_view")
    page = shop.visit(context, "/withdrawn/1")
    emptied(page)
    context.set_offline(True)
    page.evaluate("history.pushState({}, '', '/withdrawn/2')")
    assert page.evaluate(QUEUE) == 1
    page.evaluate("watershed.consent(false)")
    context.set_offline(False)
    first, second = shop.arrived(since, "/withdrawn/", 2)
    assert "visitor_id" in first["data"]
    assert not {"visitor_id", "session_id"} & set(second["data"])


def test_in_a_single_page_application_each_new_path_is_a_view(
    shop: Shop, context: BrowserContext, broker: Broker
) -> None:
    since = broker.ends("events.page_view")
    page = shop.visit(context, "/spa/1")
    page.evaluate("history.pushState({}, '', '/spa/2')")
    page.evaluate("history.pushState({}, '', '/spa/2?sorted=1')")  # the same page, otherwise shown
    page.evaluate("history.replaceState({}, '', '/spa/3')")
    page.evaluate("new Promise(done => { addEventListener('popstate', done); history.go(-2) })")
    page.evaluate("history.pushState({}, '', '/spa/4')")
    views = shop.arrived(since, "/spa/", 5)
    assert [v["data"]["page_name"] for v in views] == ["/spa/1", "/spa/2", "/spa/3", "/spa/1", "/spa/4"]
    assert views[1]["data"]["referrer"] == f"{shop.url}/spa/1"
    assert len({v["data"]["visitor_id"] for v in views}) == 1


def test_views_can_be_left_to_the_page_and_early_calls_are_kept(
    shop: Shop, context: BrowserContext, broker: Broker
) -> None:
    since = broker.ends("events.page_view")
    shop.attributes += ' data-views="off"'
    shop.early = "window.watershed = [['track', 'page_view', {page_name: '/own/early'}]]"
    page = shop.visit(context, "/own/load")
    page.evaluate("history.pushState({}, '', '/own/pushed')")
    event_id = page.evaluate("watershed.track('page_view', {page_name: '/own/late', region: 'FR'})")
    early, late = shop.arrived(since, "/own/", 2)
    assert (early["data"]["page_name"], late["data"]["page_name"]) == ("/own/early", "/own/late")
    assert late["event_id"] == event_id
    assert late["data"]["region"] == "FR"


def test_of_a_batch_what_is_refused_is_given_up_and_the_rest_is_counted(
    shop: Shop, context: BrowserContext, broker: Broker
) -> None:
    since, refused = broker.ends("events.page_view"), broker.ends("rejected_events")
    page = context.new_page()
    statuses: list[int] = []
    page.on("response", lambda answer: statuses.append(answer.status) if "/events" in answer.url else None)
    shop.early = "window.watershed = [['track', 'purchase', {app_id: 'a'}], ['track', 'page_view', {device: 'fridge'}]]"
    shop.go(page, "/mixed")
    (view,) = shop.arrived(since, "/mixed", 1)
    assert view["data"]["device"] == "desktop"
    emptied(page)
    assert statuses == [207]
    assert len(broker.read("rejected_events", refused)) == 2


@pytest.mark.parametrize(
    ("zone", "locale", "region"),
    [
        ("Europe/Vienna", "en-US", "AT"),
        ("America/Argentina/Cordoba", "es-ES", "AR"),
        ("Asia/Calcutta", "en-GB", "IN"),
        ("Australia/Lord_Howe", "en-US", "AU"),
        ("Pacific/Apia", "de-CH", "CH"),  # not in the table: the locale's
        ("Pacific/Apia", "de", "ZZ"),
        ("UTC", "en-US", "ZZ"),  # a machine, or somebody who hides
    ],
)
def test_the_region_is_the_time_zones_else_the_locales(
    shop: Shop, browser: Browser, zone: str, locale: str, region: str
) -> None:
    shop.attributes = "crossorigin"
    context = browser.new_context(timezone_id=zone, locale=locale)
    page = shop.visit(context, "/region")
    assert page.evaluate("watershed.region") == region
    emptied(page)
    context.close()


def test_without_crossorigin_a_view_is_sent_once_and_no_answer_is_read(
    shop: Shop, context: BrowserContext, broker: Broker
) -> None:
    since = broker.ends("events.page_view")
    shop.attributes = 'data-region="DE"'
    page = shop.visit(context, "/blind")
    emptied(page)
    assert len(shop.arrived(since, "/blind", 1)) == 1


def test_an_event_of_one_s_own_arrives_once_its_contract_lets_browsers_send_it(
    broker: Broker, context: BrowserContext, tmp_path: Path
) -> None:
    contracts = tmp_path / "contracts"
    shutil.copytree(REPO / "contracts", contracts)
    signup = contracts / "signup" / "v1.schema.json"
    signup.write_text(signup.read_text().replace('"browser": false', '"browser": true'))
    collector = CollectorProcess(broker.login, tmp_path, {"CONTRACTS_DIR": str(contracts)})
    since = broker.ends("events.signup")
    with open_shop(collector, broker) as shop:
        shop.attributes = 'crossorigin data-views="off"'
        page = shop.visit(context, "/joined")
        data = "{user_id: 'u-1', region: 'DE', plan: 'free', channel: 'organic'}"
        event_id = page.evaluate(f"watershed.track('signup', {data})")
        emptied(page)
        wait_until(lambda: broker.read("events.signup", since), PATIENCE, "the sign-up")
    (message,) = broker.read("events.signup", since)
    assert (message["event_id"], message["data"]["plan"]) == (event_id, "free")
    assert collector.stop() == 0
