"""Every message gets one outcome: Kafka has it, or the disk has, or nobody promises anything."""

import asyncio
from pathlib import Path

from confluent_kafka import KafkaError

from collector.message import Outcome
from collector.spool import SpoolFolder
from tests.unit.collector.publishing_kit import messages, outcomes, publishing, run, until


def test_kafkas_answer_makes_a_message_durable_and_nothing_else_does(tmp_path: Path) -> None:
    async def test() -> None:
        async with publishing(tmp_path, seconds=60) as (publisher, link):
            sent = messages(1, 2)
            publisher.publish(sent)
            await asyncio.sleep(0.02)
            assert outcomes(sent) == [Outcome.OPEN] * 2
            assert publisher.oldest_us() == 1_000_001
            link.answer()
            assert outcomes(sent) == [Outcome.KAFKA] * 2
            assert publisher.oldest_us() is None
            assert publisher.spooled == 0

    run(test)


def test_what_kafka_does_not_answer_in_time_goes_to_disk_once_and_is_not_handed_over_again(tmp_path: Path) -> None:
    async def test() -> None:
        async with publishing(tmp_path) as (publisher, link):
            sent, later = messages(1, 2), messages(3)
            publisher.publish(sent)
            await until(lambda: outcomes(sent) == [Outcome.SPOOL] * 2, "spooled")
            assert not publisher.direct
            publisher.publish(later)
            await until(lambda: outcomes(later) == [Outcome.SPOOL], "spooled at once")
            await until(lambda: len(link.had) == 3, "handed over from the disk")
            assert publisher.oldest_us() == 1_000_001
            link.answer()
            await until(lambda: publisher.direct, "direct again")
            assert [m.sequence for m in link.had] == [1, 2, 3]
            assert publisher.oldest_us() is None
            await until(lambda: publisher.spool.used == 0, "nothing is left on disk")

    run(test)


def test_a_message_answered_while_it_is_being_written_is_not_sent_again(tmp_path: Path) -> None:
    async def test() -> None:
        async with publishing(tmp_path, seconds=60) as (publisher, link):
            sent = messages(1)
            publisher.publish(sent)
            publisher._spill("test")
            link.answer()
            assert outcomes(sent) == [Outcome.KAFKA]
            await until(lambda: publisher.direct, "direct again")
            assert len(link.had) == 1

    run(test)


def test_a_full_producer_is_a_reason_to_spool_not_to_refuse(tmp_path: Path) -> None:
    async def test() -> None:
        async with publishing(tmp_path, seconds=60) as (publisher, link):
            link.full = True
            sent = messages(1, 2)
            publisher.publish(sent)
            await until(lambda: outcomes(sent) == [Outcome.SPOOL] * 2, "spooled")
            link.full = False
            await until(lambda: len(link.had) == 2, "handed over")
            link.answer()
            await until(lambda: publisher.direct, "direct again")

    run(test)


def test_a_direct_message_that_kafka_refuses_for_good_is_not_promised(tmp_path: Path) -> None:
    async def test() -> None:
        async with publishing(tmp_path, seconds=60) as (publisher, link):
            missing: list[str] = []
            publisher.on_topic_missing = missing.append
            sent = messages(1, 2)
            publisher.publish(sent)
            link.answer(lambda m: KafkaError._UNKNOWN_TOPIC if m.sequence == 1 else None)
            assert outcomes(sent) == [Outcome.LOST, Outcome.KAFKA]
            assert missing == ["events.page_view"]
            assert publisher.direct

    run(test)


def test_a_producer_that_gave_up_on_itself_is_replaced_and_nothing_is_lost(tmp_path: Path) -> None:
    async def test() -> None:
        async with publishing(tmp_path, seconds=60) as (publisher, link):
            sent = messages(1, 2)
            publisher.publish(sent)
            link.fatal = True
            publisher.on_answers([])
            await until(lambda: link.renewed == 1, "renewed")
            await until(lambda: len(link.had) == 4, "handed to the new one")
            assert [m.sequence for m in link.had[2:]] == [1, 2]
            assert outcomes(sent) == [Outcome.SPOOL] * 2
            link.answer()
            await until(lambda: publisher.direct, "direct again")

    run(test)


def test_a_full_spool_promises_nothing(tmp_path: Path) -> None:
    async def test() -> None:
        async with publishing(tmp_path) as (publisher, _link):
            publisher._to_spool("test")
            publisher.spool.used = 1 << 20
            assert not publisher.room()
            sent = messages(1)
            publisher.publish(sent)
            assert outcomes(sent) == [Outcome.LOST]
            publisher.spool.used = 0

    run(test)


def test_what_is_queued_for_the_disk_is_not_durable_in_kafka_yet(tmp_path: Path) -> None:
    async def test() -> None:
        async with publishing(tmp_path) as (publisher, link):
            publisher._to_spool("test")
            publisher.publish(messages(1))
            assert publisher.oldest_us() == 1_000_001, "before the thread has written it"
            await until(lambda: len(link.open) == 1, "handed over")
            assert publisher.oldest_us() == 1_000_001
            link.answer()
            await until(lambda: publisher.oldest_us() is None, "Kafka has it")

    run(test)


def test_a_stop_leaves_on_disk_what_kafka_did_not_answer(tmp_path: Path) -> None:
    async def test() -> None:
        async with publishing(tmp_path, seconds=60) as (publisher, _link):
            sent = messages(1, 2)
            publisher.publish(sent)
        assert outcomes(sent) == [Outcome.SPOOL] * 2
        left = SpoolFolder.lock(tmp_path / "spool")
        assert left is not None
        left.recover()
        assert [m.sequence for _, m in left.take(10, left.end)] == [1, 2]

    run(test)
