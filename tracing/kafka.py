"""Messages that Kafka has and the lake does not yet, by an event id in them."""

from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple

from confluent_kafka import KafkaException

from collector.kafka_settings import KafkaSettings
from collector.land_decode import Batch
from collector.land_topic import Brokers, OutOfRange, Reader

CHUNK = 5_000
SILENCE = 10
"""Reads of a second each without a message, after which what is still to come will not."""


class Place(NamedTuple):
    """Where a message is."""

    topic: str
    partition: int
    offset: int


class Looked(NamedTuple):
    """What a topic has of the ids that has not landed; ``trouble``: why not all of it was read, None where it was."""

    topic: str
    places: list[Place]
    messages: int
    trouble: str | None


def look(
    settings: KafkaSettings,
    topic: str,
    landed: Mapping[int, int],
    ids: Collection[str],
    progress: Callable[[int], None],
) -> Looked:
    """Read ``topic`` from the offsets that have ``landed`` (the next to read, by partition) to its present end."""
    places: list[Place] = []
    seen = 0
    wanted = [event_id.encode() for event_id in ids]
    try:
        brokers = Brokers(settings.librdkafka())
        known = brokers.describe([topic]).get(topic)
        if known is None:
            return Looked(topic, [], 0, "there is no such topic")
        begins = brokers.begin_offsets(topic, known.partitions)
        ends = brokers.end_offsets({topic: known.partitions})[topic]
        left = {p: (max(landed.get(p, 0), begins[p]), ends[p]) for p in known.partitions}
        left = {p: (start, end) for p, (start, end) in left.items() if start < end}
        if not left:
            return Looked(topic, [], 0, None)
        reader = Reader(settings.librdkafka(), topic)
        try:
            reader.assign({p: start for p, (start, _) in left.items()})
            silent = 0
            while left:
                batch = Batch()
                silent = 0 if reader.read(batch, CHUNK, 1.0) else silent + 1
                if silent >= SILENCE:
                    return Looked(
                        topic, places, seen, f"nothing came for {silent} s; not read: partitions {sorted(left)}"
                    )
                places += _places(topic, batch, wanted)
                seen += len(batch)
                progress(len(batch))
                ahead = batch.ends()
                left = {p: (start, end) for p, (start, end) in left.items() if ahead.get(p, start) < end}
        finally:
            reader.close()
    except (KafkaException, OutOfRange, TimeoutError) as error:
        return Looked(topic, places, seen, f"Kafka does not answer: {error}")
    return Looked(topic, places, seen, None)


def _places(topic: str, batch: Batch, wanted: Collection[bytes]) -> list[Place]:
    return [
        Place(topic, partition, offset)
        for value, partition, offset in zip(batch.values, batch.partitions, batch.offsets, strict=True)
        if value is not None and any(event_id in value.lower() for event_id in wanted)
    ]
