"""A site with the tracker on every page, a real browser, and what arrived in Kafka of a visit."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from runtime.settings import SettingsError
from superset_config.screenshot import ChromiumSettings
from tests.integration.collector.harness import BROWSER_KEY, Broker, CollectorProcess, wait_until


def browser() -> Path | None:
    """The Chromium of ``CHROMIUM_PATH``; None where nobody names one and none is on the PATH.

    :raises SettingsError: the one that is named is not there: what was asked for is not skipped.
    """
    settings = ChromiumSettings.read()
    try:
        return settings.browser
    except SettingsError:
        if "chromium_path" in settings.model_fields_set:
            raise
        return None


CHROMIUM = browser()
AGENT = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"
)
QUEUE = "Object.keys(localStorage).filter(key => key.startsWith('watershed.q.')).length"
PATIENCE = 60
"""Seconds for what takes moments on a machine that is not busy."""


@dataclass
class Shop:
    """A site of another origin than the collector's. ``attributes``: of the tracker's tag, after address and key."""

    collector: CollectorProcess
    broker: Broker
    url: str = ""
    attributes: str = ""
    early: str = ""
    pages: list[Page] = field(default_factory=list)

    def page(self) -> bytes:
        tag = (
            f'<script async src="{self.collector.url}/tracker.js" data-key="{BROWSER_KEY}" {self.attributes}></script>'
        )
        return f"<!doctype html><title>shop</title><script>{self.early}</script>{tag}<p>shop</p>".encode()

    def visit(self, context: BrowserContext, path: str) -> Page:
        """Open ``path`` in a new tab, with the tracker at work."""
        page = context.new_page()
        self.go(page, path)
        return page

    def go(self, page: Page, path: str) -> None:
        page.goto(self.url + path)
        page.wait_for_function("typeof (window.watershed || {}).track === 'function'")

    def arrived(self, since: dict[int, int], prefix: str, count: int) -> list[dict[str, Any]]:
        """The views of pages under ``prefix``, as they occurred, when at least ``count`` different ones are there."""

        def found() -> list[dict[str, Any]]:
            messages = self.broker.read("events.page_view", since)
            return [m for m in messages if m["data"]["page_name"].startswith(prefix)]

        wait_until(lambda: len({m["event_id"] for m in found()}) >= count, PATIENCE, f"{count} views under {prefix}")
        return sorted(found(), key=lambda m: (m["occurred_at"], m["sequence"]))


def emptied(page: Page) -> None:
    """Wait until the tracker has nothing left to send."""
    page.wait_for_function(f"{QUEUE} === 0", timeout=PATIENCE * 1000)


@contextmanager
def open_shop(collector: CollectorProcess, broker: Broker) -> Iterator[Shop]:
    """Start the site, and the collector that lets its pages read answers."""
    shop = Shop(collector, broker)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = shop.page()
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    shop.url = f"http://localhost:{server.server_address[1]}"
    collector.start(COLLECTOR_CORS_ORIGINS=shop.url)
    yield shop
    server.shutdown()
    server.server_close()
    thread.join()


@contextmanager
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield launched
        launched.close()
