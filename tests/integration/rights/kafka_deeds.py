"""What somebody may try at Kafka; each deed raises `KafkaException` when it is refused."""

import os
import time
from collections.abc import Callable, Mapping
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from collector.topics import LARGEST_MESSAGE

Client = Mapping[str, Any]
SECONDS = 15
A_RIGHT = AclBinding(
    ResourceType.TOPIC,
    "*",
    ResourcePatternType.LITERAL,
    "User:collector",
    "*",
    AclOperation.ALL,
    AclPermissionType.ALLOW,
)
ANYTHING = AclBindingFilter(
    ResourceType.ANY, None, ResourcePatternType.ANY, None, None, AclOperation.ANY, AclPermissionType.ANY
)


def ask(client: Client, question: Callable[[Any], Any]) -> Any:
    """What an administrator's client answers, or the first error; it has to live until then."""
    admin = AdminClient(client)
    futures = question(admin)
    if isinstance(futures, Mapping):
        return [future.result(SECONDS) for future in futures.values()]
    return futures.result(SECONDS)


def write(client: Client, topic: str) -> None:
    """A message that the broker judges after the right to send it: too large, so that none is left in the topic."""
    errors: list[Any] = []
    large = {"message.max.bytes": 2 * LARGEST_MESSAGE, "message.timeout.ms": SECONDS * 1000}
    producer = Producer({**client, **large, "enable.idempotence": True})
    producer.produce(topic, os.urandom(LARGEST_MESSAGE + 1), on_delivery=lambda error, _message: errors.append(error))
    assert producer.flush(SECONDS) == 0
    if errors[0].code() != KafkaError.MSG_SIZE_TOO_LARGE:
        raise KafkaException(errors[0])


def read(client: Client, topic: str) -> None:
    """As the lander does: partitions assigned by itself, in no group."""
    consumer = Consumer({**client, "group.id": "lander-x", "enable.partition.eof": True, "enable.auto.commit": False})
    try:
        known = consumer.list_topics(topic, timeout=SECONDS).topics[topic]
        if known.error is not None:
            raise KafkaException(known.error)
        consumer.assign([TopicPartition(topic, 0, 0)])
        deadline = time.monotonic() + SECONDS
        while True:
            assert time.monotonic() < deadline, "neither a message, nor the end, nor an error"
            message = consumer.poll(1)
            error = message.error() if message is not None else None
            if message is not None and (error is None or error.code() == KafkaError._PARTITION_EOF):
                return
            # The client also asks for the group's coordinator; that is another right than the topic's.
            if error is not None and error.code() != KafkaError.GROUP_AUTHORIZATION_FAILED:
                raise KafkaException(error)
    finally:
        consumer.close()


def join(client: Client, group: str) -> None:
    """As a consumer of a group, to its first assignment."""
    assigned: list[Any] = []
    consumer = Consumer({**client, "group.id": group, "auto.offset.reset": "earliest"})
    try:
        consumer.subscribe(["rejected_events"], on_assign=lambda _consumer, partitions: assigned.extend(partitions))
        deadline = time.monotonic() + SECONDS
        while not assigned:
            assert time.monotonic() < deadline, "neither a partition nor an error"
            message = consumer.poll(0.5)
            if message is not None and message.error() is not None:
                raise KafkaException(message.error())
    finally:
        consumer.close()


def create(client: Client, topic: str) -> None:
    ask(client, lambda admin: admin.create_topics([NewTopic(topic, 1, 1)]))


def delete(client: Client, topic: str) -> None:
    ask(client, lambda admin: admin.delete_topics([topic]))


def set_retention(client: Client, topic: str) -> None:
    entry = ConfigEntry("retention.ms", "60000", incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic, incremental_configs=[entry])
    ask(client, lambda admin: admin.incremental_alter_configs([resource]))


def add_partitions(client: Client, topic: str) -> None:
    partitions = AdminClient(client).list_topics(topic, timeout=SECONDS).topics[topic].partitions
    ask(client, lambda admin: admin.create_partitions([NewPartitions(topic, len(partitions) + 1)]))


def delete_messages(client: Client, topic: str) -> None:
    ask(client, lambda admin: admin.delete_records([TopicPartition(topic, 0, 0)]))


def set_of_broker(client: Client, name: str) -> None:
    entry = ConfigEntry(name, "10", incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ConfigResource.Type.BROKER, "1", incremental_configs=[entry])
    ask(client, lambda admin: admin.incremental_alter_configs([resource]))


def see_configuration(client: Client, broker: str) -> None:
    ask(client, lambda admin: admin.describe_configs([ConfigResource(ConfigResource.Type.BROKER, broker)]))


def give_rights(client: Client, _to: str) -> None:
    ask(client, lambda admin: admin.create_acls([A_RIGHT]))


def take_rights(client: Client, _from: str) -> None:
    ask(client, lambda admin: admin.delete_acls([ANYTHING]))


def see_rights(client: Client, _of: str) -> None:
    if not acls(client):  # librdkafka 2.16 gives an empty answer for a refusal
        raise KafkaException(KafkaError(KafkaError.CLUSTER_AUTHORIZATION_FAILED))


def acls(client: Client) -> set[Any]:
    return set(ask(client, lambda admin: admin.describe_acls(ANYTHING)))


def make_a_login(client: Client, name: str) -> None:
    info = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_256, 4096)
    ask(
        client,
        lambda admin: admin.alter_user_scram_credentials([UserScramCredentialUpsertion(name, info, b"a-password")]),
    )


def list_groups(client: Client, wanted: str) -> None:
    found = ask(client, lambda admin: admin.list_consumer_groups())
    if wanted not in {group.group_id for group in found.valid}:
        raise KafkaException(KafkaError(KafkaError.GROUP_AUTHORIZATION_FAILED))


Deed = tuple[Callable[[Client, str], None], str]
