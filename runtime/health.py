"""Live, ready and metrics over HTTP for processes that do not speak HTTP otherwise."""

import json
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, generate_latest

ReadyCheck = Callable[[], dict[str, str]]
"""Gives the reasons why the process is not ready, by part; empty when it is."""


class HealthAnswers(BaseHTTPRequestHandler):
    """Answers ``/health/live``, ``/health/ready`` (503 and the reasons when not ready) and ``/metrics``."""

    def answer_health(self, not_ready: ReadyCheck) -> bool:
        """Answer the request if it is for one of these; False when it is for something else."""
        path = self.path.split("?", 1)[0]
        if path == "/health/live":
            self.answer(HTTPStatus.OK, "application/json", b'{"status":"live"}')
        elif path == "/health/ready":
            reasons = not_ready()
            status = HTTPStatus.SERVICE_UNAVAILABLE if reasons else HTTPStatus.OK
            body = {"status": "not ready" if reasons else "ready", "reasons": reasons}
            self.answer(status, "application/json", json.dumps(body).encode())
        elif path == "/metrics":
            self.answer(HTTPStatus.OK, CONTENT_TYPE_LATEST, generate_latest(REGISTRY))
        else:
            return False
        return True

    def answer(self, status: HTTPStatus, content_type: str, body: bytes) -> None:
        """The whole answer at once."""
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Not worth a log line each: what goes wrong with a request is the client's to see."""


class HealthServer:
    """Serves health and metrics, and nothing else."""

    def __init__(self, host: str, port: int, not_ready: ReadyCheck) -> None:
        class Handler(HealthAnswers):
            def do_GET(self) -> None:
                if not self.answer_health(not_ready):
                    self.answer(HTTPStatus.NOT_FOUND, "application/json", b'{"error":"not found"}')

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
