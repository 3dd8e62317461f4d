"""Kafka in KRaft mode: one node that is broker and controller. Who may do what: ``kafka_rights``."""

import subprocess
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from stack.programs import Program, StackError, fingerprint
from stack.secrets import write_private
from stack.servers import with_room
from stack.settings import LOCAL, StackSettings

LOG4J = """\
rootLogger.level=warn
rootLogger.appenderRef.out.ref=out
appender.out.type=Console
appender.out.name=out
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=%d{ISO8601}{UTC}Z %p %c{1} %m%n
"""
ROOM_MB = 64
"""MiB that must be free for the broker to be started: more than it writes while it looks through its logs."""
BROKER = "broker"
"""The node itself, at its controller and at itself; also who writes the rights down. The only super user."""
OPERATOR = "operator"
USERS = (BROKER, OPERATOR, "collector", "lander")
"""Who can log in; the password of each is the secret ``kafka_<user>``."""


def class_path() -> str:
    """Kafka's jars, as installed by set-up."""
    return str(LOCAL / "jars" / "kafka" / "*")


def operator_bootstrap(settings: StackSettings) -> str:
    """Where the operator's tools connect without a log-in, while that listener is open."""
    return f"127.0.0.1:{settings.port('kafka')}"


def rooms_bootstrap(settings: StackSettings) -> str:
    """Where the stack's processes connect, each with its log-in."""
    return f"127.0.0.1:{settings.port('kafka_rooms')}"


def login(settings: StackSettings, secrets: Mapping[str, str], user: str) -> dict[str, str]:
    """What a process of ours is told of Kafka, to go in as ``user``."""
    return {
        "KAFKA_BOOTSTRAP_SERVERS": rooms_bootstrap(settings),
        "KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
        "KAFKA_SASL_MECHANISM": "PLAIN",
        "KAFKA_USERNAME": user,
        "KAFKA_PASSWORD": secrets[f"kafka_{user}"],
    }


def operator_login(settings: StackSettings, secrets: Mapping[str, str]) -> dict[str, str]:
    """What the operator's tools are told of Kafka: a listener that asks nothing, or, where it is closed, a log-in."""
    if settings.kafka_open:
        return {"KAFKA_BOOTSTRAP_SERVERS": operator_bootstrap(settings)}
    return login(settings, secrets, OPERATOR)


def admin(settings: StackSettings, secrets: Mapping[str, str], user: str) -> AdminClient:
    """A client for administration that goes in as ``user``."""
    return AdminClient(
        {
            "bootstrap.servers": rooms_bootstrap(settings),
            "security.protocol": "SASL_PLAINTEXT",
            "sasl.mechanism": "PLAIN",
            "sasl.username": user,
            "sasl.password": secrets[f"kafka_{user}"],
            "log_level": 0,
            "socket.timeout.ms": 3000,
        }
    )


def _jaas(secrets: Mapping[str, str], users: tuple[str, ...]) -> str:
    """The listener's log-ins, and the node's own when it is the client of one."""
    words = [f'username="{BROKER}"', f'password="{secrets[f"kafka_{BROKER}"]}"']
    words += [f'user_{user}="{secrets[f"kafka_{user}"]}"' for user in users]
    return f"org.apache.kafka.common.security.plain.PlainLoginModule required {' '.join(words)};"


def configuration(settings: StackSettings, secrets: Mapping[str, str]) -> str:
    """The broker's properties."""
    controller = settings.port("kafka_controller")
    listeners = {"ROOMS": rooms_bootstrap(settings)}
    if settings.kafka_open:
        listeners["OPERATOR"] = operator_bootstrap(settings)
    clients = ",".join(f"{name}://{address}" for name, address in listeners.items())
    values = {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.voters": f"1@127.0.0.1:{controller}",
        "controller.listener.names": "CONTROLLER",
        "listeners": f"{clients},CONTROLLER://127.0.0.1:{controller}",
        "advertised.listeners": clients,
        "listener.security.protocol.map": "ROOMS:SASL_PLAINTEXT,OPERATOR:PLAINTEXT,CONTROLLER:SASL_PLAINTEXT",
        "inter.broker.listener.name": "ROOMS",
        "sasl.enabled.mechanisms": "PLAIN",
        "sasl.mechanism.inter.broker.protocol": "PLAIN",
        "sasl.mechanism.controller.protocol": "PLAIN",
        "listener.name.rooms.plain.sasl.jaas.config": _jaas(secrets, USERS),
        # Nobody but the node has business with the controller itself; brokers pass on what clients ask of it.
        "listener.name.controller.plain.sasl.jaas.config": _jaas(secrets, (BROKER,)),
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": f"User:{BROKER}",
        "log.dirs": settings.data / "kafka",
        "auto.create.topics.enable": "false",  # a topic nobody declared is a mistake
        "num.network.threads": 2,
        "num.io.threads": 4,
        "num.recovery.threads.per.data.dir": 2,
        "offsets.topic.replication.factor": 1,
        "offsets.topic.num.partitions": 4,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.num.partitions": 4,
        "transaction.state.log.min.isr": 1,
        "share.coordinator.state.topic.replication.factor": 1,
        "share.coordinator.state.topic.num.partitions": 4,
        "group.initial.rebalance.delay.ms": 0,
        "log.segment.bytes": 128 * 1024 * 1024,
        "message.max.bytes": 4 * 1024 * 1024,
    }
    return "".join(f"{name}={value}\n" for name, value in values.items())


def cluster_id() -> str:
    """A new cluster's id: 16 random bytes in URL-safe base64, not beginning with a dash (as Kafka's `Uuid.randomUuid`).

    Kafka's tool would take such a one for an option, one time in 64.
    """
    while True:
        made = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        if not made.startswith("-"):
            return made


def _prepare(settings: StackSettings, text: str) -> None:
    properties = settings.run / "kafka.properties"
    write_private(properties, text)
    (settings.run / "kafka-log4j2.properties").write_text(LOG4J)
    if (settings.data / "kafka" / "meta.properties").exists():
        return
    argv: list[str | Path] = ["java", "-Xmx128m", "-cp", class_path(), "kafka.tools.StorageTool"]
    argv += ["format", "--ignore-formatted", "-t", cluster_id(), "-c", properties]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        raise StackError(f"Kafka could not format {settings.data / 'kafka'}: {done.stdout[-300:]} {done.stderr[-300:]}")


def _not_ready(settings: StackSettings, secrets: Mapping[str, str]) -> str | None:
    try:
        brokers = admin(settings, secrets, BROKER).list_topics(timeout=3).brokers
    except KafkaException as error:
        return str(error)
    return None if brokers else "no broker in the cluster yet"


def program(settings: StackSettings, secrets: Mapping[str, str]) -> Program:
    """The broker."""
    heap = settings.kafka_heap_mb
    flags = [f"-Xms{heap // 2}m", f"-Xmx{heap}m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=4", "-Xss512k"]
    log4j = f"-Dlog4j2.configurationFile={settings.run / 'kafka-log4j2.properties'}"
    text = configuration(settings, secrets)
    java: list[str | Path] = ["java", *flags, log4j, "-cp", class_path()]
    java += ["kafka.Kafka", settings.run / "kafka.properties"]
    return Program(
        name="kafka",
        argv=with_room.argv(settings.data / "kafka", ROOM_MB, java),
        env=fingerprint(text),
        prepare=lambda: _prepare(settings, text),
        not_ready=lambda: _not_ready(settings, secrets),
        stop_seconds=40,
    )
