"""What each log-in of Kafka must not do, tried on the real broker."""

import time
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, ConfigResource

from collector.kafka_settings import KafkaSettings
from stack import secrets
from stack.servers import kafka_broker, kafka_rights
from tests.integration.rights.kafka_deeds import (
    A_RIGHT,
    SECONDS,
    Client,
    Deed,
    acls,
    add_partitions,
    ask,
    create,
    delete,
    delete_messages,
    give_rights,
    join,
    list_groups,
    make_a_login,
    read,
    see_configuration,
    see_rights,
    set_of_broker,
    set_retention,
    take_rights,
    write,
)

REFUSED = {
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
}

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
