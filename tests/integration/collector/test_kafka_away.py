"""What a 2xx promises holds through every kill: of Kafka, of the collector, of both."""

import itertools
import signal
import threading

import httpx

from tests.integration.collector.harness import (
    Broker,
    CollectorProcess,
    closing,
    identities,
    view,
    wait_until,
)

TOPIC = "events.page_view"


class Traffic:
    """Clients that send without pause, and what each was told."""

    def __init__(self, collector: CollectorProcess, first: int, clients: int = 4) -> None:
        self._collector, self._numbers, self._stop = collector, itertools.count(first), threading.Event()
        self.accepted: list[str] = []
        self.statuses: set[int] = set()
        self._threads = [threading.Thread(target=self._run) for _ in range(clients)]
        for thread in self._threads:
            thread.start()

    def _run(self) -> None:
        with httpx.Client(timeout=30, headers=self._collector.http.headers, trust_env=False) as http:
            while not self._stop.is_set():
                batch = [view(next(self._numbers)) for _ in range(3)]
                try:
                    answer = http.post(f"{self._collector.url}/events", json=batch)
                except httpx.TransportError:
                    return  # the collector was killed: nothing was promised
                self.statuses.add(answer.status_code)
                if answer.status_code == 200:
                    self.accepted += [result["event_id"] for result in answer.json()["results"]]

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()


def landed(broker: Broker, since: dict[int, int]) -> list[dict[str, object]]:
    return broker.read(TOPIC, since)


def test_events_are_taken_while_kafka_is_away_and_reach_it_in_order_once_it_is_back(
    broker: Broker, collector: CollectorProcess
) -> None:
    since = broker.ends(TOPIC)
    collector.start()
    traffic = Traffic(collector, 1_000_000)
    wait_until(lambda: len(traffic.accepted) > 100, 20, "traffic flows")
    broker.kill()
    wait_until(lambda: collector.ready()["mode"] == "spool", 20, "the spool takes over")
    before = len(traffic.accepted)
    wait_until(lambda: len(traffic.accepted) > before + 100, 20, "events are accepted without Kafka")
    assert collector.metric("watershed_collector_spool_messages") > 0
    broker.start()
    wait_until(collector.drained, 60, "the spool is drained")
    traffic.stop()
    assert traffic.statuses == {200}
    found = landed(broker, since)
    assert {m["event_id"] for m in found} == set(traffic.accepted)
    assert len(identities(found)) == len(set(identities(found))), "a message is in Kafka twice"
    by_partition: dict[int, list[int]] = {}
    for message in found:
        by_partition.setdefault(message["kafka"][0], []).append(message["sequence"])
    assert all(sequences == sorted(sequences) for sequences in by_partition.values()), "out of order"
    assert collector.stop() == 0


def test_every_event_answered_before_a_kill_of_the_collector_is_in_kafka(
    broker: Broker, collector: CollectorProcess
) -> None:
    since = broker.ends(TOPIC)
    collector.start()
    traffic = Traffic(collector, 2_000_000)
    wait_until(lambda: len(traffic.accepted) > 300, 20, "traffic flows")
    collector.kill()
    traffic.stop()
    found = landed(broker, since)
    assert set(traffic.accepted) <= {m["event_id"] for m in found}
    collector.start()
    (dead,) = {m["collector_id"] for m in found}
    receipt = wait_until(lambda: closing(broker, dead), 20, "the next start closes the dead process's receipts")
    sequences = {m["sequence"] for m in found}
    doubtful = ranges(receipt["in_doubt"])
    acknowledged = set(range(1, receipt["assigned"] + 1)) - ranges(receipt["void"]) - doubtful
    assert acknowledged <= sequences <= acknowledged | doubtful
    assert len(traffic.accepted) <= receipt["acknowledged"] <= len(acknowledged | doubtful)
    assert sum(cell["accepted"] for cell in receipt["cells"]) == receipt["acknowledged"]
    assert collector.stop() == 0
    assert list(collector.state.glob("receipts/*")) == []


def test_what_a_killed_collector_spooled_is_sent_by_the_next_one_before_anything_newer(
    broker: Broker, collector: CollectorProcess
) -> None:
    since = broker.ends(TOPIC)
    broker.kill()
    collector.start()
    traffic = Traffic(collector, 3_000_000)
    wait_until(lambda: len(traffic.accepted) > 200, 30, "events are accepted without Kafka")
    collector.kill()
    traffic.stop()
    collector.start()
    assert collector.ready()["mode"] == "spool"
    assert collector.send(view(3_999_999)).status_code == 200
    broker.start()
    wait_until(collector.drained, 60, "both spools are drained")
    found = landed(broker, since)
    assert {*traffic.accepted, view(3_999_999)["event_id"]} <= {m["event_id"] for m in found}
    assert len(identities(found)) == len(set(identities(found)))
    newest = next(m for m in found if m["event_id"] == view(3_999_999)["event_id"])
    assert newest["kafka"][1] == max(m["kafka"][1] for m in found if m["kafka"][0] == newest["kafka"][0])
    (dead,) = {m["collector_id"] for m in found} - {newest["collector_id"]}
    wait_until(lambda: closing(broker, dead), 20, "the dead process's receipts are closed once its spool is delivered")
    assert collector.stop() == 0
    assert list(collector.state.glob("spool/*")) == []


