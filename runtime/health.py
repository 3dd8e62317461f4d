"""Live, ready and metrics over HTTP for processes that do not speak HTTP otherwise."""

import json
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, generate_latest

ReadyCheck = Callable[[], dict[str, str]]
"""Gives the reasons why the process is not ready, by part; empty when it is."""


class HealthServer:
    """Serves ``/health/live``, ``/health/ready`` (503 and the reasons when not ready) and ``/metrics``."""

    def __init__(self, host: str, port: int, not_ready: ReadyCheck) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path == "/health/live":
                    self._answer(HTTPStatus.OK, "application/json", b'{"status":"live"}')
                elif self.path == "/health/ready":
                    reasons = not_ready()
                    status = HTTPStatus.SERVICE_UNAVAILABLE if reasons else HTTPStatus.OK
                    body = {"status": "not ready" if reasons else "ready", "reasons": reasons}
                    self._answer(status, "application/json", json.dumps(body).encode())
                elif self.path == "/metrics":
                    self._answer(HTTPStatus.OK, CONTENT_TYPE_LATEST, generate_latest(REGISTRY))
                else:
                    self._answer(HTTPStatus.NOT_FOUND, "application/json", b'{"error":"not found"}')

            def _answer(self, status: HTTPStatus, content_type: str, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", content_type)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Health checks are not worth a log line each."""

        self._server = ThreadingHTTPServer((host, port), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, name="health", daemon=True)

    def start(self) -> None:
        """Answer from a thread of its own until :meth:`stop`."""
        self._thread.start()

    def stop(self) -> None:
        """Stop answering and free the port."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
