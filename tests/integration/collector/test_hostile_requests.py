"""Every request of docs/bad-input.md, sent to a collector over Kafka: its answer, what is kept, who suffers for it."""

import base64
import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import httpx
import psutil
import pytest
from confluent_kafka import Consumer, TopicPartition

from collector.keys import KeyFile, KeyKind
from contracts.registry import Registry
from tests.integration.collector import hostile_requests, hostile_texts
from tests.integration.collector.harness import SERVER_KEY, TENANT, Broker, CollectorProcess, view
from tests.integration.collector.hostile_kit import (
    EXPIRED_KEY,
    NEIGHBOUR,
    NEIGHBOUR_KEY,
    REVOKED_KEY,
    Answer,
    Hostile,
    documented,
    send,
)

ROWS: dict[str, Hostile] = {
    **hostile_texts.JSON,
    **hostile_texts.VALUES,
    **hostile_texts.TIMES,
    **hostile_texts.BATCHES,
    **hostile_requests.COMPRESSION,
    **hostile_requests.LENGTHS,
    **hostile_requests.REQUESTS,
    **hostile_requests.KEYS,
}
DOCUMENTED = documented()
MEGABYTE = 1024 * 1024


class Kept:
    """What lands in Kafka of the tenant that sends, from the time this is made."""

    def __init__(self, broker: Broker) -> None:
        self._consumer = Consumer(
            {"bootstrap.servers": broker.bootstrap, "group.id": "hostile", "enable.auto.commit": False}
        )
        topics = ["rejected_events", *(contract.topic for contract in Registry.load())]
        ends = {topic: broker.ends(topic) for topic in topics}
        self._consumer.assign([TopicPartition(topic, p, end) for topic in topics for p, end in ends[topic].items()])

    def take(self, most: int, seconds: float) -> list[dict[str, Any]]:
        """The next messages, ``most`` of them, in the order they were given numbers in."""
        found: list[dict[str, Any]] = []
        deadline = time.monotonic() + seconds
        while len(found) < most and time.monotonic() < deadline:
            message = self._consumer.poll(0.2)
            if message is not None:
                assert message.error() is None
                value = json.loads(message.value())
                if value["tenant"] == TENANT:
                    found.append({**value, "topic": message.topic()})
        return sorted(found, key=lambda value: value["sequence"])

    def close(self) -> None:
        self._consumer.close()


NEIGHBOUR_SECONDS = 5.0
"""docs/bad-input.md: 99 of 100 requests of another client are answered within."""


class Neighbour:
    """Another client of the same collector, which sends one good event after another."""

    def __init__(self, url: str) -> None:
        self._url, self._stop = url, threading.Event()
        self.answers: list[tuple[int, float]] = []
        """Of each event, the status and the seconds until it came."""
        self._thread = threading.Thread(target=self._send)
        self._thread.start()

    def _send(self) -> None:
        headers = {"Authorization": f"Bearer {NEIGHBOUR_KEY}"}
        with httpx.Client(timeout=60, headers=headers, trust_env=False) as client:
            while not self._stop.is_set():
                since = time.monotonic()
                answer = client.post(f"{self._url}/events", json=view(len(self.answers)))
                self.answers.append((answer.status_code, time.monotonic() - since))
                self._stop.wait(0.01)

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()


@dataclass
class Tried:
    """What came of sending every row once."""

    answers: dict[str, list[list[Answer]]] = field(default_factory=dict)
    kept: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    surplus: list[dict[str, Any]] = field(default_factory=list)
    growth: dict[str, int] = field(default_factory=dict)
    neighbour: list[tuple[int, float]] = field(default_factory=list)
    log: list[dict[str, Any]] = field(default_factory=list)
    exit: int = -1


