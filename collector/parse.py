"""From a request's bytes to events: decompression within bounds, then one object, an array, or a line each."""

import re
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec
from granian.rsgi import ProtocolClosed  # type: ignore[attr-defined]  # it is, without an __all__

from collector.split import BLANKS, split

JSON_TYPES = frozenset({"application/json", ""})
LINE_TYPES = frozenset({"application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines"})
BEACON_TYPE = "text/plain"
PIECE = 16 * 1024
"""Compressed bytes unpacked at once. zlib copies what lies behind the end of a gzip member, for each member."""
SMALL = 64 * 1024
"""Bytes of a body that is read in one piece."""
_UTF8 = re.compile(r'charset\s*=\s*"?([^";\s]+)', re.IGNORECASE)
_raws = msgspec.json.Decoder(list[msgspec.Raw])
_any = msgspec.json.Decoder()
_TROUBLE = (msgspec.DecodeError, RecursionError, UnicodeDecodeError, ValueError)


class Refused(Exception):
    """The request is refused as a whole: nothing of it was kept. ``status`` is the answer's code."""

    def __init__(self, status: int, error: str, message: str) -> None:
        super().__init__(message)
        self.status, self.error, self.message = status, error, message


@dataclass(frozen=True)
class Limits:
    """Bounds of a request: bytes of an event, events, bytes of the body when decompressed, seconds to send it in."""

    event_bytes: int
    events: int
    body_bytes: int
    body_seconds: float = 30.0


class Unparseable(Exception):
    """The text is no JSON; the message says where, and repeats nothing of it."""


Trouble = tuple[str, str]
"""A keyword and a message: why a text is no event that could be judged."""
Parsed = tuple[Any, bytes, Trouble | None]
"""An event's value, its untouched text, and what is wrong with the text (None: it is JSON of an allowed size)."""


class Inflater:
    """Unpacks gzip piece by piece and stops at the bound, so that a bomb costs no more than what is allowed."""

    def __init__(self, limit: int, hold: Callable[[int], None]) -> None:
        self._limit, self._parts, self._size, self._hold = limit, list[bytes](), 0, hold
        self._stream = zlib.decompressobj(wbits=31)

    def feed(self, chunk: bytes) -> None:
        """Take compressed bytes.

        :raises Refused: 413 over the bound, 400 when they are no gzip; and what ``hold`` raises.
        """
        for start in range(0, len(chunk), PIECE):
            self._feed(chunk[start : start + PIECE])

    def _feed(self, chunk: bytes) -> None:
        while chunk:
            if self._stream.eof:  # gzip allows several members one behind the other
                self._stream = zlib.decompressobj(wbits=31)
            try:
                part = self._stream.decompress(chunk, self._limit + 1 - self._size)
            except zlib.error as error:
                raise Refused(400, "bad_gzip", f"the body is no gzip: {error}") from error
            self._size += len(part)
            if self._size > self._limit:
                raise too_large(self._limit)
            if part:
                self._hold(len(part))
                self._parts.append(part)
            chunk = self._stream.unused_data if self._stream.eof else self._stream.unconsumed_tail

    def finish(self) -> bytes:
        """All of it.

        :raises Refused: 400 when the end is missing.
        """
        if not self._stream.eof:
            raise Refused(400, "bad_gzip", "the body is cut short: the end of the gzip stream is missing")
        return b"".join(self._parts)


def too_large(limit: int) -> Refused:
    """The refusal of a body over ``limit`` bytes."""
    return Refused(413, "body_too_large", f"the body is over {limit} bytes (decompressed); send smaller batches")


def _cut_short() -> Refused:
    return Refused(400, "bad_body", "the body ended before its length says, or its chunks are damaged")


class Body(Protocol):
    """A request's body: all of it at once, or chunk by chunk."""

    def __call__(self) -> Awaitable[bytes]: ...
    def __aiter__(self) -> AsyncIterator[bytes]: ...


async def read_body(
    body: Body, content_encoding: str | None, content_length: str | None, limit: int, hold: Callable[[int], None]
) -> bytes:
    """The decompressed body, never holding more than ``limit`` bytes of it, compressed or not.

    ``content_length``: None where the body comes in chunks; the server takes away what a client says beside them.
    ``hold`` is told of bytes before they are kept. Of a large body these are the bytes that came, and not what its
    length says: that costs a client nothing.

    :raises Refused: 413 over the limit, 415 for an encoding other than gzip, 400 for damaged gzip or a body cut short.
    """
    encoding = (content_encoding or "").strip().lower()
    if encoding not in ("", "identity", "gzip", "x-gzip"):
        raise Refused(415, "unsupported_encoding", "Content-Encoding may be gzip or absent")
    inflater = Inflater(limit, hold) if encoding in ("gzip", "x-gzip") else None
    length = int(content_length) if content_length is not None and content_length.isdigit() else None
    if length is not None and length > limit:
        raise too_large(limit)
    if length is not None and length <= SMALL:
        hold(length)
        # The server holds a client to the length it named; in one piece costs one turn of the event loop.
        try:
            whole = await body()
        except ProtocolClosed:
            raise _cut_short() from None
        if inflater is None:
            return whole
        inflater.feed(whole)
        return inflater.finish()
    parts, size, ended = [], 0, False
    async for chunk in body:
        # Granian gives an empty chunk at the end, and one for what it could not read: then the end is a second one.
        if ended:
            raise _cut_short()
        ended = not chunk
        size += len(chunk)
        if size > limit:
            raise too_large(limit)
        if inflater is None:
            hold(len(chunk))
            parts.append(chunk)
        else:
            inflater.feed(chunk)
    if length is not None and size != length:
        raise _cut_short()
    return b"".join(parts) if inflater is None else inflater.finish()


