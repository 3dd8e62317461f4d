"""Receipts go out one at a time, never wait for Kafka without a bound, and tell of the dead what Kafka has of them."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from confluent_kafka import KafkaError

from collector.announce import Receipts
from collector.receipts import ReceiptBook
from tests.unit.collector.publishing_kit import FakeLink, publishing, run, until

NOW = 1_795_435_200_000_000
CELL = ("acme", "page_view", NOW)


@asynccontextmanager
async def receipts(folder: Path, name: str = "a" * 16) -> AsyncIterator[tuple[Receipts, ReceiptBook, FakeLink]]:
    async with publishing(folder, seconds=60) as (publisher, link):
        book = ReceiptBook.create(folder / "receipts", name, NOW)
        made = Receipts(book, publisher, spool_dir=folder / "spools", now_us=lambda: NOW, seconds=0.05)
        yield made, book, link
        made.close(settled=False)


def count(book: ReceiptBook, accepted: int) -> None:
    slot, _ = book.begin(accepted) or (0, 0)
    book.settle(slot, {CELL: (accepted, 0, 0)})


def acknowledged(link: FakeLink) -> list[int]:
    return [json.loads(message.value)["acknowledged"] for message in link.had]


def test_while_kafka_is_away_rounds_end_and_one_receipt_waits_not_one_a_round(tmp_path: Path) -> None:
    async def test() -> None:
        async with receipts(tmp_path) as (made, book, link):
            for _ in range(5):
                count(book, 1)
                await asyncio.wait_for(made.publish_all(), 1)
            assert acknowledged(link) == [1]
            assert not made.announced
            link.answer()
            assert made.announced
            round_ = asyncio.create_task(made.publish_all())
            await until(lambda: len(link.open) == 1, "the next receipt")
            link.answer()
            await round_
            assert acknowledged(link) == [1, 5], "the newer one says all that happened meanwhile"

    run(test)


def test_a_receipt_waits_for_the_one_before_and_goes_out_when_that_is_answered(tmp_path: Path) -> None:
    async def test() -> None:
        async with receipts(tmp_path) as (made, book, link):
            assert not await made.publish(book, closed=False, seconds=0.01)
            last = asyncio.create_task(made.publish(book, closed=True, seconds=5))
            await asyncio.sleep(0.02)
            assert len(link.had) == 1
            link.answer()
            await until(lambda: len(link.had) == 2, "the last receipt")
            link.answer()
            assert await last

    run(test)


def test_a_receipt_that_kafka_refuses_is_made_anew_in_the_next_round(tmp_path: Path) -> None:
    async def test() -> None:
        async with receipts(tmp_path) as (made, book, link):
            first = asyncio.create_task(made.publish(book, closed=False, seconds=5))
            await until(lambda: len(link.open) == 1, "handed over")
            link.answer(lambda _m: KafkaError._TRANSPORT)
            assert not await first
            assert not made.announced
            again = asyncio.create_task(made.publish(book, closed=False, seconds=5))
            await until(lambda: len(link.open) == 1, "handed over again")
            link.answer()
            assert await again

    run(test)


def test_the_dead_are_settled_after_kafka_knows_of_us_and_once(tmp_path: Path) -> None:
    dead = ReceiptBook.create(tmp_path / "receipts", "d" * 16, NOW)
    count(dead, 3)
    path = dead.path
    dead.close(remove=False)

    async def test() -> None:
        async with receipts(tmp_path) as (made, _book, link):
            made.orphans += ReceiptBook.orphans(tmp_path / "receipts", lambda path, error: None)
            await made.publish_all()
            assert [m.collector_id for m in link.had] == ["a" * 16], "else nothing would hold back what we take"
            link.answer()
            for _ in range(3):
                await made.publish_all()
                link.answer()
            closing = [json.loads(m.value) for m in link.had if m.collector_id == "d" * 16]
            assert [(c["acknowledged"], c["closed"]) for c in closing] == [(3, True)]
            assert made.orphans == []
            assert not path.exists()

    run(test)
