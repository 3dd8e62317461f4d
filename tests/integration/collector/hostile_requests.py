"""Hostile HTTP: compression, lengths, requests, keys; by the words that docs/bad-input.md has for them."""

import gzip
import zlib
from dataclasses import replace

from tests.integration.collector.harness import BROWSER_KEY, SERVER_KEY
from tests.integration.collector.hostile_kit import (
    EXPIRED_KEY,
    REVOKED_KEY,
    SERIAL,
    Hostile,
    accepted,
    chunked,
    rejected,
    request,
    text,
    view,
)

GOOD = text(view())
DATA = (view()["data"],)
KEEPS_NOT = b"Connection: close\r\n"
GZIP, CHUNKED = "Content-Encoding: gzip", "Transfer-Encoding: chunked"

BOMB = gzip.compress(bytes(50_000_000), mtime=0)


def packed(body: bytes, *lines: str) -> Hostile:
    return Hostile(request(body, GZIP, *lines))


def in_chunks(body: bytes, *lines: str, key: str = SERVER_KEY) -> Hostile:
    return Hostile(request(b"", CHUNKED, *lines, length=False, key=key) + body)


def long(*lines: str | bytes) -> Hostile:
    """A good event, with its length in the header lines given."""
    return Hostile(request(b"", *lines, length=False) + GOOD)


def headed(*lines: str | bytes) -> Hostile:
    return Hostile(request(GOOD, *lines))


def taken(sent: bytes) -> Hostile:
    return Hostile(sent, data=DATA)


COMPRESSION: dict[str, Hostile] = {
    "a bomb: 50 MB in 50 kB": packed(BOMB),
    "a bomb in chunks": in_chunks(chunked(BOMB), GZIP),
    "a bomb of many members": packed(gzip.compress(b" " * 20_000) * 2000),
    "a bomb within a bomb": Hostile(request(gzip.compress(BOMB), GZIP), texts=(BOMB,)),
    "49,000 empty members": packed(gzip.compress(b"") * 49_000),
    "an empty member": packed(gzip.compress(b"")),
    "gzip cut off": packed(gzip.compress(GOOD)[:-9]),
    "gzip with a wrong checksum": packed(gzip.compress(GOOD)[:-8] + b"\0" * 8),
    "gzip with something behind it": packed(gzip.compress(GOOD) + b"more"),
    "no gzip, but said to be": packed(GOOD),
    "gzip, not said to be": Hostile(
        request(gzip.compress(GOOD, mtime=0)), texts=(gzip.compress(GOOD, mtime=0),)
    ),
    "deflate": Hostile(request(zlib.compress(GOOD), "Content-Encoding: deflate")),
    "an encoding that is not read": headed("Content-Encoding: br"),
    "gzip twice, in one line": Hostile(request(gzip.compress(gzip.compress(GOOD)), "Content-Encoding: gzip, gzip")),
    "gzip twice, in two lines": packed(gzip.compress(gzip.compress(GOOD)), GZIP),
}  # fmt: skip

