"""What lies in the spool reaches Kafka in order; what Kafka refuses for good goes aside and holds up nobody."""

import asyncio
from pathlib import Path
from typing import Any

from confluent_kafka import KafkaError

from collector import drain
from collector.dead_letter import DeadLetters
from collector.message import Message, Outcome
from collector.spool import SpoolFolder
from tests.unit.collector.publishing_kit import message, messages, outcomes, publishing, run, until


def test_the_window_bounds_what_the_producer_holds_and_the_order_is_kept(tmp_path: Path) -> None:
    async def test() -> None:
        async with publishing(tmp_path, window=10) as (publisher, link):
            publisher._to_spool("test")
            sent = messages(*range(1, 36))
            for one in sent:
                publisher.publish([one])
            seen = 0
            while seen < 35:
                await until(lambda before=seen: len(link.had) > before, "more is handed over")
                await asyncio.sleep(0.01)
                assert len(link.open) <= 10
                seen = len(link.had)
                link.answer()
            assert [m.sequence for m in link.had] == list(range(1, 36))
            await until(lambda: publisher.direct, "direct again")

    run(test)


def test_what_comes_back_with_an_error_that_may_pass_is_handed_over_again_in_order(
    tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr(drain, "PAUSE", 0.02)

    async def test() -> None:
        async with publishing(tmp_path) as (publisher, link):
            publisher._to_spool("test")
            sent = messages(1, 2, 3, 4)
            publisher.publish(sent)
            await until(lambda: len(link.open) == 4, "handed over")
            link.answer(lambda m: KafkaError._TRANSPORT if m.sequence in (2, 3) else None)
            await until(lambda: len(link.had) == 6, "handed over again")
            assert [m.sequence for m in link.had[4:]] == [2, 3]
            link.answer()
            await until(lambda: publisher.direct, "direct again")

    run(test)


def test_what_comes_back_waits_for_what_was_handed_over_with_it(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(drain, "PAUSE", 0.01)

    async def test() -> None:
        async with publishing(tmp_path) as (publisher, link):
            publisher._to_spool("test")
            publisher.publish(messages(1, 2, 3))
            await until(lambda: len(link.open) == 3, "handed over")
            link.answer(lambda _m: KafkaError._TRANSPORT, only=frozenset({2}))
            publisher.publish(messages(4))
            await asyncio.sleep(0.1)
            assert len(link.had) == 3, "3 may come back too, and would then be behind 2 and 4"
            link.answer(lambda m: KafkaError._TRANSPORT if m.sequence == 3 else None)
            await until(lambda: len(link.had) == 6, "handed over again")
            assert [m.sequence for m in link.had[3:]] == [2, 3, 4]
            link.answer()
            await until(lambda: publisher.direct, "direct again")

    run(test)


def test_a_hopeless_message_of_the_spool_is_set_aside_and_the_rest_is_delivered(tmp_path: Path) -> None:
    async def test() -> None:
        async with publishing(tmp_path) as (publisher, link):
            publisher._to_spool("test")
            publisher.publish(messages(1, 2, 3))
            await until(lambda: len(link.open) == 3, "handed over")
            link.answer(lambda m: KafkaError.MSG_SIZE_TOO_LARGE if m.sequence == 2 else None)
            await until(lambda: publisher.direct, "direct again")
            assert publisher.drain.set_aside == 1
            letters = DeadLetters(tmp_path / "dead")
            (path,) = letters.files()
            letter, error = letters.read(path)
            assert (letter.sequence, letter.value) == (2, b'{"n":2}')
            assert error

    run(test)


def test_a_topic_unknown_for_a_moment_is_tried_again_and_one_unknown_for_good_holds_up_nobody(
    tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr(drain, "PAUSE", 0.01)

    async def test() -> None:
        async with publishing(tmp_path) as (publisher, link):
            publisher._to_spool("test")
            publisher.publish([message(1, "events.gone"), *messages(2), message(3, "events.gone")])

            def gone(one: Message) -> int | None:
                return KafkaError._UNKNOWN_TOPIC if one.topic == "events.gone" else None

            await until(lambda: len(link.open) == 3, "handed over")
            link.answer(gone)
            publisher.publish(messages(4))
            await until(lambda: any(m.sequence == 4 for m in link.had), "what comes behind goes on")
            for _ in range(200):
                link.answer(gone)
                await asyncio.sleep(0.005)
                if publisher.direct:
                    break
            assert publisher.direct
            assert publisher.drain.set_aside == 2
            assert sum(m.sequence == 1 for m in link.had) == drain.TRIES

    run(test)


def test_a_predecessors_spool_goes_before_what_comes_now(tmp_path: Path) -> None:
    async def test() -> None:
        async with publishing(tmp_path / "dead-one", seconds=60) as (publisher, _link):
            publisher.publish(messages(1, 2))
        async with publishing(tmp_path / "new") as (publisher, link):
            old = SpoolFolder.lock(tmp_path / "dead-one" / "spool")
            assert old is not None
            old.recover()
            publisher.adopt(old, old.size())
            sent = messages(7)
            publisher.publish(sent)
            await until(lambda: outcomes(sent) == [Outcome.SPOOL], "behind the older ones")
            await until(lambda: len(link.open) == 2, "the old ones first")
            assert [m.sequence for m in link.had] == [1, 2]
            assert publisher.adopted_oldest_us(old) == 1_000_001
            link.answer()
            await until(lambda: len(link.open) == 1, "then the new one")
            link.answer()
            await until(lambda: publisher.direct, "direct")
            assert not (tmp_path / "dead-one" / "spool").exists()

    run(test)
