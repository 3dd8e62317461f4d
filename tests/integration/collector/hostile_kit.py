"""Hostile requests as bytes, the documented answers to them (docs/bad-input.md), and a client that sends anything."""

import json
import re
import select
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from tests.integration.collector.harness import REPO, SERVER_KEY

PAGE = REPO / "docs" / "bad-input.md"
HEADER = "| sent | answer | because | kept |"
REVOKED_KEY, EXPIRED_KEY, NEIGHBOUR_KEY = "revoked-" + "k" * 40, "expired-" + "k" * 40, "neighbour-" + "k" * 40
NEIGHBOUR = "neighbour"
SERIAL = b"(serial)"
"""Stands in a request for its number among those of its row, in as many characters."""
_REASON = re.compile(r"`([A-Za-z_]+)`(?: at `([^`]*)`)?")
_COUNT = re.compile(r"(\d+) (event|rejection)s?")


@dataclass(frozen=True)
class Hostile:
    """What a client sends: raw bytes on a new connection, ``times`` over.

    ``texts`` are what ``rejected_events`` must hold of it, byte by byte; ``data`` what the events' topics must hold.
    ``hangs``: the client sends no more, and waits. ``leaves``: it sends no more, and says so. ``drips``: the last so
    many bytes come one a second, while there is no answer.
    """

    sent: bytes
    texts: tuple[bytes, ...] = ()
    data: tuple[dict[str, Any], ...] = ()
    times: int = 1
    hangs: bool = False
    leaves: bool = False
    drips: int = 0

    @property
    def takes_long(self) -> bool:
        return self.hangs or self.drips > 0


class Documented(NamedTuple):
    """A row of the page: the statuses in order, reasons (keyword, pointer) or the error, how much is kept.

    ``others``: there are reasons beside those that are named.
    """

    statuses: tuple[int, ...]
    because: frozenset[tuple[str, str]]
    others: bool
    events: int
    rejections: int


class Answer(NamedTuple):
    """One answer on a connection; ``body`` is None where there is none."""

    status: int
    headers: dict[str, str]
    body: Any

    def because(self) -> set[tuple[str, str]]:
        if self.body is None:
            return set()
        if "error" in self.body:
            return {(self.body["error"], "")}
        rejected = [result for result in self.body.get("results", ()) if result["status"] == "rejected"]
        return {(reason["keyword"], reason["pointer"]) for result in rejected for reason in result["reasons"]}


def documented(page: Path = PAGE) -> dict[str, Documented]:
    """The rows of every table of the page, by what is sent."""
    rows: dict[str, Documented] = {}
    inside = False
    for line in page.read_text().splitlines():
        inside = line == HEADER or (inside and line.startswith("|"))
        if not inside or line == HEADER or line.startswith("|---"):
            continue
        sent, answer, because, kept = (cell.strip() for cell in line.strip("|").split(" | "))
        assert sent not in rows, f"twice in {page.name}: {sent}"
        counts = {word: int(number) for number, word in _COUNT.findall(kept)}
        rows[sent] = Documented(
            tuple(int(status) for status in re.findall(r"\d{3}", answer)),
            frozenset(_REASON.findall(because)),
            "and more" in because,
            counts.get("event", 0),
            counts.get("rejection", 0),
        )
    return rows


def request(
    body: bytes = b"",
    *lines: str | bytes,
    target: str = "/events",
    method: str = "POST",
    key: str | None = SERVER_KEY,
    length: bool = True,
    version: str = "HTTP/1.1",
) -> bytes:
    """The bytes of one request, after which the connection may end; ``lines`` are headers as they are to be sent."""
    head: list[bytes] = [f"{method} {target} {version}".encode(), b"Host: collector", b"Connection: close"]
    if key is not None:
        head.append(f"Authorization: Bearer {key}".encode())
    if length:
        head.append(f"Content-Length: {len(body)}".encode())
    head += [line.encode("latin-1") if isinstance(line, str) else line for line in lines]
    return b"\r\n".join(head) + b"\r\n\r\n" + body


def chunked(*chunks: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    """A body in chunks."""
    return b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + end


def view(**more: Any) -> dict[str, Any]:
    """A page view that any key may send, without id and time."""
    return {"event_type": "page_view", "data": {"region": "DE", "page_name": "/", **more}}


def text(value: Any) -> bytes:
    return json.dumps(value).encode()


def rejected(body: bytes, *lines: str | bytes, **more: Any) -> Hostile:
    """A request that is one rejected event, kept as it was sent."""
    return Hostile(request(body, *lines, **more), texts=(body,))


def accepted(event: dict[str, Any], *lines: str | bytes, **more: Any) -> Hostile:
    """A request whose one event is accepted as it was sent."""
    return Hostile(request(text(event), *lines, **more), data=(event["data"],))


def send(port: int, hostile: Hostile, serial: int = 0) -> list[Answer]:
    """Everything the collector answers on one connection, until it ends it."""
    received = bytearray()
    with socket.create_connection(("127.0.0.1", port), timeout=90) as connection:
        try:
            sent = hostile.sent.replace(SERIAL, b"%08d" % serial)
            connection.sendall(sent[: len(sent) - hostile.drips])
            for byte in sent[len(sent) - hostile.drips :]:
                if select.select([connection], [], [], 1)[0]:
                    break  # there is an answer, or an end
                connection.sendall(bytes([byte]))
            if hostile.leaves:
                connection.shutdown(socket.SHUT_WR)
        except (BrokenPipeError, ConnectionResetError):
            pass  # answered, and closed, before it had all of it
        try:
            while part := connection.recv(1 << 16):
                received += part
        except ConnectionResetError:
            pass  # closed with something of ours unread
    return list(_answers(bytes(received)))


def _answers(received: bytes) -> Iterator[Answer]:
    while received:
        head, _, rest = received.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        size = int(headers.get("content-length", 0))
        body, received = rest[:size], rest[size:]
        status = int(first.split(" ")[1])
        if status == 100:
            continue
        is_json = headers.get("content-type") == "application/json"
        yield Answer(status, headers, json.loads(body) if body and is_json else None)


def instant(ahead: float = 0) -> str:
    """Now, or so many seconds later, as RFC 3339."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + ahead))