def test_a_clean_stop_without_kafka_keeps_the_spool_for_the_next_start(
    broker: Broker, collector: CollectorProcess
) -> None:
    since = broker.ends(TOPIC)
    collector.start()
    assert collector.send(view(4_000_001)).status_code == 200
    broker.kill()
    assert collector.send(view(4_000_002)).status_code == 200
    assert collector.stop() == 0
    broker.start()
    collector.start()
    wait_until(collector.drained, 60, "the spool is drained")
    found = landed(broker, since)
    assert [m["event_id"] for m in sorted(found, key=lambda m: m["sequence"])] == [
        view(4_000_001)["event_id"],
        view(4_000_002)["event_id"],
    ]
    first = found[0]["collector_id"]
    receipt = wait_until(lambda: closing(broker, first), 20, "the receipts of the stopped process are closed")
    assert receipt["acknowledged"] == receipt["assigned"] == 2
    assert collector.stop() == 0


def test_a_broker_that_hangs_is_no_reason_to_make_clients_wait_for_it(
    broker: Broker, collector: CollectorProcess
) -> None:
    since = broker.ends(TOPIC)
    collector.start(COLLECTOR_PUBLISH_SECONDS="3")
    assert collector.send(view(5_000_001)).status_code == 200
    broker.signal(signal.SIGSTOP)
    try:
        first = collector.send(view(5_000_002))
        assert first.status_code == 200
        assert first.elapsed.total_seconds() >= 3
        second = collector.send(view(5_000_003))
        assert second.elapsed.total_seconds() < 3, "the spool takes it without waiting for Kafka"
    finally:
        broker.signal(signal.SIGCONT)
    wait_until(collector.drained, 60, "the spool is drained")
    found = landed(broker, since)
    assert sorted(m["event_id"] for m in found) == [view(n)["event_id"] for n in (5_000_001, 5_000_002, 5_000_003)]
    assert collector.stop() == 0


def test_a_full_spool_is_said_with_503_and_nothing_is_promised(broker: Broker, collector: CollectorProcess) -> None:
    since = broker.ends(TOPIC)
    broker.kill()
    collector.start(COLLECTOR_SPOOL_MAX_BYTES=str(1024**2))
    accepted, number = [], itertools.count(6_000_000)
    for _ in range(2000):
        batch = [view(next(number), referrer="r" * 1500) for _ in range(20)]
        answer = collector.send(*batch)
        if answer.status_code == 503:
            break
        accepted += [result["event_id"] for result in answer.json()["results"]]
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    assert collector.http.get(f"{collector.url}/health/ready").status_code == 503
    broker.start()
    wait_until(collector.drained, 60, "the spool is drained")
    assert collector.send(view(6_999_999)).status_code == 200, "room again"
    found = landed(broker, since)
    assert {m["event_id"] for m in found} == {*accepted, view(6_999_999)["event_id"]}
    assert collector.stop() == 0


def test_a_message_that_can_never_be_sent_is_set_aside_and_the_rest_goes_on(
    broker: Broker, collector: CollectorProcess
) -> None:
    since = broker.ends(TOPIC)
    collector.start()
    assert collector.send(view(7_000_000)).status_code == 200
    broker.kill()
    signup = {"event_type": "signup", "data": {"user_id": "u1", "region": "DE", "channel": "web"}}
    assert collector.send(view(7_000_001), signup, view(7_000_002)).status_code == 200
    collector.kill()
    broker.start()
    broker.delete_topic("events.signup")
    collector.start()
    wait_until(collector.drained, 60, "the spool is drained")
    assert {m["event_id"] for m in landed(broker, since)} >= {view(n)["event_id"] for n in (7_000_001, 7_000_002)}
    (letter,) = (collector.state / "dead-letter").glob("*.json")
    assert collector.metric("watershed_collector_dead_letters") == 1
    assert any("set aside" in line["event"] and line["level"] == "error" for line in collector.logged())
    assert "events.signup" in collector.ready()["reasons"]["topics"]
    refused = collector.send(signup)
    assert refused.status_code == 503
    assert collector.send(view(7_000_003)).status_code == 200, "other types go on"

    broker.ensure_topics()
    wait_until(lambda: not collector.ready()["reasons"], 20, "the topic is seen again")
    collector.watershed("spool", "requeue", letter.name)
    wait_until(lambda: broker.read("events.signup"), 30, "the message set aside goes out after all")
    assert list((collector.state / "dead-letter").glob("*.json")) == []
    assert collector.stop() == 0


def ranges(pairs: list[list[int]]) -> set[int]:
    return {n for first, last in pairs for n in range(first, last + 1)}