LENGTHS: dict[str, Hostile] = {
    "a length too small": Hostile(
        request(b"", "Content-Length: 20", length=False).replace(KEEPS_NOT, b"") + GOOD,
        texts=(GOOD[:20],),
    ),
    "a length too large, and the client leaves": replace(long(f"Content-Length: {len(GOOD) + 10}"), leaves=True),
    "a length too large, and the client waits": replace(long(f"Content-Length: {len(GOOD) + 10}"), hangs=True),
    "a body that comes a byte a second": Hostile(request(GOOD), drips=len(GOOD)),
    "a length of terabytes": long("Content-Length: 9999999999999"),
    "a length over 64 bits": long("Content-Length: " + "9" * 30),
    "a negative length": long("Content-Length: -1"),
    "a length with a sign": long(f"Content-Length: +{len(GOOD)}"),
    "a length in hexadecimal": long(f"Content-Length: {hex(len(GOOD))}"),
    "a length in digits beyond ASCII": long("Content-Length: \u00b2"),
    "two lengths": long(f"Content-Length: {len(GOOD)}", "Content-Length: 5"),
    "two lengths in one line": long(f"Content-Length: {len(GOOD)}, 5"),
    "a length, then chunks": taken(request(b"", "Content-Length: 5", CHUNKED, length=False) + chunked(GOOD)),
    "chunks, then a length": taken(request(b"", CHUNKED, "Content-Length: 5", length=False) + chunked(GOOD)),
    "a small length, then 30 MB in chunks": Hostile(
        request(b"", "Content-Length: 5", CHUNKED, length=False) + chunked(*[b" " * 100_000] * 300)
    ),
    "a second request hidden by two lengths": Hostile(
        request(b"", "Content-Length: 5", CHUNKED, length=False).replace(KEEPS_NOT, b"")
        + chunked()
        + request(GOOD)
    ),
    "30 MB in chunks": in_chunks(chunked(*[b" " * 100_000] * 300)),
    "a body over the bound": Hostile(request(b"[" + b" " * 1_000_000 + b"]")),
    "an encoding other than chunked last": long("Transfer-Encoding: chunked, identity"),
    "an encoding that only looks like chunked": long("Transfer-Encoding: xchunked"),
    "chunks in HTTP/1.0": Hostile(request(b"", CHUNKED, length=False, version="HTTP/1.0") + chunked(GOOD)),
    "a chunk's size that is no number": in_chunks(b"zz\r\n" + GOOD + b"\r\n0\r\n\r\n"),
    "a request hidden behind a bad chunk": Hostile(
        request(b"", CHUNKED, length=False).replace(KEEPS_NOT, b"") + b"zz\r\n" + request(GOOD)
    ),
    "a chunk's size over 64 bits": in_chunks(b"F" * 20 + b"\r\n" + GOOD),
    "a chunk longer than its size": in_chunks(b"5\r\n" + GOOD + b"\r\n0\r\n\r\n"),
    "chunks without an end": replace(in_chunks(chunked(GOOD, end=b"")), leaves=True),
    "chunks without an end, and the client waits": replace(in_chunks(chunked(GOOD, end=b"")), hangs=True),
    "chunks that come a byte a second": replace(in_chunks(chunked(*(b"%c" % byte for byte in GOOD))), drips=60),
    "a chunk with a note of 30,000 characters": in_chunks(b"1;" + b"a" * 30_000 + b"\r\n1\r\n0\r\n\r\n"),
    "chunks with trailers": in_chunks(chunked(GOOD, end=b"0\r\nX-Trailer: 1\r\n\r\n"), "Trailer: X-Trailer"),
    "a request of which only half a head comes": replace(Hostile(b"POST /events HTT"), leaves=True),
    "a head that comes a byte a second": Hostile(request(GOOD), drips=len(request(GOOD))),
    "neither a length nor chunks": long(),
}  # fmt: skip

REQUESTS: dict[str, Hostile] = {
    "HTTP/1.0": taken(request(GOOD, version="HTTP/1.0")),
    "HTTP/0.9": Hostile(b"GET /metrics\r\n\r\n"),
    "HTTP/2 without asking": Hostile(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    "a version that does not exist": Hostile(request(GOOD, version="HTTP/9.9")),
    "TLS": Hostile(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500)),
    "noise": Hostile(bytes(range(256)) * 4 + b"\r\n\r\n"),
    "a method in small letters": Hostile(request(GOOD, method="post")),
    "a method that does not exist": Hostile(request(GOOD, method="BREW")),
    "TRACE": Hostile(request(method="TRACE", length=False)),
    "GET with a body": Hostile(request(GOOD, method="GET")),
    "DELETE on what is read": Hostile(request(method="DELETE", target="/metrics")),
    "Expect: 100-continue": taken(request(GOOD, "Expect: 100-continue")),
    "Expect: something else": taken(request(GOOD, "Expect: magic")),
    "an upgrade to WebSocket": Hostile(
        request(
            b"",
            "Upgrade: websocket",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            "Sec-WebSocket-Version: 13",
            method="GET",
        )
    ),
    "an upgrade to HTTP/2": taken(request(GOOD, "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA")),
    "two slashes": Hostile(request(GOOD, target="//events")),
    "a slash behind": Hostile(request(GOOD, target="/events/")),
    "a path in capitals": Hostile(request(GOOD, target="/EVENTS")),
    "a way up": Hostile(request(GOOD, target="/events/../metrics")),
    "a way up to a file": Hostile(request(target="/../../../../etc/passwd", method="GET")),
    "a way up, escaped": Hostile(request(target="/%2e%2e/%2e%2e/etc/passwd", method="GET")),
    "an escaped letter": taken(request(GOOD, target="/%65vents")),
    "an escaped NUL": Hostile(request(GOOD, target="/events%00")),
    "an escape that is no UTF-8": Hostile(request(GOOD, target="/%ff%fe")),
    "an escape that is none": Hostile(request(GOOD, target="/%zz")),
    "a whole address": taken(request(GOOD, target="http://elsewhere.example/events")),
    "an asterisk": Hostile(request(target="*", method="OPTIONS")),
    "a path of 70,000 characters": Hostile(request(GOOD, target="/" + "a" * 70_000)),
    "a blank in the path": Hostile(request(GOOD, target="/events HTTP/1.1 x")),
    "no Host": taken(request(GOOD).replace(b"Host: collector\r\n", b"")),
    "two Hosts": taken(request(GOOD, "Host: elsewhere.example")),
    "101 headers": headed(*(f"X-{number}: 1" for number in range(101))),
    "a header of 5,000,000 characters": headed("X-Long: " + "a" * 5_000_000),
    "a header's name of 70,000 characters": headed("X-" + "a" * 70_000 + ": 1"),
    "a header without a colon": headed("nonsense"),
    "a blank before the colon": headed("Content-Type : application/json"),
    "a header continued on the next line": headed("X-Folded: a\r\n b"),
    "a NUL in a header": headed("X-Nul: a\0b"),
    "a carriage return in a header": headed("X-Return: a\rb"),
    "line ends without a carriage return": taken(request(GOOD).replace(b"\r\n", b"\n")),
    "a media type that is not read": headed("Content-Type: text/html"),
    "a form with files": headed("Content-Type: multipart/form-data; boundary=x"),
    "a media type beyond ASCII": headed("Content-Type: application/j\u00f6son"),
    "two media types": headed("Content-Type: application/json", "Content-Type: text/plain"),
    "an empty Idempotency-Key": headed("Idempotency-Key:"),
    "an Idempotency-Key of 256 characters": headed("Idempotency-Key: " + "k" * 256),
    "an Idempotency-Key beyond ASCII": headed("Idempotency-Key: \u00e4"),
    "two Idempotency-Keys": headed("Idempotency-Key: a", "Idempotency-Key: b"),
    "a line number of 5,000 digits": rejected(b"{}", "Watershed-Line: " + "9" * 5000),
    "an address of the client's choice": accepted(view(), "X-Forwarded-For: 1.2.3.4, ' OR 1=1"),
    "200 browsers of 300,000 characters": Hostile(
        request(GOOD, "User-Agent: " + "Mozilla " * 37_500 + SERIAL.decode(), key=BROWSER_KEY),
        data=({**DATA[0], "is_bot": False},),
        times=200,
    ),
    "an Origin of 100,000 characters": taken(request(GOOD, "Origin: https://" + "a" * 100_000)),
    "two requests at once, the second hostile": Hostile(
        request(GOOD).replace(KEEPS_NOT, b"") + request(b"{", method="POST"), texts=(b"{",), data=DATA
    ),
}  # fmt: skip

