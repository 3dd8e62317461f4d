"""A Kafka broker and collector processes of these tests' own, to be killed, paused and started again at will."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient

from collector import topics
from collector.keys import KeyFile, KeyKind
from collector.settings import CollectorSettings
from contracts.registry import Registry
from stack import secrets
from stack.servers import kafka_broker, kafka_rights
from stack.settings import StackSettings

REPO = Path(__file__).resolve().parents[3]
SERVER_KEY, BROWSER_KEY, TENANT = "server-" + "k" * 40, "browser-" + "k" * 40, "collector-tests"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(holds: Callable[[], Any], seconds: float, what: str) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = holds()
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError(f"not within {seconds:g} s: {what}")


class Broker:
    """One KRaft node on ports of its own; its data outlives its process."""

    def __init__(self, folder: Path) -> None:
        self.settings = StackSettings(
            watershed_state=folder,
            kafka_port=free_port(),
            kafka_rooms_port=free_port(),
            kafka_controller_port=free_port(),
            kafka_heap_mb=256,
        )
        self.secrets = secrets.load(folder / "secrets.json")
        self.program = kafka_broker.program(self.settings, self.secrets)
        self.bootstrap = kafka_broker.operator_bootstrap(self.settings)
        self.login = kafka_broker.login(self.settings, self.secrets, "collector")
        self._log = (folder / "kafka.log").open("ab")
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.program.prepare()
        self.process = subprocess.Popen(
            [str(part) for part in self.program.argv],
            stdout=self._log,
            stderr=self._log,
            env={**os.environ, **self.program.env},
        )
        wait_until(lambda: self.program.not_ready() is None, 60, "Kafka is ready")
        kafka_rights.apply(self.settings, self.secrets)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def signal(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def ensure_topics(self) -> None:
        topics.ensure(Registry.load(), CollectorSettings(kafka_bootstrap_servers=self.bootstrap))

    def delete_topic(self, topic: str) -> None:
        admin = AdminClient({"bootstrap.servers": self.bootstrap})
        for future in admin.delete_topics([topic]).values():
            future.result()
        wait_until(lambda: topic not in admin.list_topics(timeout=10).topics, 20, f"{topic} is gone")

    def read(self, topic: str, since: dict[int, int] | None = None) -> list[dict[str, Any]]:
        """Every message of a topic, as JSON, in the order of each partition; ``since``: offsets to begin at."""
        consumer = Consumer({"bootstrap.servers": self.bootstrap, "group.id": "reader", "enable.auto.commit": False})
        try:
            ends = self.ends(topic)
            starts = [TopicPartition(topic, p, (since or {}).get(p, 0)) for p in ends]
            consumer.assign(starts)
            left = {p: end for p, end in ends.items() if end > (since or {}).get(p, 0)}
            found = []
            while left:
                message = consumer.poll(10)
                assert message is not None and message.error() is None, f"{topic}: {message and message.error()}"
                value, partition, offset = message.value(), message.partition(), message.offset()
                assert value is not None and partition is not None and offset is not None, f"{topic}: {message}"
                found.append({**json.loads(value), "kafka": (partition, offset)})
                if offset + 1 >= left.get(partition, 0):
                    left.pop(partition, None)
            return found
        finally:
            consumer.close()

    def ends(self, topic: str) -> dict[int, int]:
        consumer = Consumer({"bootstrap.servers": self.bootstrap, "group.id": "reader"})
        try:
            partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
            return {p: consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=10)[1] for p in partitions}
        finally:
            consumer.close()


@dataclass
class CollectorProcess:
    """A collector as a process of its own, and a client of it."""

    login: dict[str, str]
    folder: Path
    env: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    port: int = 0

    def __post_init__(self) -> None:
        self.keys_file, self.state = self.folder / "keys.json", self.folder / "state"
        self.log = self.folder / "collector.log"
        keys = KeyFile(self.keys_file)
        keys.create(TENANT, KeyKind.SERVER, secret=SERVER_KEY)
        keys.create(TENANT, KeyKind.BROWSER, secret=BROWSER_KEY)
        self.http = httpx.Client(timeout=30, headers={"Authorization": f"Bearer {SERVER_KEY}"}, trust_env=False)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self, **env: str) -> None:
        self.port = int(env.get("COLLECTOR_PORT", 0)) or free_port()
        given = {
            **self.login,
            "COLLECTOR_PORT": str(self.port),
            "COLLECTOR_STATE_DIR": str(self.state),
            "KEYS_FILE": str(self.keys_file),
            "COLLECTOR_PUBLISH_SECONDS": "1",
            "COLLECTOR_RECEIPT_SECONDS": "0.5",
            "COLLECTOR_SPOOL_MIN_FREE_BYTES": "0",
            "PYTHONPATH": str(REPO),
        }
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "collector.serve"],
                env={**os.environ, **given, **self.env, **env},
                stderr=log,
                stdout=log,
                cwd=REPO,
            )
        wait_until(self.live, 60, f"the collector is live; its log: {self.log.read_text()[-2000:]}")

    def live(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log.read_text()[-3000:]
        try:
            return self.http.get(f"{self.url}/health/live").status_code == 200
        except httpx.TransportError:
            return False

    def ready(self) -> dict[str, Any]:
        return dict(self.http.get(f"{self.url}/health/ready").json())

    def drained(self) -> bool:
        """Whether Kafka has all of the spool, and events go to Kafka directly."""
        return self.ready()["mode"] == "direct" and self.metric("watershed_collector_spool_messages") == 0

    def metric(self, name: str) -> float:
        text = self.http.get(f"{self.url}/metrics").text
        return sum(float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(name))

    def send(self, *events: Any, path: str = "/events", **kwargs: Any) -> httpx.Response:
        return self.http.post(self.url + path, json=list(events) if len(events) != 1 else events[0], **kwargs)

    def stop(self) -> int:
        """A clean stop; the exit status."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(30)

    def kill(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def watershed(self, *words: str) -> str:
        """Run a command of ours on this collector's files, or (with its server key) on its address."""
        env = {**os.environ, "COLLECTOR_STATE_DIR": str(self.state), "KEYS_FILE": str(self.keys_file)}
        env |= {"COLLECTOR_URL": self.url, "WRITE_KEY": SERVER_KEY}
        env |= {**self.login, "PYTHONPATH": str(REPO)}
        argv = [sys.executable, "-c", "from cli.main import main; main()", *words]
        return subprocess.run(argv, env=env, check=True, capture_output=True, text=True, cwd=REPO).stdout

    def logged(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]


def view(number: int, **more: Any) -> dict[str, Any]:
    """A valid page view with an id that carries ``number``."""
    occurred = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return {
        "event_type": "page_view",
        "event_id": f"00000000-0000-4000-8000-{number:012d}",
        "occurred_at": occurred,
        "data": {"region": "DE", "page_name": f"/page/{number % 7}", "visitor_id": "the-same", **more},
    }


def identities(messages: list[dict[str, Any]]) -> list[tuple[str, int]]:
    return [(m["collector_id"], m["sequence"]) for m in messages]


def closing(broker: Broker, collector_id: str) -> dict[str, Any] | None:
    """The closing receipt of a process, with the newest value of each of its cells among all its receipts."""
    receipts = [r for r in broker.read("collector_receipts") if r["collector_id"] == collector_id]
    closed = [r for r in receipts if r["closed"]]
    if not closed:
        return None
    assert len(closed) == 1
    cells = {(c["tenant"], c["event_type"], c["received_hour"]): c for r in receipts for c in r["cells"]}
    return {**closed[0], "cells": list(cells.values())}
