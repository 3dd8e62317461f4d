"""Kafka's listener without a log-in can be closed on a running stack; a data folder from before log-ins starts."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, NewTopic

from collector.kafka_settings import KafkaSettings
from stack.lifecycle import Stack
from stack.servers import kafka_broker
from stack.settings import StackSettings
from tests.ports import PORT_OFFSET

SMALL_OFFSET = PORT_OFFSET + 520


def silent(_part: str, _what: str) -> None:
    pass


@pytest.fixture
def settings(tmp_path: Path) -> StackSettings:
    return StackSettings(watershed_state=tmp_path / "state", port_offset=SMALL_OFFSET, disk_needed_mb=10)


@pytest.fixture
def up(settings: StackSettings) -> Iterator[Callable[[bool], Stack]]:
    """Bring up a stack of Kafka alone, or find the one that runs, with the open listener or without."""

    def make(kafka_open: bool) -> Stack:
        stack = Stack(settings.model_copy(update={"kafka_open": kafka_open}), ("topics",))
        stack.up(silent)
        return stack

    yield make
    Stack(settings, ("topics",)).down(silent)


def operators_topics(stack: Stack) -> set[str]:
    """The topics that a tool sees which was told what is in ``.local/env``."""
    lines = (stack.settings.watershed_state / "env").read_text().splitlines()
    told = dict(line.split("=", 1) for line in lines)
    values = {name: told[name.upper()] for name in KafkaSettings.model_fields if name.upper() in told}
    return set(AdminClient(KafkaSettings(**values).librdkafka()).list_topics(timeout=10).topics)  # type: ignore[arg-type]


def without_login(settings: StackSettings) -> AdminClient:
    return AdminClient({"bootstrap.servers": kafka_broker.operator_bootstrap(settings), "log_level": 0})


def test_the_open_listener_is_closed_and_opened_by_a_setting(
    up: Callable[[bool], Stack], settings: StackSettings
) -> None:
    stack = up(True)
    assert "events.page_view" in operators_topics(stack)
    assert "events.page_view" in without_login(settings).list_topics(timeout=10).topics

    stack = up(False)
    with pytest.raises(KafkaException):
        without_login(settings).list_topics(timeout=3)
    assert "events.page_view" in operators_topics(stack)

    up(True)
    assert "events.page_view" in without_login(settings).list_topics(timeout=10).topics


def test_a_data_folder_made_before_there_were_logins_starts_and_keeps_its_topics(
    up: Callable[[bool], Stack], settings: StackSettings
) -> None:
    bootstrap, controller = kafka_broker.operator_bootstrap(settings), settings.port("kafka_controller")
    values = {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@127.0.0.1:{controller}",
        "controller.listener.names": "CONTROLLER",
        "listeners": f"PLAINTEXT://{bootstrap},CONTROLLER://127.0.0.1:{controller}",
        "advertised.listeners": f"PLAINTEXT://{bootstrap}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "log.dirs": str(settings.data / "kafka"),
        "offsets.topic.replication.factor": "1",
    }
    settings.data.mkdir(parents=True)
    properties = settings.watershed_state / "before.properties"
    properties.write_text("".join(f"{name}={value}\n" for name, value in values.items()))
    java = ["java", "-Xmx256m", "-cp", kafka_broker.class_path()]
    words = ["kafka.tools.StorageTool", "format", "-t", kafka_broker.cluster_id(), "-c", str(properties)]
    subprocess.run([*java, *words], check=True, capture_output=True)
    with subprocess.Popen(
        [*java, "kafka.Kafka", str(properties)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as before:
        admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
        (made,) = admin.create_topics([NewTopic("from-before", 1, 1)], request_timeout=60).values()
        made.result(90)
        before.terminate()
    stack = up(True)
    assert {"from-before", "events.page_view"} <= operators_topics(stack)
