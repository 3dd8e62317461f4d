"""Alerts over real HTTP and real SMTP, into sinks of our own."""

import json
import os
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

WORDS = ["--dag", "load_rollups", "--task", "load", "--since", "2026-03-01T12:00:00+00:00", "--error", "no such table"]


class MailSink(socketserver.ThreadingTCPServer):
    """Takes mails as a server does (RFC 5321) and keeps them."""

    allow_reuse_address = True

    def __init__(self) -> None:
        self.mails: list[str] = []
        super().__init__(("127.0.0.1", 0), _Mail)


class _Mail(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        self._say("220 sink")
        while line := self.rfile.readline().decode().strip():
            word = line.split()[0].upper()
            if word == "DATA":
                self._say("354 go on")
                lines = list(iter(lambda: self.rfile.readline().decode(), ".\r\n"))
                self.server.mails.append("".join(lines))  # type: ignore[attr-defined]
            self._say("221 bye" if word == "QUIT" else "250 ok")
            if word == "QUIT":
                return

    def _say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())


@pytest.fixture
def mails() -> Iterator[MailSink]:
    sink = MailSink()
    threading.Thread(target=sink.serve_forever, daemon=True).start()
    yield sink
    sink.shutdown()
    sink.server_close()


@pytest.fixture
def posts() -> Iterator[tuple[str, list[dict[str, str]]]]:
    """The sink's URL and what was posted."""
    found: list[dict[str, str]] = []

    class Post(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            found.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing onto the terminal."""

    server = HTTPServer(("127.0.0.1", 0), Post)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/", found
    server.shutdown()
    server.server_close()


def mailed_by(sink: MailSink) -> dict[str, str]:
    return {"SMTP_HOST": "127.0.0.1", "SMTP_PORT": str(sink.server_address[1]), "SMTP_STARTTLS": "false"}


def notify(state: str, **settings: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from cli.main import main; main()", "notify", state, *WORDS, "--json"]
    env = {**os.environ, "WATERSHED_ROOM": "notify", **settings}
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=120)


def test_an_alert_reaches_the_webhook_and_the_mailbox_with_the_runbooks_link(mails, posts):
    url, posted = posts
    done = notify(
        "failed",
        ALERT_WEBHOOK_URL=url,
        ALERTS_TO="night@example.org, day@example.org",
        **mailed_by(mails),
        ALERT_RUNBOOK_URL="https://example.org/operations",
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == {"sent": 2, "failed": {}}
    (post,) = posted
    assert (post["state"], post["dag"], post["error"]) == ("failed", "load_rollups", "no such table")
    assert post["runbook"] == "https://example.org/operations#load_rollups-fails"
    (mail,) = mails.mails
    assert "Subject: Watershed: load_rollups.load failed" in mail
    assert "https://example.org/operations#load_rollups-fails" in mail
    assert "day@example.org" in mail


def test_a_recovery_says_so(posts):
    url, posted = posts
    assert notify("recovered", ALERT_WEBHOOK_URL=url).returncode == 0
    assert posted[0]["title"] == "Watershed: load_rollups.load works again"


def test_one_channel_that_refuses_does_not_keep_the_other_and_is_told(mails):
    done = notify(
        "failed",
        ALERT_WEBHOOK_URL="http://127.0.0.1:1/",
        ALERTS_TO="night@example.org",
        **mailed_by(mails),
    )
    assert done.returncode == 1
    assert list(json.loads(done.stdout.splitlines()[-1])["failed"]) == ["webhook"]
    assert len(mails.mails) == 1


def test_without_settings_an_alert_is_a_structured_line():
    done = notify("failed")
    assert done.returncode == 0
    (entry,) = [json.loads(line) for line in done.stderr.splitlines() if '"alert"' in line]
    assert (entry["level"], entry["dag"], entry["runbook"]) == (
        "error",
        "load_rollups",
        "docs/operations.md#load_rollups-fails",
    )
