"""Every store of a running stack, piece by piece, to be searched for what must not be in it."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
import redis
from confluent_kafka import TIMESTAMP_NOT_AVAILABLE, Consumer, TopicPartition

from collector.land_topic import CLIENT_LOG
from stack import backup
from stack.settings import StackSettings
from tests.readable import readable

ASKED = ("postgres", "kafka")
"""Servers that are asked for what they hold: the files below them keep what was deleted until they are tidied up."""


class Piece(NamedTuple):
    """Something of a store that has a name; ``content`` as it lies there, compressed or not."""

    name: str
    content: bytes


class Kept(NamedTuple):
    """A message in Kafka, and when it came."""

    topic: str
    content: bytes
    at: datetime


def holding(text: str, *sources: Iterator[Piece]) -> list[str]:
    """The names of the pieces that have the text in them."""
    return [piece.name for source in sources for piece in source if text in readable(piece.name, piece.content)]


def files(folder: Path) -> Iterator[Piece]:
    """Each file below a stack's folder: bucket, spools, logs of every process and task, lineage, pages, settings."""
    asked = [folder / "data" / name for name in ASKED]
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink() and not any(path.is_relative_to(one) for one in asked):
            try:
                yield Piece(str(path.relative_to(folder)), path.read_bytes())
            except FileNotFoundError:
                continue  # it was deleted meanwhile


def databases(settings: StackSettings, known: Mapping[str, str], folder: Path) -> Iterator[Piece]:
    """Every database that Postgres has, as text."""
    at = {"host": "127.0.0.1", "port": settings.port("postgres"), "user": "postgres", "password": known["postgres"]}
    with psycopg.connect(dbname="postgres", **at) as connection:
        found = connection.execute("select datname from pg_database where not datistemplate order by 1").fetchall()
    for (name,) in found:
        target = folder / f"{name}.sql"
        backup.run("pg_dump", ["--file", target, "--dbname", name], settings, known)
        yield Piece(f"database {name}", target.read_bytes())


def cached(url: str) -> Iterator[tuple[Piece, float | None]]:
    """What Redis holds, each with the seconds after which it is gone; None: it stays."""
    with redis.Redis.from_url(url, socket_timeout=10) as client:
        for key in client.scan_iter(count=1000):
            kind = client.type(key).decode()
            value: Any = _READ[kind](client, key)
            seconds = client.pttl(key)
            content = value if isinstance(value, bytes) else str(value).encode()
            if seconds != _GONE:
                yield Piece(f"redis {key.decode()}", key + b" " + content), None if seconds < 0 else seconds / 1000


_GONE = -2
_READ: dict[str, Any] = {
    "string": lambda client, key: client.get(key) or b"",
    "list": lambda client, key: client.lrange(key, 0, -1),
    "set": lambda client, key: client.smembers(key),
    "zset": lambda client, key: client.zrange(key, 0, -1, withscores=True),
    "hash": lambda client, key: client.hgetall(key),
    "stream": lambda client, key: client.xrange(key),
    "none": lambda client, key: b"",
}


def messages(servers: str) -> Iterator[Kept]:
    """Every message that Kafka still has, of every topic, its own included."""
    consumer = Consumer(
        {"bootstrap.servers": servers, "group.id": "stores", "enable.auto.commit": False}, logger=CLIENT_LOG
    )
    try:
        for topic, about in sorted(consumer.list_topics(timeout=30).topics.items()):
            bounds = {p: consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=30) for p in about.partitions}
            left = {p: high for p, (low, high) in bounds.items() if high > low}
            consumer.assign([TopicPartition(topic, p, bounds[p][0]) for p in left])
            while left:
                message = consumer.poll(30)
                assert message is not None and message.error() is None, f"{topic}: {message and message.error()}"
                kind, stamp = message.timestamp()
                assert kind != TIMESTAMP_NOT_AVAILABLE
                parts = (message.key(), message.value(), str(message.headers()).encode())
                yield Kept(topic, b" ".join(filter(None, parts)), datetime.fromtimestamp(stamp / 1000, UTC))
                if message.offset() + 1 >= left.get(message.partition() or 0, 0):
                    left.pop(message.partition() or 0, None)
    finally:
        consumer.close()
