"""A collector leaves its spool once Kafka answers in time, though events come without a pause; none is overtaken."""

import asyncio
import os
import time
from pathlib import Path

import pytest
from confluent_kafka import KafkaError

from collector import spool_write
from collector.message import Outcome
from tests.unit.collector.publishing_kit import fresh, messages, outcomes, publishing, run, until

PATIENCE = 60.0


def test_events_on_their_way_to_kafka_do_not_keep_it_in_the_spool(tmp_path: Path) -> None:
    async def test() -> None:
        async with publishing(tmp_path, seconds=PATIENCE) as (publisher, link):
            publisher._to_spool("test")
            publisher.publish(fresh(1))
            await until(lambda: publisher.direct, "direct, with one on its way")
            assert publisher.backlog() == 1
            later = fresh(2)
            publisher.publish(later)
            assert [m.sequence for m in link.had] == [1, 2], "behind what the producer had before"
            link.answer()
            assert outcomes(later) == [Outcome.KAFKA]
            await until(lambda: publisher.spool.used == 0, "nothing is left on disk")

    run(test)


def test_events_on_their_way_to_the_disk_do_not_keep_it_in_the_spool(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.fdatasync

    def slow(file: int) -> None:
        time.sleep(0.05)
        real(file)

    monkeypatch.setattr(spool_write.os, "fdatasync", slow)

    async def test() -> None:
        async with publishing(tmp_path, seconds=PATIENCE) as (publisher, link):
            publisher._to_spool("test")
            sent = []
            for sequence in range(1, 400):
                sent += (new := fresh(sequence))
                publisher.publish(new)
                await asyncio.sleep(0.005)  # ten of them, while one write is made
                if publisher.direct:
                    break
            assert publisher.direct
            await until(lambda: len(link.had) == len(sent), "all are handed over, those held meanwhile too")
            assert [m.sequence for m in link.had] == [m.sequence for m in sent]
            link.answer()
            assert Outcome.KAFKA in outcomes(sent), "some were held"
            assert set(outcomes(sent)) <= {Outcome.KAFKA, Outcome.SPOOL}

    run(test)


def test_while_kafka_answers_late_events_stay_in_the_spool(tmp_path: Path) -> None:
    async def test() -> None:
        async with publishing(tmp_path, seconds=PATIENCE) as (publisher, link):
            publisher._to_spool("test")
            publisher.publish(messages(1))  # received long ago
            publisher.publish(fresh(2))
            await until(lambda: len(link.open) == 2, "handed over")
            await asyncio.sleep(0.05)
            assert not publisher.direct
            link.answer(only=frozenset({1}))
            await until(lambda: publisher.direct, "what is left is young")

    run(test)


def test_one_that_the_producer_gives_back_is_sent_again_from_the_spool(tmp_path: Path) -> None:
    async def test() -> None:
        async with publishing(tmp_path, seconds=PATIENCE) as (publisher, link):
            publisher._to_spool("test")
            publisher.publish(fresh(1))
            await until(lambda: publisher.direct, "direct, with one on its way")
            link.answer(lambda _m: KafkaError._TIMED_OUT)
            assert not publisher.direct
            await until(lambda: len(link.had) == 2, "sent again")
            link.answer()
            await until(lambda: publisher.direct and publisher.spool.used == 0, "direct")
            assert [m.sequence for m in link.had] == [1, 1]

    run(test)


def test_what_is_held_goes_to_the_disk_when_it_may_wait_no_longer(tmp_path: Path) -> None:
    async def test() -> None:
        async with publishing(tmp_path, seconds=0.2) as (publisher, _link):
            publisher._to_spool("test")
            publisher._turning = True
            held = fresh(1)
            publisher.publish(held)
            assert outcomes(held) == [Outcome.OPEN]
            await until(lambda: outcomes(held) == [Outcome.SPOOL], "durable")

    run(test)
