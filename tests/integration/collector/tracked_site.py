"""A site that serves the tracker and answers its requests as a test says, and a page's clock that the test moves.

No broker and no collector: what the tracker does by itself is cheap to try here, however long its pauses are.
"""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from playwright.sync_api import BrowserContext, Page

from collector.tracker_build import BUILT
from tests.integration.collector.browser_kit import PATIENCE
from tests.integration.collector.harness import wait_until

Events = list[dict[str, Any]]
Answer = tuple[int, dict[str, str], Any]

WAITING = "Number(localStorage['watershed.wait'] || 0)"
STILL = """(() => {
    let now = Date.now();
    Date.now = () => now;
    window.later = ms => { now += ms };
    const wait = setTimeout, post = fetch;
    window.setTimeout = (work, ms) => wait(work, Math.min(ms, 5));
    window.sent = [];
    window.fetch = (to, how) => {
        window.sent.push({at: now, keepalive: how.keepalive, credentials: how.credentials});
        return post(to, how);
    };
    window.timers = count => new Promise(done => {
        const next = left => left ? wait(() => next(left - 1), 5) : done();
        next(count);
    });
})()"""
"""Date.now stands still but for ``later(ms)``; timers come at once, so that only Date.now holds anything back; ``sent``
says when requests were made; ``timers(n)`` ends when ``n`` timers came one after another."""


def accepted(events: Events) -> Answer:
    return 200, {}, {"results": [{"status": "accepted"} for _ in events]}


def refused(status: int, headers: dict[str, str] | None = None) -> Callable[[Events], Answer]:
    return lambda _: (status, headers or {}, {"error": "so"})


@dataclass
class Site:
    """``attributes``: of the tracker's tag, after its key. ``heard``: the events of each request, by when it came."""

    url: str = ""
    attributes: str = ""
    answer: Callable[[Events], Answer] = accepted
    heard: list[Events] = field(default_factory=list)
    tags: int = 1

    def visit(self, context: BrowserContext, path: str) -> Page:
        page = context.new_page()
        page.goto(self.url + path)
        page.wait_for_function("typeof (window.watershed || {}).track === 'function'")
        return page

    def pages(self) -> list[str]:
        """Of every view that was sent."""
        return [event["data"]["page_name"] for batch in self.heard for event in batch]

    def wait_for(self, requests: int) -> None:
        wait_until(lambda: len(self.heard) >= requests, PATIENCE, f"{requests} requests")

    def wait_for_page(self, name: str) -> dict[str, Any]:
        """The view of a page, when it has come."""
        wait_until(lambda: name in self.pages(), PATIENCE, f"the view of {name}")
        return next(event for batch in self.heard for event in batch if event["data"]["page_name"] == name)


@contextmanager
def open_site() -> Iterator[Site]:
    site = Site()
    script = BUILT.read_bytes()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            tag = f'<script src="/tracker.js" data-key="k" data-region="DE" {site.attributes}></script>'
            page = f"<!doctype html><title>site</title><link rel=icon href=data:,>{tag * site.tags}"
            found = (script, "text/javascript") if self.path == "/tracker.js" else (page.encode(), "text/html")
            self._send(200, {"Content-Type": found[1]}, found[0])

        def do_POST(self) -> None:
            events = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, headers, body = site.answer(events)
            site.heard.append(events)
            self._send(status, headers, json.dumps(body).encode())

        def _send(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    site.url = f"http://localhost:{server.server_address[1]}"
    yield site
    server.shutdown()
    server.server_close()
    thread.join()
