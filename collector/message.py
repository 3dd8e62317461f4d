"""A message on its way to Kafka, and its form in the spool."""

from __future__ import annotations

import enum
import struct
import zlib
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collector.spool import SpoolFolder

HEAD = struct.Struct("<II")
"""Before each record: the payload's length and CRC-32."""
MAX_RECORD = 16 * 1024 * 1024


class Outcome(enum.Enum):
    """What became of a message, as far as the request that brought it is concerned."""

    OPEN = "open"
    KAFKA = "kafka"  # acknowledged by all in-sync replicas
    SPOOL = "spool"  # on disk, fsynced; Kafka gets it later
    LOST = "lost"  # nothing durable took it: the client must send it again


class Message:
    """One message, the same (collector_id, sequence) from first try to last; ``received_us`` counts from 1970."""

    __slots__ = (
        "_answered", "aside", "attempts", "collector_id", "delivered", "handed", "key", "outcome", "place",
        "received_us", "sequence", "settle", "topic", "value",
    )  # fmt: skip

    def __init__(  # noqa: PLR0917 - in the order of the spool's records
        self, topic: str, key: bytes | None, value: bytes, received_us: int, collector_id: str, sequence: int
    ) -> None:
        self.topic, self.key, self.value = topic, key, value
        self.received_us, self.collector_id, self.sequence = received_us, collector_id, sequence
        self.outcome = Outcome.OPEN
        self.handed = False  # the producer has it and has not answered yet
        self.delivered = False
        self.aside = False  # has no place in the spool
        self.attempts = 0
        self.place: tuple[SpoolFolder, int] | None = None  # the spool folder and the ordinal it lies at
        self.settle: Callable[[Message, Outcome], None] | None = None  # tells the request, once
        self._answered: Callable[[tuple[Message, object]], None] | None = None

    def resolve(self, outcome: Outcome) -> None:
        """Tell the request that waits for it; the first outcome counts."""
        if self.outcome is Outcome.OPEN:
            self.outcome = outcome
            if self.settle is not None:
                self.settle(self, outcome)

    def when_answered(self, sink: Callable[[tuple[Message, object]], None]) -> Message:
        """Itself as a delivery callback that puts (message, error) into ``sink``."""
        self._answered = sink
        return self

    def __call__(self, error: object, _message: object) -> None:
        if self._answered is not None:
            self._answered((self, error))


def encode(message: Message) -> bytes:
    """The spool's record: head, then MessagePack of topic, key, value, received, collector_id, sequence."""
    payload = msgspec.msgpack.encode(
        (message.topic, message.key, message.value, message.received_us, message.collector_id, message.sequence)
    )
    return HEAD.pack(len(payload), zlib.crc32(payload)) + payload


_decoder = msgspec.msgpack.Decoder(tuple[str, bytes | None, bytes, int, str, int])


def decode(payload: bytes) -> Message:
    """The message of a record's payload.

    :raises msgspec.DecodeError: the payload is none.
    """
    return Message(*_decoder.decode(payload))
