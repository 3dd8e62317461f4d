"""A publisher with a producer that answers when the test says so."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from confluent_kafka import KafkaError

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


def message(sequence: int, topic: str = "events.page_view", received_us: int | None = None) -> Message:
    received_us = 1_000_000 + sequence if received_us is None else received_us
    return Message(topic, b"k", b'{"n":%d}' % sequence, received_us, "c" * 16, sequence)


def fresh(sequence: int) -> list[Message]:
    """One, received now."""
    return [message(sequence, received_us=time.time_ns() // 1000)]


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
