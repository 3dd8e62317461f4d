"""The topics of the contracts, made and checked; nothing else lists them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient
from kafka.errors import KafkaError, TopicAlreadyExistsError

from collector.kafka_settings import KafkaSettings
from collector.settings import CollectorSettings
from collector.topic_names import RECEIPTS, REJECTED
from contracts.registry import Registry

LARGEST_MESSAGE = 4 * 1024 * 1024
"""Bytes. A rejected body of the largest allowed request, as base64 in JSON with its reasons, fits well."""


class TopicsError(Exception):
    """The brokers cannot be asked, or a topic cannot be what it should be; the message says which."""


@dataclass(frozen=True)
class Topic:
    """A topic as it should be."""

    name: str
    partitions: int
    replication_factor: int
    config: dict[str, str]


@dataclass(frozen=True)
class Ensured:
    """What `ensure` did with a topic: ``created``, ``changed`` or ``kept``, and how many partitions it has."""

    name: str
    done: str
    partitions: int


def wanted(registry: Registry, settings: CollectorSettings) -> list[Topic]:
    """The topics of the contracts, the rejects and the receipts."""
    config = {
        "min.insync.replicas": str(settings.kafka_min_insync_replicas),
        "retention.ms": str(settings.kafka_retention_hours * 3_600_000),
        "cleanup.policy": "delete",
        "max.message.bytes": str(LARGEST_MESSAGE),
    }
    topics = [(contract.topic, contract.partitions) for contract in registry]
    topics += [(REJECTED, 2), (RECEIPTS, 1)]
    return [Topic(name, partitions, settings.kafka_replication_factor, config) for name, partitions in topics]


def ensure(registry: Registry, settings: CollectorSettings) -> list[Ensured]:
    """Create what is missing, add partitions, set what differs. Idempotent; never takes partitions or messages away.

    :raises TopicsError: the brokers are away or refuse.
    """
    topics = wanted(registry, settings)
    try:
        admin = _admin(settings)
        try:
            return list(_ensure(admin, topics))
        finally:
            admin.close()
    except KafkaError as error:
        raise TopicsError(f"{settings.kafka_bootstrap_servers}: {error}") from error


def describe(registry: Registry, settings: CollectorSettings) -> list[dict[str, Any]]:
    """Each topic's state beside what the contracts ask for: ``partitions`` 0 where it is missing.

    :raises TopicsError: the brokers are away.
    """
    topics = wanted(registry, settings)
    try:
        admin = _admin(settings)
        try:
            present = _partitions(admin)
            config = _config(admin, [t.name for t in topics if t.name in present])
        finally:
            admin.close()
    except KafkaError as error:
        raise TopicsError(f"{settings.kafka_bootstrap_servers}: {error}") from error
    return [
        {
            "topic": topic.name,
            "partitions": present.get(topic.name, 0),
            "partitions_wanted": topic.partitions,
            "differs": {
                name: {"is": config.get(topic.name, {}).get(name), "wanted": value}
                for name, value in topic.config.items()
                if config.get(topic.name, {}).get(name) != value
            },
        }
        for topic in topics
    ]


def kept_for(names: Iterable[str], settings: KafkaSettings) -> dict[str, timedelta | None]:
    """How long after its arrival a message may still be in each of the topics; None: there is no end to it.

    Retention counts from the youngest message of a segment, and a segment takes messages until it is full or has its
    age: so both times together. Topics that are not there are left out.

    :raises TopicsError: the brokers are away or refuse.
    """
    try:
        admin = _admin(settings)
        try:
            present = _partitions(admin)
            config = _config(admin, [name for name in names if name in present])
        finally:
            admin.close()
    except KafkaError as error:
        raise TopicsError(f"{settings.kafka_bootstrap_servers}: {error}") from error
    times = {name: (int(values["retention.ms"]), int(values["segment.ms"])) for name, values in config.items()}
    return {name: timedelta(milliseconds=r + s) if r >= 0 else None for name, (r, s) in times.items()}


def _ensure(admin: KafkaAdminClient, topics: list[Topic]) -> Iterator[Ensured]:
    present = _partitions(admin)
    config = _config(admin, [t.name for t in topics if t.name in present])
    for topic in topics:
        if topic.name not in present:
            options = {
                "num_partitions": topic.partitions,
                "replication_factor": topic.replication_factor,
                "configs": topic.config,
            }
            try:
                admin.create_topics({topic.name: options}, wait_for_metadata=True)
            except TopicAlreadyExistsError:
                yield Ensured(topic.name, "kept", topic.partitions)  # another process was quicker
            else:
                yield Ensured(topic.name, "created", topic.partitions)
            continue
        done = "kept"
        if present[topic.name] < topic.partitions:
            admin.create_partitions({topic.name: topic.partitions})
            done = "changed"
        differing = {n: v for n, v in topic.config.items() if config[topic.name].get(n) != v}
        if differing:
            _alter(admin, topic.name, differing)
            done = "changed"
        yield Ensured(topic.name, done, max(present[topic.name], topic.partitions))


def _admin(settings: KafkaSettings) -> KafkaAdminClient:
    return KafkaAdminClient(
        **settings.kafka_python(),
        client_id="watershed-topics",
        request_timeout_ms=15_000,
    )


def _partitions(admin: KafkaAdminClient) -> dict[str, int]:
    return {topic["name"]: len(topic["partitions"]) for topic in admin.describe_topics()}


def _config(admin: KafkaAdminClient, topics: list[str]) -> dict[str, dict[str, str]]:
    """The effective settings of existing topics."""
    if not topics:
        return {}
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in topics]
    found = admin.describe_configs(resources, config_filter="all")["topic"]
    return {name: {key: entry["value"] for key, entry in values.items()} for name, values in found.items()}


def _alter(admin: KafkaAdminClient, topic: str, config: dict[str, str]) -> None:
    """Set what differs.

    :raises TopicsError: the brokers refuse a value.
    """
    result = admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, config)])
    for answers in result.values():
        for name, answer in answers.items():
            if answer != "OK":
                raise TopicsError(f"{name}: {answer}")
