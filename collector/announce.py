"""The collector's receipts on their way to Kafka: its own, and the last ones of processes that died."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import msgspec

from collector.message import Message, Outcome
from collector.publish import Publisher
from collector.receipts import Published, ReceiptBook
from collector.spool import SpoolFolder
from collector.topic_names import RECEIPTS
from runtime import log

_log = log.get(__name__)


class Receipts:
    """Publishes receipts. Nothing waits for Kafka without a bound, and of each process the producer has at most one.

    Receipts are cumulative: what a newer one says includes what an older one said. So while one is unanswered no other
    is handed over, however long Kafka is away; once it is answered the next is made from the counters as they are then.
    """

    def __init__(
        self, book: ReceiptBook, publisher: Publisher, *, spool_dir: Path, now_us: Callable[[], int], seconds: float
    ) -> None:
        self._book, self._publisher, self._spool_dir = book, publisher, spool_dir
        self._now_us, self._seconds = now_us, seconds
        self._unanswered: dict[str, asyncio.Future[bool]] = {}
        self._closed: set[str] = set()  # dead processes whose last receipt Kafka has
        self._stopped = False
        self.orphans: list[ReceiptBook] = []
        self.adopted: dict[str, SpoolFolder] = {}
        """Spools of dead processes that this one delivers, by collector_id."""
        self.announced = False
        """Whether Kafka has a receipt of this process: nobody else knows of it before."""

    async def publish_all(self) -> None:
        """Our receipt; and the last one of each dead process, once Kafka has all of its spool."""
        await asyncio.to_thread(self._book.flush)
        await self.publish(self._book, closed=False, seconds=self._seconds)
        if not self.announced:
            return  # what a predecessor left open says, in our stead, that not everything is in Kafka
        for orphan in list(self.orphans):
            left = list(self._spool_dir.glob(f"*-{orphan.collector_id}"))
            if orphan.collector_id not in self._closed:
                await self.publish(orphan, closed=not left, seconds=self._seconds)
            if orphan.collector_id in self._closed:
                self._closed.remove(orphan.collector_id)
                self.orphans.remove(orphan)
                orphan.close(remove=True)
                _log.info("settled a dead process's receipts", collector_id=orphan.collector_id)

    async def publish(self, book: ReceiptBook, *, closed: bool, seconds: float) -> bool:
        """Whether Kafka has a receipt of ``book`` as it is now, within ``seconds``."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        before = self._unanswered.get(book.collector_id)
        if before is not None:
            await asyncio.wait([before], timeout=seconds)
            if not before.done():
                return False
        done = self._hand(book, closed=closed)
        if done is None:
            return False
        await asyncio.wait([done], timeout=max(0.0, until - loop.time()))
        return done.done() and done.result()

    def _hand(self, book: ReceiptBook, *, closed: bool) -> asyncio.Future[bool] | None:
        """Give the producer a receipt; the future says whether Kafka took it. None: there is nothing to say."""
        now = self._now_us()
        if book is self._book:
            oldest = self._publisher.oldest_us()
        else:
            folder = self.adopted.get(book.collector_id)
            oldest = self._publisher.adopted_oldest_us(folder) if folder else None
            if oldest is None and not closed:
                return None  # another process delivers it: nothing is known here of how far it is
        receipt, shown = book.snapshot(now, now if oldest is None else min(now, oldest), closed=closed)
        value = msgspec.json.encode(receipt)
        message = Message(RECEIPTS, book.collector_id.encode(), value, now, book.collector_id, 0)
        done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

        def settle(_message: Message, outcome: Outcome) -> None:
            del self._unanswered[book.collector_id]
            taken = outcome is Outcome.KAFKA and not self._stopped
            if taken:
                self._confirm(book, shown, closed=closed)
            done.set_result(taken)

        self._unanswered[book.collector_id] = done
        message.settle = settle
        self._publisher.publish_aside(message)
        return done

    def _confirm(self, book: ReceiptBook, shown: Published, *, closed: bool) -> None:
        book.confirm(shown)
        if book is self._book:
            self.announced = True
        elif closed:
            self._closed.add(book.collector_id)

    def close(self, *, settled: bool) -> None:
        """Let go of the counters; ``settled``: our closing receipt is in Kafka, so ours may go."""
        self._stopped = True
        self._book.close(remove=settled)
        for orphan in self.orphans:
            orphan.close(remove=orphan.collector_id in self._closed)
