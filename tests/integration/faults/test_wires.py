"""The tests' own tools break what they say they break: what they do to a connection is seen at both of its ends."""

import http.server
import socket
import threading
import time
from collections.abc import Iterator

import httpx
import pytest

from tests.faults.s3_wire import S3Wire
from tests.faults.wire import Wire


class Echo(http.server.BaseHTTPRequestHandler):
    """Answers with what it was sent, and counts."""

    protocol_version = "HTTP/1.1"
    heard: list[bytes]

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.heard.append(body)
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@pytest.fixture
def heard() -> list[bytes]:
    return []


@pytest.fixture
def server(heard: list[bytes]) -> Iterator[tuple[str, int]]:
    made = http.server.ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Echo,), {"heard": heard}))
    thread = threading.Thread(target=made.serve_forever)
    thread.start()
    yield "127.0.0.1", made.server_address[1]
    made.shutdown()
    made.server_close()
    thread.join()


@pytest.fixture
def wire(server: tuple[str, int]) -> Iterator[S3Wire]:
    made = S3Wire(*server)
    yield made
    made.close()


def put(http: httpx.Client, wire: Wire, body: bytes = b"x" * 300_000) -> httpx.Response:
    return http.put(f"http://127.0.0.1:{wire.port}/", content=body)


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    with httpx.Client(trust_env=False, timeout=10) as made:
        yield made


def test_a_whole_wire_passes_everything_on(wire: S3Wire, client: httpx.Client) -> None:
    assert put(client, wire).content == b"x" * 300_000


def test_a_cut_wire_takes_nothing_until_it_is_mended(wire: S3Wire, client: httpx.Client, heard: list[bytes]) -> None:
    put(client, wire)
    wire.cut()
    with pytest.raises(httpx.TransportError):
        put(client, wire)
    wire.mend()
    assert put(client, wire).status_code == 200
    assert len(heard) == 2


def test_who_meets_with_a_broken_wire_is_counted(wire: S3Wire, client: httpx.Client) -> None:
    put(client, wire)
    assert wire.met == 0
    wire.cut()
    broken = wire.met
    assert broken > 0, "the connection that was open"
    with pytest.raises(httpx.TransportError):
        put(client, wire)
    assert wire.met > broken
    wire.mend()
    wire.stall()
    before = wire.met
    with httpx.Client(trust_env=False, timeout=0.5) as hasty, pytest.raises(httpx.TimeoutException):
        put(hasty, wire)
    assert wire.met > before


def test_a_stalled_wire_keeps_what_was_sent(wire: S3Wire, heard: list[bytes]) -> None:
    wire.stall()
    with httpx.Client(trust_env=False, timeout=0.5) as hasty, pytest.raises(httpx.TimeoutException):
        put(hasty, wire, b"small")
    assert heard == []
    answers: list[httpx.Response] = []
    with httpx.Client(trust_env=False, timeout=30) as patient:
        waiting = threading.Thread(target=lambda: answers.append(put(patient, wire, b"patient")))
        waiting.start()
        wire.mend()
        waiting.join()
    assert [answer.content for answer in answers] == [b"patient"]


def test_a_slow_wire_takes_its_time(wire: S3Wire, client: httpx.Client) -> None:
    wire.slow(100, 0.05)
    started = time.monotonic()
    put(client, wire, b"x" * 1000)
    assert time.monotonic() - started > 0.5, "ten turns at least, either way"


def test_a_reset_is_seen_as_one(wire: S3Wire) -> None:
    with socket.create_connection(("127.0.0.1", wire.port), timeout=10) as client:
        client.sendall(b"PUT / HTTP/1.1\r\nContent-Length: 5\r\n\r\n12")
        time.sleep(0.2)
        wire.reset()
        with pytest.raises(ConnectionResetError):
            while client.recv(100):
                pass


def test_a_lost_reply_is_to_what_the_server_has_done(wire: S3Wire, client: httpx.Client, heard: list[bytes]) -> None:
    wire.lose_reply_to(b"COMMIT")
    assert put(client, wire, b"BEGIN").content == b"BEGIN"
    with pytest.raises(httpx.TransportError):
        put(client, wire, b"COMMIT")
    assert heard == [b"BEGIN", b"COMMIT"]
    assert wire.lost == 1
    assert put(client, wire, b"COMMIT").content == b"COMMIT", "once only"


@pytest.mark.parametrize("status", [500, 503])
def test_a_request_is_answered_in_the_servers_place(
    wire: S3Wire, client: httpx.Client, heard: list[bytes], status: int
) -> None:
    wire.answer(status)
    answer = put(client, wire)
    assert answer.status_code == status
    assert "<Code>" in answer.text
    assert heard == []
    wire.mend()
    assert put(client, wire).status_code == 200
    assert wire.answered == 1


def test_who_asks_for_headers_alone_is_answered_without_a_body_and_let_go(wire: S3Wire, client: httpx.Client) -> None:
    wire.answer(503)
    answer = client.head(f"http://127.0.0.1:{wire.port}/bucket/key")
    assert (answer.status_code, answer.text, answer.headers["Connection"]) == (503, "", "close")
    with socket.create_connection(("127.0.0.1", wire.port), timeout=10) as connection:
        connection.sendall(b"HEAD /bucket HTTP/1.1\r\nHost: s3\r\n\r\n")
        said = b"".join(iter(lambda: connection.recv(4096), b""))  # until the wire closes it
    assert said.startswith(b"HTTP/1.1 503")
    assert said.endswith(b"\r\n\r\n")
    assert wire.answered == 2


def test_a_broken_answer_is_to_what_the_server_has_done(wire: S3Wire, client: httpx.Client, heard: list[bytes]) -> None:
    wire.break_answers()
    with pytest.raises(httpx.TransportError):
        put(client, wire, b"done")
    assert heard == [b"done"]