@pytest.fixture(scope="module")
def tried(shared_broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tried]:
    """All rows, each on connections of its own, one after the other; those that take long meanwhile, all at once."""
    collector = CollectorProcess(shared_broker.login, tmp_path_factory.mktemp("hostile"))
    keys = KeyFile(collector.keys_file)
    keys.create(NEIGHBOUR, KeyKind.SERVER, secret=NEIGHBOUR_KEY)
    keys.revoke(keys.create(TENANT, KeyKind.SERVER, secret=REVOKED_KEY)[0].id)
    keys.rotate(keys.create(TENANT, KeyKind.SERVER, secret=EXPIRED_KEY)[0].id, timedelta(0))
    collector.start(COLLECTOR_BODY_SECONDS="15")
    process = psutil.Process(collector.process.pid) if collector.process else None
    assert process is not None
    for _ in range(5):
        assert collector.send(*[view(number) for number in range(1000)]).status_code == 200
    before = process.memory_info().rss
    kept, result = Kept(shared_broker), Tried()
    neighbour = Neighbour(collector.url)
    with ThreadPoolExecutor(max_workers=8) as pool:
        hanging: dict[str, Future[list[Answer]]] = {
            name: pool.submit(send, collector.port, row) for name, row in ROWS.items() if row.takes_long
        }
        for name, row in ROWS.items():
            if row.takes_long:
                continue
            result.answers[name] = [send(collector.port, row, serial) for serial in range(row.times)]
            said = DOCUMENTED[name]
            result.kept[name] = kept.take(row.times * (said.events + said.rejections), 30)
            result.growth[name] = process.memory_info().rss - before
        for name, answers in hanging.items():
            result.answers[name], result.kept[name] = [answers.result()], []
    neighbour.stop()
    result.neighbour = neighbour.answers
    result.surplus = kept.take(1, 2)
    kept.close()
    result.growth["the end"] = process.memory_info().rss - before
    result.exit, result.log = collector.stop(), collector.logged()
    collector.http.close()
    yield result


def test_every_request_is_documented_and_every_documented_one_is_sent() -> None:
    assert list(DOCUMENTED) == list(ROWS)
    assert len(ROWS) >= 60


@pytest.mark.parametrize("name", ROWS)
def test_a_hostile_request_gets_its_documented_answer(tried: Tried, name: str) -> None:
    said = DOCUMENTED[name]
    assert [tuple(a.status for a in answers) for answers in tried.answers[name]] == [said.statuses] * ROWS[name].times
    for answers in tried.answers[name]:
        because: set[tuple[str, str]] = set().union(*(answer.because() for answer in answers))
        assert (because >= said.because) if said.others else (because == said.because)


@pytest.mark.parametrize("name", [name for name, said in DOCUMENTED.items() if said.events + said.rejections])
def test_what_is_kept_of_a_hostile_request_is_what_was_sent(tried: Tried, name: str) -> None:
    row, said = ROWS[name], DOCUMENTED[name]
    rejections = [message for message in tried.kept[name] if message["topic"] == "rejected_events"]
    events = [message for message in tried.kept[name] if message["topic"] != "rejected_events"]
    assert (len(rejections), len(events)) == (said.rejections * row.times, said.events * row.times)
    texts = [base64.b64decode(m["body"]) if m["body_encoding"] == "base64" else m["body"].encode() for m in rejections]
    assert texts == list(row.texts) * row.times
    answered = [answer.because() for answers in tried.answers[name] for answer in answers if answer.body]
    assert {(r["keyword"], r["pointer"]) for m in rejections for r in m["reasons"]} == set().union(*answered)
    assert [message["data"] for message in events] == list(row.data) * row.times


def test_nothing_else_is_kept(tried: Tried) -> None:
    assert tried.surplus == []


def test_no_hostile_request_is_a_fault_of_the_collector(tried: Tried) -> None:
    statuses = {a.status for sendings in tried.answers.values() for answers in sendings for a in answers}
    assert max(statuses) < 500
    assert [line for line in tried.log if line["level"] in ("error", "critical")] == []
    assert tried.exit == 0


def test_hostile_requests_do_not_make_the_collector_grow(tried: Tried) -> None:
    largest = max(tried.growth, key=lambda name: tried.growth[name])
    assert tried.growth[largest] < 50 * MEGABYTE, largest


def test_another_client_is_served_all_the_while(tried: Tried) -> None:
    """Not a measurement (benchmarks/hostile.py), but a request that holds up all others would be seen."""
    assert len(tried.neighbour) > 100
    assert {status for status, _ in tried.neighbour} == {200}
    seconds = sorted(seconds for _, seconds in tried.neighbour)
    assert seconds[len(seconds) * 99 // 100] < NEIGHBOUR_SECONDS, seconds[-5:]


def test_secrets_are_not_logged(tried: Tried) -> None:
    assert SERVER_KEY not in json.dumps(tried.log)
