"""The HTTP side: routes, who may send, verdicts and answers. An RSGI application for Granian."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, Protocol

import msgspec

from collector.answers import JSON, Answer, Unavailable, Wait, judged, problem, refusal
from collector.flight import Flight
from collector.keys import KeyRing, WriteKey
from collector.limits import Buckets, Network, client_address
from collector.metrics import Metrics
from collector.parse import Limits, Refused, media_type, parse, read_body
from collector.publish import Publisher
from collector.receipts import ReceiptBook, ReceiptsFull, hour_of
from collector.verdict import Accepted, Judge, Rejected, Source
from runtime import log

_KEY_SHOWN = 255
_LINE = re.compile(r"[0-9]{1,18}")
_log = log.get(__name__)


class Headers(Protocol):
    """A request's headers, names in lower case."""

    def get(self, key: str, default: Any = None) -> Any: ...
    def get_all(self, key: str) -> list[str]: ...
    def __contains__(self, key: str) -> bool: ...


class Scope(Protocol):
    """What RSGI says of a request."""

    proto: str
    method: str
    path: str
    query_string: str
    client: str

    @property
    def headers(self) -> Headers: ...


class Exchange(Protocol):
    """RSGI's protocol object: the body, and the answer."""

    def __call__(self) -> Awaitable[bytes]: ...
    def __aiter__(self) -> AsyncIterator[bytes]: ...
    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None: ...


class Document(msgspec.Struct, frozen=True):
    """An answer to GET that only changes with a restart, or is made anew each time."""

    content_type: str
    body: Callable[[], tuple[int, bytes]]
    cache: str = "no-store"
    packed: bytes | None = None
    """The body as gzip, for clients that take it; only of a body that does not change."""


