"""Poison goes to ``rejected_events``, durably, before its partition moves on."""

import base64
import threading
import time
import uuid
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
from confluent_kafka import KafkaException, Producer

from collector.land_decode import Poison
from collector.land_quality import REJECTS_TOPIC
from collector.land_topic import CLIENT_LOG, RECONNECT_MS
from runtime import log

_NAMESPACE = uuid.UUID("6a1d3f4e-2b0c-5d7e-8f90-a1b2c3d4e5f6")
_MOST_BODY = 700_000
"""Bytes of a body that fit a message of the broker's default limit (1 MiB) whatever their encoding does to them."""
_log = log.get(__name__)


class NotDurable(Exception):
    """Kafka did not confirm the rejections in time; the batch has to wait."""


class Rejects:
    """Writes rejections of stage ``lander``; safe to use from several threads."""

    def __init__(self, connection: Mapping[str, Any], timeout: float = 30.0) -> None:
        self._timeout = timeout
        self._mutex = threading.Lock()
        self._producer = Producer(
            {
                **connection,
                "client.id": "lander-rejects",
                "acks": "all",
                "enable.idempotence": True,
                "message.max.bytes": 2_000_000,
                "delivery.timeout.ms": round(timeout * 1000),
                "linger.ms": 5,
                "compression.type": "zstd",
                "reconnect.backoff.ms": RECONNECT_MS,
            },
            logger=CLIENT_LOG,
        )

    def write(self, topic: str, topic_id: str, poison: Iterable[Poison]) -> None:
        """Return when every one is durable.

        :raises NotDurable: one is not; written again, they have the same ids.
        """
        with self._mutex:  # so that only the thread that waits for these is told of them
            self._write(topic, topic_id, poison)

    def close(self) -> None:
        """Wait for what is under way."""
        self._producer.flush(self._timeout)

    def _write(self, topic: str, topic_id: str, poison: Iterable[Poison]) -> None:
        failed: list[str] = []
        left = 0

        def delivered(error: Any, _message: Any) -> None:
            nonlocal left
            left -= 1
            if error is not None:
                failed.append(str(error))

        deadline = time.monotonic() + self._timeout
        for one in poison:
            value = rejection(topic, topic_id, one, datetime.now(UTC))
            try:
                self._producer.produce(REJECTS_TOPIC, value, key=f"{topic}|{one.partition}", on_delivery=delivered)
            except (BufferError, KafkaException) as error:
                failed.append(str(error))
                break
            left += 1
        while left and time.monotonic() < deadline:
            self._producer.poll(0.1)
        if left or failed:
            raise NotDurable(f"{REJECTS_TOPIC}: {failed[0] if failed else f'{left} messages unconfirmed'}")


def rejection(topic: str, topic_id: str, poison: Poison, now: datetime) -> bytes:
    """The message about one poison; its id follows from where the poison lies, so that a repetition can be told."""
    value = poison.value or b""
    reasons = poison.reasons
    if len(value) > _MOST_BODY:
        text = f"{len(value)} bytes, of which the first {_MOST_BODY} are kept here; the rest is at its offset"
        reasons = [*reasons, {"pointer": "", "keyword": "maxLength", "message": text}]
        value = value[:_MOST_BODY]
    try:
        body, encoding = value.decode(), "utf-8"
    except UnicodeDecodeError:
        body, encoding = base64.b64encode(value).decode(), "base64"
    stamp = _stamp(poison.value)
    return msgspec.json.encode(
        {
            "reject_id": str(uuid.uuid5(_NAMESPACE, f"{topic_id}|{poison.partition}|{poison.offset}")),
            "tenant": _text(stamp, "tenant"),
            "event_type": _text(stamp, "event_type"),
            "key_id": None,
            "received_at": now.isoformat(timespec="microseconds").replace("+00:00", "Z"),
            "collector_id": _text(stamp, "collector_id"),
            "sequence": _number(stamp, "sequence"),
            "stage": "lander",
            "reasons": reasons,
            "body": body,
            "body_encoding": encoding,
            "topic": topic,
            "partition": poison.partition,
            "offset": poison.offset,
            "line": None,
        }
    )


def _stamp(value: bytes | None) -> dict[str, Any]:
    """What the message says of itself, where it can be read at all: the books settle its sequence by it."""
    try:
        found = msgspec.json.decode(value or b"")
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _text(stamp: dict[str, Any], name: str) -> str | None:
    value = stamp.get(name)
    return value if isinstance(value, str) and "\0" not in value else None


def _number(stamp: dict[str, Any], name: str) -> int | None:
    value = stamp.get(name)
    return value if type(value) is int and 0 <= value < 2**63 - 1 else None