KEYS: dict[str, Hostile] = {
    "no key": Hostile(request(GOOD, key=None)),
    "an empty key": Hostile(request(GOOD, key="")),
    "a wrong key": Hostile(request(GOOD, key="wrong")),
    "a key of another installation": Hostile(request(GOOD, key="ws_server_" + "A" * 43)),
    "a revoked key": Hostile(request(GOOD, key=REVOKED_KEY)),
    "an expired key": Hostile(request(GOOD, key=EXPIRED_KEY)),
    "a key cut off": Hostile(request(GOOD, key=SERVER_KEY[:-1])),
    "a key in capitals": Hostile(request(GOOD, key=SERVER_KEY.upper())),
    "a key of 100,000 characters": Hostile(request(GOOD, key="k" * 100_000)),
    "SQL as a key": Hostile(request(GOOD, key="' OR '1'='1")),
    "a key beyond ASCII": Hostile(request(GOOD, "Authorization: Bearer \u00e4", key=None)),
    "Basic": Hostile(request(GOOD, f"Authorization: Basic {SERVER_KEY}", key=None)),
    "two keys, the first one good": headed("Authorization: Bearer wrong"),
    "two keys, the last one good": Hostile(
        request(GOOD, "Authorization: Bearer wrong", f"Authorization: Bearer {SERVER_KEY}", key=None)
    ),
    "a wrong key, and a good one in the query": Hostile(request(GOOD, key="wrong", target=f"/events?key={SERVER_KEY}")),
    "a key in the body": Hostile(request(text({**view(), "key": SERVER_KEY}), key=None)),
    "a key in X-Api-Key": Hostile(request(GOOD, f"X-Api-Key: {SERVER_KEY}", key=None)),
    "a key in a cookie": Hostile(request(GOOD, f"Cookie: key={SERVER_KEY}", key=None)),
    "a key in the address": Hostile(request(GOOD, key=None, target=f"http://user:{SERVER_KEY}@collector/events")),
    "a key in the query under another name": Hostile(request(GOOD, key=None, target=f"/events?Key={SERVER_KEY}")),
    "a browser's key for a type of servers": rejected(
        text({"event_type": "signup", "data": {"user_id": "u", "region": "DE", "channel": "web"}}), key=BROWSER_KEY
    ),
}  # fmt: skip
