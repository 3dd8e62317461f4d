"""Every message gets one outcome, in order; what Kafka does not answer is on disk; what it refuses for good, aside."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from confluent_kafka import KafkaError

from collector import drain
from collector.dead_letter import DeadLetters
from collector.message import Message, Outcome
from collector.producer import Answer
from collector.publish import Publisher
from collector.spool import SpoolFolder


class FakeLink:
    """A producer that answers when the test says so."""

    def __init__(self) -> None:
        self.fatal, self.unanswered, self.full = False, 0, False
        self.had: list[Message] = []  # every message ever handed over
        self.open: list[Message] = []
        self.renewed = 0
        self.publisher: Publisher

    def hand(self, message: Message) -> bool:
        if self.full or self.fatal:
            return False
        message.handed = True
        self.unanswered += 1
        self.had.append(message)
        self.open.append(message)
        return True

    def answer(
        self, error: Callable[[Message], int | None] = lambda _m: None, only: frozenset[int] | None = None
    ) -> None:
        answered = [m for m in self.open if only is None or m.sequence in only]
        self.open = [m for m in self.open if m not in answered]
        answers: list[Answer] = []
        for message in answered:
            code = error(message)
            message.handed = False
            self.unanswered -= 1
            answers.append((message, None if code is None else KafkaError(code)))
        self.publisher.on_answers(answers)

    def purge(self) -> None:
        self.answer(lambda _m: KafkaError._PURGE_QUEUE)

    def renew(self) -> None:
        assert not self.unanswered
        self.fatal = False
        self.renewed += 1

    def stop(self) -> None:
        pass


def message(sequence: int, topic: str = "events.page_view") -> Message:
    return Message(topic, b"k", b'{"n":%d}' % sequence, 1_000_000 + sequence, "c" * 16, sequence)


def messages(*sequences: int) -> list[Message]:
    return [message(n) for n in sequences]


@asynccontextmanager
async def publishing(
    folder: Path, seconds: float = 0.1, window: int = 100
) -> AsyncIterator[tuple[Publisher, FakeLink]]:
    link, own = FakeLink(), SpoolFolder.lock(folder / "spool")
    assert own is not None
    publisher = Publisher(
        link,
        own,
        DeadLetters(folder / "dead"),
        publish_seconds=seconds,
        window=window,
        max_bytes=1 << 20,
        min_free_bytes=0,
    )
    link.publisher = publisher
    yield publisher, link
    await publisher.stop(grace=0)


async def until(holds: Callable[[], Any], what: str) -> None:
    for _ in range(400):
        if holds():
            return
        await asyncio.sleep(0.005)
    raise AssertionError(what)


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(test(), 20))


def outcomes(sent: list[Message]) -> list[Outcome]:
    return [m.outcome for m in sent]


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
            assert publisher.spool.used == 0 or await _soon(lambda: publisher.spool.used == 0)

    run(test)


async def _soon(holds: Callable[[], bool]) -> bool:
    await until(holds, "soon")
    return True


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
