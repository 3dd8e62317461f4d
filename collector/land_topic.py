"""The lander's side of Kafka: which topics there are, how far they go, and reading partitions it assigned itself."""

import logging
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._listoffsets import OffsetSpec

from collector.land_decode import Batch

TIMEOUT = 10.0
"""Seconds any one question to the brokers may take, unless said otherwise."""
RECONNECT_MS = 1000
"""Milliseconds between tries to connect, at first; each failure is a line in the log."""
CLIENT_LOG = logging.getLogger("librdkafka")
_LOST = {KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE}
_PASSING = {KafkaError._ALL_BROKERS_DOWN, KafkaError._TRANSPORT, KafkaError._TIMED_OUT, KafkaError._PARTITION_EOF}


class OutOfRange(Exception):
    """The offset to read on from is not in the topic: messages were deleted before they landed, or the log was cut."""


class TopicMissing(Exception):
    """There is no such topic (yet)."""


@dataclass(frozen=True)
class TopicInfo:
    """A topic's identity, which a topic deleted and made anew does not share, and its partitions."""

    id: str
    partitions: frozenset[int]


class Brokers:
    """Questions to the brokers; safe to use from several threads."""

    def __init__(self, connection: Mapping[str, Any], timeout: float = TIMEOUT) -> None:
        self._timeout = timeout
        self._admin = AdminClient(
            {**connection, "client.id": "lander", "reconnect.backoff.ms": RECONNECT_MS},
            logger=CLIENT_LOG,
        )

    def describe(self, topics: Iterable[str]) -> dict[str, TopicInfo]:
        """Those of the topics that exist.

        :raises KafkaException: the brokers are away.
        """
        asked = self._admin.describe_topics(TopicCollection(list(topics)), request_timeout=self._timeout)
        found = {}
        for name, future in asked.items():
            try:
                description = self._result(future)
            except KafkaException as error:
                if error.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                    continue
                raise
            found[name] = TopicInfo(str(description.topic_id), frozenset(p.id for p in description.partitions))
        return found

    def describe_one(self, topic: str) -> TopicInfo:
        """One topic.

        :raises TopicMissing: it does not exist.
        :raises KafkaException: the brokers are away.
        """
        found = self.describe([topic])
        if topic not in found:
            raise TopicMissing(f"topic {topic} does not exist")
        return found[topic]

    def begin_offsets(self, topic: str, partitions: Iterable[int]) -> dict[int, int]:
        """The first offset there is, by partition."""
        found = self._offsets(
            {
                (topic, p): OffsetSpec.earliest()  # type: ignore[no-untyped-call]
                for p in partitions
            }
        )
        return {p: offset for (_, p), offset in found.items()}

    def end_offsets(self, topics: Mapping[str, Iterable[int]]) -> dict[str, dict[int, int]]:
        """The offset the next message will have, by topic and partition, in one question.

        :raises KafkaException: the brokers are away.
        """
        found = self._offsets(
            {
                (t, p): OffsetSpec.latest()  # type: ignore[no-untyped-call]
                for t, partitions in topics.items()
                for p in partitions
            }
        )
        ends: dict[str, dict[int, int]] = {topic: {} for topic in topics}
        for (topic, partition), offset in found.items():
            ends[topic][partition] = offset
        return ends

    def _offsets(self, wanted: Mapping[tuple[str, int], OffsetSpec]) -> dict[tuple[str, int], int]:
        if not wanted:
            return {}
        asked = self._admin.list_offsets(
            {TopicPartition(t, p): spec for (t, p), spec in wanted.items()}, request_timeout=self._timeout
        )
        return {(tp.topic, tp.partition): self._result(future).offset for tp, future in asked.items()}

    def _result(self, future: "Future[Any]") -> Any:
        return future.result(timeout=self._timeout + 1)


class Reader:
    """Reads one topic from given offsets; in no consumer group, so that nothing is rebalanced away or committed."""

    def __init__(self, connection: Mapping[str, Any], topic: str) -> None:
        self._topic = topic
        self._consumer = Consumer(
            {
                **connection,
                "client.id": f"lander-{topic}",
                "group.id": f"lander-{topic}",  # the client wants one; it is never joined
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "auto.offset.reset": "error",
                "allow.auto.create.topics": False,
                "fetch.wait.max.ms": 2000,
                "queued.min.messages": 50_000,
                "queued.max.messages.kbytes": 16_384,
                "reconnect.backoff.ms": RECONNECT_MS,
            },
            logger=CLIENT_LOG,
        )

    def assign(self, offsets: Mapping[int, int]) -> None:
        """Read on from these offsets."""
        self._consumer.assign([TopicPartition(self._topic, p, o) for p, o in sorted(offsets.items())])

    def read(self, batch: Batch, most: int, timeout: float) -> int:
        """Add up to ``most`` messages to ``batch``, waiting ``timeout`` seconds for them; gives how many came.

        :raises OutOfRange: the topic no longer has the next offset.
        :raises KafkaException: the brokers refuse; that they are away is not an error, the client tries again.
        """
        messages = self._consumer.consume(most, timeout)
        added = 0
        for message in messages:
            error = message.error()
            if error is not None:
                self._judge(error, message)
                continue
            value = message.value()
            batch.values.append(value)
            batch.partitions.append(message.partition())  # type: ignore[arg-type]  # only an unsent message has none
            batch.offsets.append(message.offset())  # type: ignore[arg-type]
            batch.size += len(value) if value is not None else 0
            added += 1
        return added

    def close(self) -> None:
        """Stop reading."""
        self._consumer.close()

    def _judge(self, error: KafkaError, message: Any) -> None:
        if error.code() in _LOST:
            raise OutOfRange(f"{self._topic} partition {message.partition()}: {error.str()}")
        if error.code() not in _PASSING:
            raise KafkaException(error)
