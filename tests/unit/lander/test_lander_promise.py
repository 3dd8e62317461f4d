"""The instant before which everything received is in Kafka, as far as the lander may say so."""

from datetime import UTC, datetime, timedelta

from collector.land_promise import Promise
from collector.land_topic import TopicInfo

T0 = datetime(2026, 11, 23, tzinfo=UTC)
TOPIC = TopicInfo("one", frozenset({0}))


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def promise(announce_seconds: float = 0) -> tuple[Promise, Clock]:
    clock = Clock()
    return Promise(announce_seconds, clock), clock


def test_an_instant_holds_once_every_receipt_from_before_it_was_read() -> None:
    made, _ = promise()
    made.ask(at(1), TOPIC, {0: 10})
    assert made.through({0: 9}, None) is None
    assert made.through({0: 10}, None) == at(1)


def test_a_reader_that_is_always_a_little_behind_holds_nothing_up_for_ever() -> None:
    made, _ = promise()
    for second in range(10):
        made.ask(at(second), TOPIC, {0: second * 7})
        found = made.through({0: second * 7 - 1}, None)
        assert found == (at(second - 1) if second else None)


def test_no_open_collector_is_passed_by() -> None:
    made, _ = promise()
    made.ask(at(10), TOPIC, {0: 1})
    assert made.through({0: 1}, at(4)) == at(4)
    assert made.through({0: 1}, None) == at(10), "none is open any more"


def test_after_kafka_was_away_collectors_have_time_to_announce_themselves() -> None:
    made, clock = promise(announce_seconds=15)
    made.ask(at(0), TOPIC, {0: 1})
    assert made.through({0: 1}, None) is None, "at the start nobody knows whether it was away before"
    clock.seconds = 15
    made.ask(at(15), TOPIC, {0: 1})
    assert made.through({0: 1}, None) == at(15)
    made.kafka_was_away()
    clock.seconds = 100
    made.ask(at(100), TOPIC, {0: 1})
    clock.seconds = 114
    made.ask(at(114), TOPIC, {0: 2})
    assert made.through({0: 2}, None) == at(15), "what was promised before holds"
    clock.seconds = 115
    made.ask(at(115), TOPIC, {0: 2})
    assert made.through({0: 2}, None) == at(115)


def test_a_topic_made_anew_is_read_from_its_beginning_before_it_counts() -> None:
    made, _ = promise()
    made.ask(at(1), TOPIC, {0: 3})
    anew = TopicInfo("another", TOPIC.partitions)
    made.ask(at(2), anew, {0: 5})
    assert made.through({0: 4}, None) is None
    assert made.through({0: 5}, None) == at(2)
