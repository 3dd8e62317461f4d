"""Events as they come, gathered into requests: full, large, or old enough."""

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

MAX_BODY_BYTES = 900_000
"""Uncompressed bytes of a request, below the collector's default limit of 1 MB."""

Event = Mapping[str, Any]
Batch = tuple[bytes, list[Event]]
"""A request's body, and the events in it."""


def batches(events: Iterable[Event | None], most: int, linger: float) -> Iterator[Batch | None]:
    """Batches of at most ``most`` events and :data:`MAX_BODY_BYTES`, none older than ``linger`` seconds when one comes.

    None among the events says that a moment has passed: what has waited for long enough goes, else None is given on.
    """
    parts: list[bytes] = []
    sent: list[Event] = []
    size, since = 0, 0.0
    for event in events:
        if event is not None:
            part = msgspec.json.encode(event)
            if parts and size + len(part) >= MAX_BODY_BYTES:
                yield _body(parts), sent
                parts, sent, size = [], [], 0
            since = since if parts else time.monotonic()
            parts.append(part)
            sent.append(event)
            size += len(part) + 1
        if parts and (len(parts) == most or time.monotonic() - since >= linger):
            yield _body(parts), sent
            parts, sent, size = [], [], 0
        elif event is None:
            yield None
    if parts:
        yield _body(parts), sent


def _body(parts: list[bytes]) -> bytes:
    return b"[" + b",".join(parts) + b"]"
