"""The HTTP side: routes, who may send, verdicts and answers. An RSGI application for Granian."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Protocol

import msgspec

from collector.answers import JSON, Answer, Unavailable, Wait, judged, problem, refusal
from collector.bodies import Bodies, Hold
from collector.flight import Flight
from collector.keys import KeyRing, WriteKey
from collector.limits import Buckets, Network, client_address
from collector.metrics import Metrics
from collector.parse import Limits, Refused, media_type, parse, read_body
from collector.publish import Publisher
from collector.receipts import ReceiptBook, ReceiptsFull, hour_of
from collector.request_parts import Headers, header, idempotency_key, line, parameter
from collector.verdict import Accepted, Judge, Rejected, Source
from runtime import log

_log = log.get(__name__)


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
        bodies: Bodies,
    ) -> None:
        self._judge, self._keys, self._publisher, self._book = judge, keys, publisher, book
        self._metrics, self._limits = metrics, limits
        self._key_buckets, self._address_buckets = key_buckets, address_buckets
        self._proxies, self._origins, self._types = proxies, origins, types
        self.documents: dict[str, Document] = {}
        """What GET answers, by path; set before the first request."""
        self._max_in_flight, self._bodies = max_in_flight, bodies
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
        with self._bodies.held_by(key.id) as hold:
            return await self._receive(scope, exchange, key, hold)

    async def _receive(self, scope: Scope, exchange: Exchange, key: WriteKey, hold: Hold) -> Answer:
        headers = scope.headers
        type_ = media_type(header(headers, "content-type"))
        encoding = header(headers, "content-encoding")
        idempotent = idempotency_key(header(headers, "idempotency-key"))
        try:
            async with asyncio.timeout(self._limits.body_seconds):
                length = headers.get("content-length")
                body = await read_body(exchange, encoding, length, self._limits.body_bytes, hold)
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
            idempotency_key=idempotent,
            short_form=scope.path == "/page-view",
            line=line(headers.get("watershed-line")),
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
        given = header(scope.headers, "authorization")
        secret: str | None = None
        if given is not None:
            scheme, _, secret = given.partition(" ")
            if scheme.lower() != "bearer":
                raise Refused(401, "unauthorized", "Authorization is `Bearer <write key>`")
        elif scope.query_string:
            secret = parameter(scope.query_string, "key")
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
