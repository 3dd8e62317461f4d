"""The tracker in a real browser: one page view a load, from another origin, with the ids it promises and no more."""

import os
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.integration.collector.harness import BROWSER_KEY, Broker, CollectorProcess, wait_until

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
AGENT = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"
)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")


@pytest.fixture
def shop(collector: CollectorProcess) -> Iterator[str]:
    """A site of another origin that has the tracker on every page."""
    collector.start()

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            script = (
                f'<script async src="{collector.url}/tracker.js" data-key="{BROWSER_KEY}" data-region="DE"></script>'
            )
            body = f"<!doctype html><title>shop</title>{script}<p>shop</p>".encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://localhost:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield launched
        launched.close()


def views(broker: Broker, since: dict[int, int], count: int) -> list[dict[str, Any]]:
    wait_until(lambda: len(broker.read("events.page_view", since)) >= count, 20, f"{count} page views")
    return sorted(broker.read("events.page_view", since), key=lambda m: m["sequence"])


def test_each_load_is_one_view_by_the_same_visitor(shop: str, browser: Browser, broker: Broker) -> None:
    since = broker.ends("events.page_view")
    context = browser.new_context(user_agent=AGENT)
    page = context.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(f"{shop}/first?secret=1")
    views(broker, since, 1)
    page.goto(f"{shop}/second", referer=f"{shop}/first?secret=1")
    first, second = views(broker, since, 2)
    assert problems == []
    assert first["data"]["page_name"] == "/first"
    assert first["data"]["region"] == "DE"
    assert first["data"]["device"] == "desktop"
    assert first["data"]["is_bot"] is False
    assert "secret" not in str(first["data"]) + str(second["data"])
    assert second["data"]["referrer"] == f"{shop}/first"
    assert first["data"]["visitor_id"] == second["data"]["visitor_id"]
    assert first["event_id"] != second["event_id"]
    assert first["minted"] is False


def test_privacy_control_leaves_out_every_id_and_a_headless_browser_is_a_bot(
    shop: str, browser: Browser, broker: Broker
) -> None:
    since = broker.ends("events.page_view")
    context = browser.new_context()
    context.add_init_script("Object.defineProperty(navigator, 'globalPrivacyControl', {value: true})")
    page = context.new_page()
    page.goto(f"{shop}/quiet")
    (view,) = views(broker, since, 1)
    assert set(view["data"]) == {"region", "page_name", "device", "is_bot"}
    assert view["data"]["is_bot"] is True
    assert page.evaluate("localStorage.length + sessionStorage.length") == 0
