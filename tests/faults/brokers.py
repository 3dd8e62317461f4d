"""A cluster of three that loses brokers while a collector sends to it; the auditor reads the topics themselves."""

import random
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, TopicPartition
from msgspec import json

from collector.topic_names import REJECTED
from contracts.registry import Registry
from tests.faults.audit import Landed, Rejected, Seen, audit
from tests.faults.cluster import NODES, Cluster
from tests.faults.events import KnownEvents, samples
from tests.faults.journal import Journal, read
from tests.faults.send import Load
from tests.faults.sends import Sends
from tests.faults.verdict import Verdict
from tests.faults.watch import Watch
from tests.integration.collector.harness import SERVER_KEY, CollectorProcess, wait_until

BOUND, OUTAGE = 30.0, 8.0
ROUNDS = 5
PATIENCE = 4 * BOUND
"""Seconds after which nothing is waited for any longer, and the rest of the faults are made."""
DIRECT = "watershed_collector_direct"
NAMES = (f"three brokers: one killed, {ROUNDS} times", "three brokers: two killed")


def lose_brokers(folder: Path, seed: int) -> Iterator[Verdict]:
    """One broker killed, and again; then two at once, which min ISR 2 does not bear; a verdict each."""
    cluster = Cluster(folder)
    try:
        cluster.start()
        collector = CollectorProcess(
            cluster.login("collector"),
            folder / "collector",
            {"COLLECTOR_PUBLISH_SECONDS": "5"},  # as in earnest
        )
        try:
            collector.start()
            yield _lose(cluster, collector, folder, seed=seed, lost=1, rounds=ROUNDS)
            yield _lose(cluster, collector, folder, seed=seed + 1, lost=2, rounds=1)
        finally:
            collector.kill()
            collector.http.close()
    finally:
        cluster.close()


def _lose(cluster: Cluster, collector: CollectorProcess, folder: Path, *, seed: int, lost: int, rounds: int) -> Verdict:
    chance = random.Random(seed)  # noqa: S311 - it can be made again
    events = KnownEvents(seed % 2**32, samples(Registry.load()))
    journal = Journal(folder / f"brokers-{lost}.journal")
    load = Load(collector.url, SERVER_KEY, events, journal, rate=300)
    verdict = Verdict(NAMES[lost - 1], "broker", bound=BOUND)
    load.start()
    watch = Watch({"collector": lambda: None if collector.metric(DIRECT) else "events go through the spool"})
    whole, direct = [], []  # seconds from the brokers' start until they were a cluster, and until nothing was spooled
    try:
        for _ in range(rounds):
            time.sleep(3)
            victims = chance.sample(NODES, lost)
            for node in victims:
                cluster.kill(node)
            time.sleep(OUTAGE)
            over = time.monotonic()
            for node in victims:
                cluster.start_node(node)
            wait_until(lambda: cluster.ready() is None, PATIENCE, "three brokers are there")
            whole.append(time.monotonic() - over)
            well = watch.green_after(over, time.monotonic() - over + PATIENCE)
            assert well is not None, "the collector does not leave its spool"
            direct.append(well)
            wait_until(partial(load.first_taken, time.monotonic()), BOUND, "events are taken")
    finally:
        watch.close()
        load.stop()
    verdict.seconds, verdict.recovered_after = OUTAGE, round(max(direct), 1)
    if verdict.recovered_after > BOUND:
        verdict.findings.append(f"not well again within {BOUND:g} s")
    wait_until(lambda: not collector.metric("watershed_collector_spool_messages"), 120, "the spool is empty")
    known = read(journal.path)
    found = audit(events, known, _seen(cluster, events, Sends(known)))
    verdict.sent, verdict.acknowledged, verdict.unknown = found.sent, found.taken, found.unknown
    verdict.refused = found.refused
    verdict.about = (
        f"only the collector, so nothing of lake, rollups, books and checksums; in the topics {found.landed:,} events, "
        f"{found.duplicates:,} duplicates, {found.rejected:,} rejected, {found.copies:,} copies; a cluster again after "
        f"{_all(whole)} s, nothing spooled any more after {_all(direct)} s"
    )
    verdict.findings += found.findings
    return verdict


def _all(seconds: list[float]) -> str:
    return ", ".join(f"{one:.0f}" for one in seconds)


def _seen(cluster: Cluster, events: KnownEvents, sends: Sends) -> Seen:
    """What the topics have of ``events``: the rounds' loads share them.

    Nothing counts here: what the auditor asks of rollups is made up from the topics, so that it judges these alone.
    """
    nameless = sends.nameless(events)
    rows, counted = [], set()
    for value in _messages(cluster, [f"events.{type_}" for type_ in events.types]):
        occurred_at = datetime.fromisoformat(value["occurred_at"])
        minted = (value["event_type"], occurred_at) if value["minted"] else None
        number = nameless.get(minted) if minted else events.number_of(value["event_id"])
        if number is not None:
            rows.append(Landed(value["event_id"], value["collector_id"], value["sequence"], minted))
            counted.add((number, (value["event_type"], occurred_at.replace(second=0, microsecond=0))))
    rejected = [
        Rejected(value["body"], value["reasons"][0]["keyword"], value["collector_id"], value["sequence"])
        for value in _messages(cluster, [REJECTED])
        if events.number_in(value["body"]) is not None
    ]
    return Seen(rows, Counter(minute for _, minute in counted), rejected)


def _messages(cluster: Cluster, topics: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Every message of the topics."""
    consumer = Consumer({"bootstrap.servers": cluster.bootstrap, "group.id": "auditor", "enable.auto.commit": False})
    try:
        known = consumer.list_topics(timeout=20).topics
        parts = [TopicPartition(topic, p, 0) for topic in topics for p in known[topic].partitions]
        left = {(p.topic, p.partition): consumer.get_watermark_offsets(p, timeout=20)[1] for p in parts}
        left = {place: end for place, end in left.items() if end}
        consumer.assign(parts)
        while left:
            message = consumer.poll(20)
            assert message is not None, f"messages are missing of {left}"
            assert message.error() is None, message.error()
            yield json.decode(message.value() or b"{}")
            place = (str(message.topic()), int(message.partition() or 0))
            if (message.offset() or 0) + 1 >= left.get(place, 0):
                left.pop(place, None)
    finally:
        consumer.close()
