"""Kafka in KRaft mode: one node that is broker and controller."""

import subprocess
import uuid
from base64 import urlsafe_b64encode
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from stack.programs import Program, StackError
from stack.settings import LOCAL, StackSettings

LOG4J = """\
rootLogger.level=warn
rootLogger.appenderRef.out.ref=out
appender.out.type=Console
appender.out.name=out
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=%d{ISO8601}{UTC}Z %p %c{1} %m%n
"""


def class_path() -> str:
    """Kafka's jars, as installed by set-up."""
    return str(LOCAL / "jars" / "kafka" / "*")


def bootstrap(settings: StackSettings) -> str:
    """What clients connect to."""
    return f"127.0.0.1:{settings.port('kafka')}"


def _properties(settings: StackSettings) -> Path:
    controller = settings.port("kafka_controller")
    values = {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.voters": f"1@127.0.0.1:{controller}",
        "controller.listener.names": "CONTROLLER",
        "listeners": f"PLAINTEXT://{bootstrap(settings)},CONTROLLER://127.0.0.1:{controller}",
        "advertised.listeners": f"PLAINTEXT://{bootstrap(settings)}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
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
    path = settings.run / "kafka.properties"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{name}={value}\n" for name, value in values.items()))
    (settings.run / "kafka-log4j2.properties").write_text(LOG4J)
    return path


def _format(settings: StackSettings) -> None:
    properties = _properties(settings)
    if (settings.data / "kafka" / "meta.properties").exists():
        return
    cluster = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    argv = ["java", "-Xmx128m", "-cp", class_path(), "kafka.tools.StorageTool"]
    argv += ["format", "--ignore-formatted", "-t", cluster, "-c", str(properties)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        raise StackError(f"Kafka could not format {settings.data / 'kafka'}: {done.stdout[-300:]} {done.stderr[-300:]}")


def _not_ready(settings: StackSettings) -> str | None:
    client = AdminClient({"bootstrap.servers": bootstrap(settings), "log_level": 0, "socket.timeout.ms": 3000})
    try:
        brokers = client.list_topics(timeout=3).brokers
    except KafkaException as error:
        return str(error)
    return None if brokers else "no broker in the cluster yet"


def program(settings: StackSettings) -> Program:
    """The broker."""
    heap = settings.kafka_heap_mb
    flags = [f"-Xms{heap // 2}m", f"-Xmx{heap}m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=4", "-Xss512k"]
    log4j = f"-Dlog4j2.configurationFile={settings.run / 'kafka-log4j2.properties'}"
    return Program(
        name="kafka",
        argv=["java", *flags, log4j, "-cp", class_path(), "kafka.Kafka", settings.run / "kafka.properties"],
        prepare=lambda: _format(settings),
        not_ready=lambda: _not_ready(settings),
        stop_seconds=40,
    )