class App:
    """Everything one collector process does over HTTP."""

    def __init__(
        self,
        *,
        judge: Judge,
        keys: KeyRing,
        publisher: Publisher,
        book: ReceiptBook,
        metrics: Metrics,
        limits: Limits,
        key_buckets: Buckets,
        address_buckets: Buckets,
        proxies: tuple[Network, ...],
        origins: frozenset[str],
        types: frozenset[str],
        max_in_flight: int,
    ) -> None:
        self._judge, self._keys, self._publisher, self._book = judge, keys, publisher, book
        self._metrics, self._limits = metrics, limits
        self._key_buckets, self._address_buckets = key_buckets, address_buckets
        self._proxies, self._origins, self._types = proxies, origins, types
        self.documents: dict[str, Document] = {}
        """What GET answers, by path; set before the first request."""
        self._max_in_flight = max_in_flight
        self._last_us = 0
        self.in_flight = 0
        self.missing_topics: frozenset[str] = frozenset()
        self.refusing: str | None = None  # why no event is taken any more

    async def __rsgi__(self, scope: Scope, exchange: Exchange) -> None:
        """Answer one request."""
        if scope.proto != "http":
            return
        started = time.perf_counter()
        path, method = scope.path, scope.method
        cors = self._cors(scope)
        route = path
        if path in ("/events", "/page-view"):
            status, headers, body = await self._send(scope, exchange, cors)
        elif path in self.documents:
            status, headers, body = self._read(self.documents[path], method, scope.headers)
        else:
            route = "other"
            status, headers, body = 404, JSON, problem("not_found", f"there is nothing at {path[:100]}")
        exchange.response_bytes(status, headers + cors, b"" if method == "HEAD" else body)
        self._metrics.answered(route, status, time.perf_counter() - started)

    def now_us(self) -> int:
        """Microseconds since 1970; never less than before, whatever the machine's clock does."""
        self._last_us = max(self._last_us, time.time_ns() // 1000)
        return self._last_us

    async def _send(self, scope: Scope, exchange: Exchange, cors: list[tuple[str, str]]) -> Answer:
        if scope.method == "OPTIONS":
            return 204, _preflight() if len(cors) > 1 else [], b""
        if scope.method != "POST":
            return 405, [*JSON, ("allow", "POST, OPTIONS")], problem("method_not_allowed", "send events by POST")
        self.in_flight += 1
        try:
            return await self._take(scope, exchange)
        except (Refused, Wait, Unavailable) as reason:
            if isinstance(reason, Refused):
                self._book_refusal()
            return refusal(reason)
        except ReceiptsFull as full:
            return refusal(self._full(full))
        except Exception:
            _log.exception("a request failed", path=scope.path)
            return 500, JSON, problem("internal", "the collector failed on this request; its log says why")
        finally:
            self.in_flight -= 1

    def _book_refusal(self) -> None:
        try:
            self._book.refuse(hour_of(self.now_us()))
        except ReceiptsFull as full:
            self._full(full)  # the answer is the same; that of the next event is not

    def _full(self, full: ReceiptsFull) -> Unavailable:
        self.refusing = f"the receipts are full: {full}; restart the collector"
        _log.error("no more events are taken", reason=self.refusing)
        return Unavailable(self.refusing)

    async def _take(self, scope: Scope, exchange: Exchange) -> Answer:
        headers = scope.headers
        # Proxies add a line of their own behind what the client wrote: they are one list.
        address = client_address(scope.client, ",".join(headers.get_all("x-forwarded-for")) or None, self._proxies)
        _wait("address", self._address_buckets.take(address, 1))
        key = self._authorised(scope)
        type_ = media_type(_header(headers, "content-type"))
        encoding = _header(headers, "content-encoding")
        idempotency_key = _idempotency_key(_header(headers, "idempotency-key"))
        line = _line(headers.get("watershed-line"))
        try:
            async with asyncio.timeout(self._limits.body_seconds):
                body = await read_body(exchange, encoding, headers.get("content-length"), self._limits.body_bytes)
        except TimeoutError:
            raise Refused(408, "body_too_slow", f"no body within {self._limits.body_seconds:g} s") from None
        parsed = parse(body, type_, self._limits)
        _wait("key", self._key_buckets.take(key.id, len(parsed)))
        if self.refusing:
            raise Unavailable(self.refusing)
        if not self._publisher.room():
            raise Unavailable("Kafka is away and the spool is full")
        # From here to the wait nothing else runs on the loop: what is received has its place before anyone looks.
        source = Source(
            key=key,
            received_us=self.now_us(),
            user_agent=headers.get("user-agent") or "",
            idempotency_key=idempotency_key,
            short_form=scope.path == "/page-view",
            line=line,
        )
        verdicts = [self._judge.judge(event, index, source) for index, event in enumerate(parsed)]
        await self._publish(verdicts, source)
        self._metrics.body_bytes += len(body)
        return self._answer(verdicts)

    async def _publish(self, verdicts: list[Accepted | Rejected], source: Source) -> None:
        """Make every event durable.

        :raises Unavailable: nothing durable took them, or not all of them.
        """
        if self.missing_topics:
            topics = {v.contract.topic if isinstance(v, Accepted) else "rejected_events" for v in verdicts}
            missing = sorted(topics & self.missing_topics)
            if missing:
                raise Unavailable(f"Kafka has no topic {', '.join(missing)} (`watershed topics ensure`)")
        begun = self._book.begin(len(verdicts)) if self.in_flight <= self._max_in_flight else None
        if begun is None:
            raise Unavailable("too many requests at once")
        slot, first = begun
        flight = Flight(self._book, slot, verdicts, source)
        try:
            messages = flight.messages(first, self._types)
        except Exception:
            self._book.settle(slot, {}, range(first, first + len(verdicts)))
            raise
        self._publisher.publish(messages)
        if not await flight.done:
            raise Unavailable("Kafka did not take the events, nor did the spool; send all of them again")

    def _answer(self, verdicts: list[Accepted | Rejected]) -> Answer:
        counts = self._metrics
        for verdict in verdicts:
            if isinstance(verdict, Accepted):
                type_ = verdict.contract.type
                counts.accepted[type_] = counts.accepted.get(type_, 0) + 1
                counts.minted += verdict.minted
            else:
                type_ = verdict.event_type if verdict.event_type in self._types else ""
                counts.rejected[type_] = counts.rejected.get(type_, 0) + 1
        return judged(verdicts)

    def _authorised(self, scope: Scope) -> WriteKey:
        given = _header(scope.headers, "authorization")
        secret: str | None = None
        if given is not None:
            scheme, _, secret = given.partition(" ")
            if scheme.lower() != "bearer":
                raise Refused(401, "unauthorized", "Authorization is `Bearer <write key>`")
        elif scope.query_string:
            secret = _query(scope.query_string, "key")
        if not secret:
            raise Refused(401, "unauthorized", "a write key is needed: `Authorization: Bearer <write key>`, or ?key=")
        key = self._keys.find(secret.strip(), datetime.now(UTC))
        if key is None:
            raise Refused(401, "unauthorized", "this write key is unknown, expired or revoked")
        return key

    def _cors(self, scope: Scope) -> list[tuple[str, str]]:
        if not self._origins:
            return []
        # Also to who names no origin: a cache may keep the tracker for a page that does, and for one that does not.
        vary = ("vary", "origin")
        origin = scope.headers.get("origin")
        if origin is not None and (origin in self._origins or "*" in self._origins):
            return [vary, ("access-control-allow-origin", origin), ("access-control-expose-headers", "retry-after")]
        return [vary]

    def _read(self, document: Document, method: str, asked: Headers) -> Answer:
        if method not in ("GET", "HEAD"):
            return 405, [*JSON, ("allow", "GET, HEAD")], problem("method_not_allowed", "this is for reading")
        status, body = document.body()
        headers = [("content-type", document.content_type), ("cache-control", document.cache)]
        if document.packed is not None:
            headers.append(("vary", "accept-encoding"))
            if "gzip" in (asked.get("accept-encoding") or ""):
                return status, [*headers, ("content-encoding", "gzip")], document.packed
        return status, headers, body


def _wait(what: str, seconds: int) -> None:
    if seconds:
        raise Wait(what, seconds)


def _preflight() -> list[tuple[str, str]]:
    return [
        ("access-control-allow-methods", "POST"),
        ("access-control-allow-headers", "authorization, content-type, content-encoding, idempotency-key"),
        ("access-control-max-age", "86400"),
    ]


def _query(query: str, name: str) -> str | None:
    """One parameter of a query string. A write key needs no percent-decoding."""
    for part in query.split("&"):
        key, _, value = part.partition("=")
        if key == name:
            return value
    return None


def _header(headers: Headers, name: str) -> str | None:
    """A header that may be there once.

    :raises Refused: 400 when it is there twice, or not in ASCII: a proxy may have believed the other one.
    """
    found = headers.get_all(name)
    if len(found) == 1:
        return found[0]
    if name in headers:
        raise Refused(400, "bad_header", f"{name} is given twice, or is not in ASCII")
    return None


def _line(given: str | None) -> int | None:
    """Where a rejected line stood in the file that is imported; what is no such number is nobody's line."""
    return int(given) if given is not None and _LINE.fullmatch(given) else None


def _idempotency_key(given: str | None) -> str | None:
    if given is None:
        return None
    if not 1 <= len(given) <= _KEY_SHOWN or not given.isascii() or not given.isprintable():
        raise Refused(400, "bad_idempotency_key", f"Idempotency-Key is 1 to {_KEY_SHOWN} printable ASCII characters")
    return given