def media_type(content_type: str | None) -> str:
    """The media type without its parameters, in lower case.

    :raises Refused: 415 for a type or a character set we do not read.
    """
    if content_type is None:
        return ""
    type_, _, parameters = content_type.partition(";")
    type_ = type_.strip().lower()
    if type_ not in JSON_TYPES and type_ not in LINE_TYPES and type_ != BEACON_TYPE:
        raise Refused(
            415,
            "unsupported_media_type",
            "Content-Type may be application/json, application/x-ndjson, or text/plain (from sendBeacon)",
        )
    charset = _UTF8.search(parameters)
    if charset and charset[1].lower() not in ("utf-8", "utf8", "us-ascii"):
        raise Refused(415, "unsupported_charset", "the body must be UTF-8")
    return type_


def parse(body: bytes, type_: str, limits: Limits) -> list[Parsed]:
    """The events of a body, in order. A line of NDJSON that is no JSON is one event that cannot be parsed.

    A body that is no JSON at all is one such event too. An event over ``limits.event_bytes`` is one as well.

    :raises Refused: 413 for too many events, 400 for a body without any.
    """
    if type_ in LINE_TYPES:
        return _lines(body, limits)
    text = body.strip(BLANKS)
    if not text:
        raise Refused(400, "empty_body", "the body holds no event")
    try:
        if text[:1] == b"[":
            return _array(text, limits)
        return [_one(text, limits)] if len(text) > limits.event_bytes else [(decode(text), text, None)]
    except Unparseable as error:
        if type_ == BEACON_TYPE and b"\n" in text:
            return _lines(text, limits)
        return [(None, body, ("json", str(error)))]


def decode(text: bytes) -> Any:
    """The value of a JSON text.

    :raises Unparseable: it is none.
    """
    try:
        return _any.decode(text)
    except _TROUBLE as error:
        raise Unparseable(_why(error)) from error


def _array(text: bytes, limits: Limits) -> list[Parsed]:
    try:
        raws = _raws.decode(text)
    except _TROUBLE as error:
        # Perhaps only one event is no JSON, or has what nobody can hold: its neighbours are not to suffer for it.
        pieces = split(text, limits.events)
        if pieces is None:
            raise Unparseable(_why(error)) from error
        return [_one(piece, limits) for piece in _counted(pieces, limits)]
    texts = list(map(bytes, _counted(raws, limits)))
    try:
        values = decode(text)
    except Unparseable:
        return [_one(each, limits) for each in texts]
    return [
        (value, each, None) if len(each) <= limits.event_bytes else (None, each, _over(limits))
        for value, each in zip(values, texts, strict=True)
    ]


def _counted(elements: list[Any], limits: Limits) -> list[Any]:
    """The elements of an array, if there are as many as may be."""
    if len(elements) > limits.events:
        raise too_many(limits)
    if not elements:
        raise Refused(400, "empty_body", "the array holds no event")
    return elements


def _lines(body: bytes, limits: Limits) -> list[Parsed]:
    lines = [line for line in body.split(b"\n") if line.strip(BLANKS)]
    if len(lines) > limits.events:
        raise too_many(limits)
    if not lines:
        raise Refused(400, "empty_body", "the body holds no event")
    return [_one(line, limits) for line in lines]


def _one(text: bytes, limits: Limits) -> Parsed:
    if len(text) > limits.event_bytes:
        return None, text, _over(limits)
    try:
        return decode(text), text, None
    except Unparseable as error:
        return None, text, ("json", str(error))


def too_many(limits: Limits) -> Refused:
    """The refusal of a request with too many events."""
    return Refused(413, "too_many_events", f"a request may hold {limits.events} events; send smaller batches")


def _over(limits: Limits) -> Trouble:
    return "maxBytes", f"is over {limits.event_bytes} bytes"


def _why(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "is nested too deeply"
    if isinstance(error, UnicodeDecodeError):
        return "is not UTF-8"
    return f"is no JSON: {error}"
