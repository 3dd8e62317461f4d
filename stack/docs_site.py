"""Serves the docs site, ``/dbt/`` and ``/data-docs/``, as files, with health and metrics beside them."""

import functools
import os
import signal
import threading
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from prometheus_client import Counter

from runtime import log
from runtime.health import HealthAnswers
from stack.docs_settings import DocsSettings

PAGES = {"dbt": "what the marts are made of", "data-docs": "what the gates found"}
REQUESTS = Counter("watershed_docs_requests_total", "Requests to the docs server", ["status"])
HOME = "<!doctype html><html lang=en><title>Watershed docs</title><h1>Watershed docs</h1><ul>{}</ul></html>".format(
    "".join(f'<li><a href="/{name}/">{name}</a>: {text}</li>' for name, text in PAGES.items())
).encode()


class Handler(HealthAnswers, SimpleHTTPRequestHandler):
    """Files below the site's two folders, and nothing else of the machine."""

    server_version = "watershed-docs"
    sys_version = ""

    def do_GET(self) -> None:
        """Answer health, metrics, the list of pages, or a file."""
        if self.answer_health(self._not_ready):
            return
        if self.path == "/":
            self.answer(HTTPStatus.OK, "text/html; charset=utf-8", HOME)
        elif self._is_page():
            super().do_GET()
        else:
            self.send_error(HTTPStatus.NOT_FOUND)

    def _not_ready(self) -> dict[str, str]:
        missing = [name for name in PAGES if not (Path(self.directory) / name / "index.html").exists()]
        return dict.fromkeys(missing, "not built: run `watershed docs build`")

    def do_HEAD(self) -> None:
        """As GET, for the site's files only."""
        if self._is_page():
            super().do_HEAD()
        else:
            self.send_error(HTTPStatus.NOT_FOUND)

    def _is_page(self) -> bool:
        """Whether the file meant, escapes and dots resolved, lies in one of the two folders."""
        file = Path(self.translate_path(self.path)).resolve()
        return any(file.is_relative_to((Path(self.directory) / name).resolve()) for name in PAGES)

    def list_directory(self, path: str | os.PathLike[str]) -> None:
        """No page, no answer."""
        del path
        self.send_error(HTTPStatus.NOT_FOUND)

    def end_headers(self) -> None:
        """Pages change with each build: browsers ask again, and mostly get a 304."""
        self.send_header("Cache-Control", "no-cache")
        self.send_header("X-Content-Type-Options", "nosniff")
        super().end_headers()

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Counted, not logged."""
        del size
        REQUESTS.labels(str(int(code)) if code != "-" else "-").inc()


def server(settings: DocsSettings) -> ThreadingHTTPServer:
    """The server, bound and not yet serving."""
    handler = functools.partial(Handler, directory=str(settings.site_dir))
    return ThreadingHTTPServer((settings.docs_host, settings.docs_port), handler)


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    log.configure("docs")
    settings = DocsSettings.read()
    site = server(settings)
    for stop_signal in (signal.SIGTERM, signal.SIGINT):
        # From a thread: shutdown() waits for the loop that this handler interrupts.
        signal.signal(stop_signal, lambda *_: threading.Thread(target=site.shutdown).start())
    log.get(__name__).info(
        "serving", url=f"http://{settings.docs_host}:{settings.docs_port}/", site=str(settings.site_dir)
    )
    site.serve_forever()
    site.server_close()


if __name__ == "__main__":
    main()
