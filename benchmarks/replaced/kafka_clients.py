"""kafka-python beside confluent-kafka: messages of 300 bytes through our broker, idempotent, one partition."""

import time
from collections.abc import Callable, Mapping
from typing import Any

import confluent_kafka
import kafka
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from benchmarks.replaced.processes import running
from stack import secrets
from stack.servers import kafka_broker, kafka_rights
from stack.settings import StackSettings

MESSAGE = b"x" * 300
MESSAGES = {"kafka_python": 50_000, "confluent_kafka": 500_000}
"""Some seconds' worth for each; the rates compare, the totals do not."""
PATIENCE_SECONDS = 120.0


def _produce_kafka_python(servers: str, topic: str, count: int) -> None:
    producer = kafka.KafkaProducer(bootstrap_servers=servers, acks="all", enable_idempotence=True, linger_ms=5)
    sent = [producer.send(topic, MESSAGE) for _ in range(count)]
    producer.flush()
    for future in sent:
        future.get(timeout=PATIENCE_SECONDS)
    producer.close()


def _produce_confluent(servers: str, topic: str, count: int) -> None:
    failed: list[confluent_kafka.KafkaError] = []
    settings = {"bootstrap.servers": servers, "enable.idempotence": True, "linger.ms": 5}
    producer = confluent_kafka.Producer({**settings, "queue.buffering.max.messages": count})

    def answered(error: confluent_kafka.KafkaError | None, _: Any) -> None:
        if error is not None:
            failed.append(error)

    for _ in range(count):
        producer.produce(topic, MESSAGE, on_delivery=answered)
        producer.poll(0)
    left = producer.flush(PATIENCE_SECONDS)
    if left or failed:
        raise SystemExit(f"{left} messages without an answer, {len(failed)} refused: {failed[:1]}")


def _consume_kafka_python(servers: str, topic: str, count: int) -> None:
    partition = kafka.TopicPartition(topic, 0)
    consumer = kafka.KafkaConsumer(bootstrap_servers=servers, auto_offset_reset="earliest", enable_auto_commit=False)
    consumer.assign([partition])
    deadline = time.monotonic() + PATIENCE_SECONDS
    while count > 0 and time.monotonic() < deadline:
        count -= sum(len(batch) for batch in consumer.poll(timeout_ms=1000, max_records=10_000).values())
    consumer.close()
    _all_read(count, topic)


def _consume_confluent(servers: str, topic: str, count: int) -> None:
    settings = {"bootstrap.servers": servers, "group.id": "replaced", "enable.auto.commit": False}
    consumer = confluent_kafka.Consumer(settings)
    consumer.assign([confluent_kafka.TopicPartition(topic, 0, 0)])
    deadline = time.monotonic() + PATIENCE_SECONDS
    while count > 0 and time.monotonic() < deadline:
        count -= len(consumer.consume(10_000, timeout=1.0))
    consumer.close()
    _all_read(count, topic)


def _all_read(left: int, topic: str) -> None:
    if left > 0:
        raise SystemExit(f"{left} messages of {topic} were not read within {PATIENCE_SECONDS} s")


Work = Callable[[str, str, int], None]
CLIENTS: Mapping[str, tuple[Work, Work]] = {
    "kafka_python": (_produce_kafka_python, _consume_kafka_python),
    "confluent_kafka": (_produce_confluent, _consume_confluent),
}


def _timed(work: Work, servers: str, topic: str, count: int) -> dict[str, int | float]:
    wall, cpu = time.monotonic(), time.process_time()
    work(servers, topic, count)
    wall, cpu = time.monotonic() - wall, time.process_time() - cpu
    return {"messages_per_second": round(count / wall), "cpu_seconds_per_million": round(cpu / count * 1e6, 1)}


def measure(settings: StackSettings) -> dict[str, Any]:
    """Messages a second, and the client's CPU seconds per million, producing and consuming."""
    known = secrets.load(settings.watershed_state / "secrets.json")
    servers = kafka_broker.operator_bootstrap(settings)
    found: dict[str, Any] = {}
    with running(kafka_broker.program(settings, known), settings.logs):
        kafka_rights.apply(settings, known)
        admin = AdminClient({"bootstrap.servers": servers, "log_level": 0})
        for name, (produce, consume) in CLIENTS.items():
            topic = f"replaced.{name}"
            for done in admin.create_topics([NewTopic(topic, 1, 1)]).values():
                done.result()
            count = MESSAGES[name]
            found[name] = {
                "produce": _timed(produce, servers, topic, count),
                "consume": _timed(consume, servers, topic, count),
            }
    return found
