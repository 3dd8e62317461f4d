"""What each log-in of Kafka must not do, tried on the real broker."""

import os
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
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

from collector.kafka_settings import KafkaSettings
from collector.topics import LARGEST_MESSAGE
from stack import secrets
from stack.servers import kafka_broker, kafka_rights

REFUSED = {
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
}
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
ADMINISTRATION: list[Deed] = [
    (create, "events.mine"),
    (delete, "events.page_view"),
    (set_retention, "events.page_view"),
    (add_partitions, "events.page_view"),
    (delete_messages, "events.page_view"),
]
ABOVE_ALL: list[Deed] = [
    (set_of_broker, "background.threads"),
    (give_rights, ""),
    (take_rights, ""),
    (see_rights, ""),
    (make_a_login, "mallory"),
]
MUST_NOT: Mapping[str, list[Deed]] = {
    "collector": [
        (read, "events.page_view"),
        (read, "rejected_events"),
        (read, "collector_receipts"),
        (write, "somewhere-else"),
        (join, "mine"),
        (list_groups, "operators-group"),
        (see_configuration, "1"),
        *ADMINISTRATION,
        *ABOVE_ALL,
    ],
    "lander": [
        (write, "events.page_view"),
        (write, "collector_receipts"),
        (write, "somewhere-else"),
        (read, "somewhere-else"),
        (join, "mine"),
        (list_groups, "operators-group"),
        (see_configuration, "1"),
        *ADMINISTRATION,
        *ABOVE_ALL,
    ],
    "operator": ABOVE_ALL,
    "nobody": ABOVE_ALL,
}
OPERATION: list[Deed] = [
    (write, "somewhere-else"),
    (read, "somewhere-else"),
    (set_retention, "somewhere-else"),
    (add_partitions, "somewhere-else"),
    (delete_messages, "somewhere-else"),
    (create, "events.one_more"),
    (delete, "events.one_more"),
    (join, "operators-group"),
    (list_groups, "operators-group"),
    (see_configuration, "1"),
]
MAY: Mapping[str, list[Deed]] = {
    "collector": [(write, "events.page_view"), (write, "rejected_events"), (write, "collector_receipts")],
    "lander": [
        (read, "events.page_view"),
        (read, "rejected_events"),
        (read, "collector_receipts"),
        (write, "rejected_events"),
    ],
    "operator": OPERATION,
    "nobody": OPERATION,
}


def cases(table: Mapping[str, list[Deed]]) -> list[Any]:
    return [
        pytest.param(who, do, what, id=f"{who}-{do.__name__}-{what or 'anything'}")
        for who, deeds in table.items()
        for do, what in deeds
    ]


@pytest.fixture(scope="module")
def known(stack: Any) -> Mapping[str, str]:
    """The stack's secrets."""
    return secrets.load(stack.settings.watershed_state / "secrets.json")


@pytest.fixture(scope="module")
def clients(stack: Any, known: Mapping[str, str]) -> Iterator[dict[str, Client]]:
    """How each goes in; with a topic that is none of the rooms' business, and a group."""
    logins = {
        user: kafka_broker.login(stack.settings, known, user) for user in ("collector", "lander", "operator", "broker")
    }
    found = {who: connection({name.lower(): value for name, value in login.items()}) for who, login in logins.items()}
    found["nobody"] = connection({"kafka_bootstrap_servers": stack.env["KAFKA_BOOTSTRAP_SERVERS"]})
    if "somewhere-else" not in AdminClient(found["operator"]).list_topics(timeout=SECONDS).topics:
        create(found["operator"], "somewhere-else")
    join(found["operator"], "operators-group")
    yield found
    delete(found["operator"], "somewhere-else")


def connection(values: Mapping[str, Any]) -> Client:
    return {**KafkaSettings(**values).librdkafka(), "log_level": 0}


@pytest.mark.parametrize(("who", "do", "what"), cases(MUST_NOT))
def test_a_login_is_refused_what_is_not_its_business(clients, who, do, what):
    with pytest.raises(KafkaException) as refusal:
        do(clients[who], what)
    assert refusal.value.args[0].code() in REFUSED, refusal.value


@pytest.mark.parametrize(("who", "do", "what"), cases(MAY))
def test_a_login_may_do_its_work(clients, who, do, what):
    do(clients[who], what)


def test_the_operators_group_is_not_shown_to_rooms_but_exists(clients):
    """Else that a room does not see it would prove nothing."""
    list_groups(clients["broker"], "operators-group")


def trouble_of(client: Client) -> int:
    """The first error that a client meets which has no message to send and none to read."""
    errors: list[KafkaError] = []
    admin = AdminClient({**client, "error_cb": errors.append})
    deadline = time.monotonic() + SECONDS
    while not errors and time.monotonic() < deadline:
        admin.poll(0.1)
    assert errors, "it got in"
    return errors[0].code()


@pytest.mark.parametrize(
    "wrong",
    [
        {"sasl.password": "a-guess"},
        {"sasl.username": "lander"},
        {"sasl.username": "nobody-we-know"},
        {"sasl.username": "ANONYMOUS"},
    ],
)
def test_who_does_not_know_the_password_does_not_get_in(clients, wrong):
    assert trouble_of({**clients["collector"], **wrong}) == KafkaError._AUTHENTICATION


def test_the_rooms_listener_is_closed_to_who_has_no_login(clients, stack):
    rooms = kafka_broker.rooms_bootstrap(stack.settings)
    with pytest.raises(KafkaException):
        AdminClient({"bootstrap.servers": rooms, "log_level": 0}).list_topics(timeout=3)


@pytest.mark.parametrize("who", ["collector", "lander", "operator"])
def test_the_controller_lets_in_nobody_but_the_broker(clients, stack, who):
    controller = f"127.0.0.1:{stack.settings.port('kafka_controller')}"
    assert trouble_of({**clients[who], "bootstrap.servers": controller}) == KafkaError._AUTHENTICATION


def test_the_brokers_configuration_shows_no_password(clients, known):
    resource = ConfigResource(ConfigResource.Type.BROKER, "1")
    (entries,) = ask(clients["nobody"], lambda admin: admin.describe_configs([resource]))
    shown = "\n".join(f"{name}={entry.value}" for name, entry in entries.items())
    assert "message.max.bytes=4194304" in shown
    assert [name for name, secret in known.items() if name.startswith("kafka_") and secret in shown] == []


def test_a_right_that_is_not_written_down_is_taken_away_at_the_next_start(clients, stack, known):
    with pytest.raises(KafkaException):
        write(clients["collector"], "somewhere-else")
    ask(clients["broker"], lambda admin: admin.create_acls([A_RIGHT]))
    assert A_RIGHT in acls(clients["broker"])
    kafka_rights.apply(stack.settings, known)
    assert A_RIGHT not in acls(clients["broker"])
    write(clients["collector"], "events.page_view")


def test_setting_the_rights_again_changes_nothing(clients, stack, known):
    before = acls(clients["broker"])
    kafka_rights.apply(stack.settings, known)
    assert acls(clients["broker"]) == before
    assert len(before) == len(kafka_rights.rights(stack.settings))


def test_a_new_event_type_needs_no_new_right(clients):
    topic = f"events.new_{uuid.uuid4().hex[:8]}"
    create(clients["operator"], topic)
    try:
        write(clients["collector"], topic)
        read(clients["lander"], topic)
    finally:
        delete(clients["operator"], topic)
