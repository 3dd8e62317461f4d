"""What the collector does with a body, from its bytes to the values of its messages, and what must hold of any body."""

import base64
import json
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from collector import flight
from collector.answers import judged
from collector.keys import KeyKind, WriteKey
from collector.land_decode import Batch
from collector.land_events import EventDecoder
from collector.parse import Limits, Parsed, Refused, parse
from collector.verdict import Accepted, Judge, Rejected, Source
from contracts.registry import Registry
from contracts.validate import MOST_REASONS, EventValidator

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
REAL = Registry.load()
EVERY_KIND = Registry.load(Path(__file__).with_name("contracts"))
"""A contract that has what none of ours has yet, such as a time among its fields."""
REGISTRY = Registry(
    REAL.path,
    {
        type_: {v: found.get(type_, v) for v in found.versions(type_)}
        for found in (REAL, EVERY_KIND)
        for type_ in found.types()
    },
)
JUDGE = Judge(EventValidator(REGISTRY), timedelta(minutes=5), timedelta(hours=48))
LIMITS = Limits(event_bytes=32_768, events=1000, body_bytes=1_000_000)
DECODERS = {contract.type: EventDecoder(contract, b"k" * 32) for contract in REGISTRY}


def source(kind: KeyKind = KeyKind.SERVER, **more: Any) -> Source:
    key = WriteKey(id="k_1", tenant="acme", kind=kind, hash="", created_at=NOW.isoformat())
    return Source(key=key, received_us=int(NOW.timestamp() * 1e6), **more)


def verdicts(body: bytes, type_: str, by: Source) -> list[Accepted | Rejected]:
    """The verdict on every event of a body, once all that must hold of any is checked; none when it is refused."""
    try:
        parsed = parse(body, type_, LIMITS)
    except Refused as refusal:
        assert refusal.status in (400, 413)
        return []
    assert 1 <= len(parsed) <= LIMITS.events
    found = [JUDGE.judge(one, index, by) for index, one in enumerate(parsed)]
    for one, verdict in zip(parsed, found, strict=True):
        if isinstance(verdict, Accepted):
            _can_land(verdict, by)
        else:
            _says_why(verdict, one, by, body)
    status, _, answer = judged(found)
    assert status in (200, 207, 400)
    assert len(json.loads(answer)["results"]) == len(found)
    return found


def _can_land(verdict: Accepted, by: Source) -> None:
    """An accepted event becomes a row: the lander finds nothing in its message that it cannot read."""
    assert str(uuid.UUID(verdict.event_id)) == verdict.event_id
    assert datetime.fromisoformat(verdict.occurred_at).utcoffset() == timedelta(0)
    verdict.partition_key.encode()
    value = flight.event(verdict, by, received="2026-11-23T12:00:00.000000Z", collector_id="a" * 16, sequence=1)
    decoded = DECODERS[verdict.contract.type].decode(Batch([value], [0], [0]))
    assert decoded.poison == ()
    assert decoded.rows.num_rows == 1


def _says_why(verdict: Rejected, parsed: Parsed, by: Source, body: bytes) -> None:
    """A rejected event is kept byte by byte, and each of its reasons names a place that is there."""
    assert verdict.body == parsed[1]
    assert verdict.body in body
    assert 1 <= len(verdict.reasons) <= MOST_REASONS + 2  # and what the collector adds to the contract's
    for reason in verdict.reasons:
        assert reason.keyword
        assert reason.message
        if parsed[2] is None:
            resolve(parsed[0], reason.pointer)
    value = flight.rejection(
        verdict, by, reject_id="r", received="2026-11-23T12:00:00.000000Z", collector_id="a" * 16, sequence=1
    )
    kept = json.loads(value)
    text = kept["body"]
    assert (base64.b64decode(text) if kept["body_encoding"] == "base64" else text.encode()) == verdict.body


def resolve(value: Any, pointer: str) -> Any:
    """The value at a JSON pointer (RFC 6901).

    :raises LookupError: there is none.
    """
    assert pointer == "" or pointer.startswith("/")
    for part in pointer.split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        value = value[int(name)] if isinstance(value, list) else value[name]
    return value
