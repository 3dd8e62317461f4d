"""What a collector does beside answering: receipts, taking over what dead processes left, fresh keys, known topics."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from confluent_kafka import KafkaException

from collector.announce import Receipts
from collector.app import App
from collector.dead_letter import DeadLetters
from collector.keys import KeyRing
from collector.metrics import Metrics
from collector.producer import KafkaLink
from collector.publish import Publisher
from collector.receipts import ReceiptBook
from collector.settings import CollectorSettings
from collector.spool import SpoolFolder
from collector.topic_names import names
from contracts.registry import Registry
from runtime import log

FIRST_RECEIPT_SECONDS = 5.0
"""How long the first event waits for Kafka to know of this process; longer than a lander's heartbeat, which by then has
met Kafka's absence too and promises nothing more (see ``collector.land_promise``)."""
LAST_RECEIPT_SECONDS = 5.0
SCAN_SECONDS = 5.0
_log = log.get(__name__)


class Housekeeping:
    """The collector's periodic work. ``start`` before the first request, ``stop`` after the last."""

    def __init__(
        self,
        settings: CollectorSettings,
        *,
        registry: Registry,
        app: App,
        book: ReceiptBook,
        publisher: Publisher,
        link: KafkaLink,
        keys: KeyRing,
        metrics: Metrics,
    ) -> None:
        self._settings, self._app, self._book = settings, app, book
        self._publisher, self._link, self._keys = publisher, link, keys
        self._topics = names(registry)
        self._dead_letters = DeadLetters.of(settings.collector_state_dir)
        self._receipts = Receipts(
            book,
            publisher,
            spool_dir=settings.spool_dir,
            now_us=app.now_us,
            seconds=settings.collector_receipt_seconds,
        )
        self._damaged: set[Path] = set()
        self._tasks: list[asyncio.Task[None]] = []
        self._check_topics = asyncio.Event()
        publisher.on_topic_missing = self._on_topic_missing
        metrics.gauges += [
            ("watershed_collector_direct", "1: events go to Kafka; 0: through the spool.", lambda: publisher.direct),
            ("watershed_collector_spool_messages", "Messages that only the spool has.", publisher.backlog),
            ("watershed_collector_spool_bytes", "Bytes of the spool on disk.", lambda: publisher.spool.used),
            ("watershed_collector_in_flight", "Requests at work.", lambda: app.in_flight),
            ("watershed_collector_dead_letters", "Messages set aside.", lambda: len(self._dead_letters.files())),
            ("watershed_collector_missing_topics", "Topics Kafka lacks.", lambda: len(app.missing_topics)),
            ("watershed_collector_orphans", "Dead processes left to settle.", lambda: len(self._receipts.orphans)),
            ("watershed_collector_announced", "1: Kafka has a receipt of ours.", lambda: self._receipts.announced),
        ]
        metrics.counters += [
            ("watershed_collector_spooled", "Messages that went to the spool.", lambda: publisher.spooled),
            ("watershed_collector_set_aside", "Messages Kafka never takes.", lambda: publisher.drain.set_aside),
        ]

    async def start(self) -> None:
        """Take over what dead processes left, before anything newer is taken; then begin the periodic work."""
        await self._adopt()
        # Known before the first event is taken: "complete through" must not pass what this process takes.
        if not await self._receipts.publish(self._book, closed=False, seconds=FIRST_RECEIPT_SECONDS):
            _log.warning("Kafka did not take the first receipt; it is sent as soon as Kafka is there")
        every = [
            (1.0, self._each_second),
            (SCAN_SECONDS, self._adopt),
            (self._settings.collector_receipt_seconds, self._receipts.publish_all),
        ]
        self._tasks = [asyncio.create_task(_repeat(seconds, work)) for seconds, work in every]
        self._tasks.append(asyncio.create_task(self._watch_topics()))

    async def stop(self, until: float) -> None:
        """The last receipt, closed if Kafka has everything; else the next start writes it.

        ``until``, by the loop's clock: when it has to be done, but for what the disk takes.
        """
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        loop = asyncio.get_running_loop()
        complete = self._publisher.direct and self._publisher.oldest_us() is None and not self._app.in_flight
        seconds = min(LAST_RECEIPT_SECONDS if self._publisher.direct else 1.0, max(0.1, until - loop.time()))
        told = await self._receipts.publish(self._book, closed=complete, seconds=seconds)
        if not told:
            _log.warning("Kafka did not take the last receipt; the next start sends it")
        await self._publisher.stop(grace=min(2.0, max(0.0, until - loop.time())))
        _log.info(
            "stopped", assigned=self._book.assigned, acknowledged=self._book.acknowledged, closed=told and complete
        )
        self._receipts.close(settled=told and complete)

    async def _each_second(self) -> None:
        self._keys.refresh()
        await self._publisher.drain.maintain()

    async def _adopt(self) -> None:
        """Spools and receipts whose process is dead, of this state folder."""
        known = {folder.path for folder in self._publisher.drain.folders()}
        for path in sorted(p for p in self._settings.spool_dir.glob("[0-9]*") if p not in known):
            folder = await asyncio.to_thread(SpoolFolder.lock, path)
            if folder is None:
                continue
            for damage in await asyncio.to_thread(folder.recover):
                name = f"{path.name}-{damage.path.stem}-{damage.offset}"
                with damage.path.open("rb") as file:
                    file.seek(damage.offset)
                    kept = await asyncio.to_thread(self._dead_letters.keep_bytes, name, file.read())
                _log.error(
                    "a spool segment is damaged" if damage.missing else "a write to the spool was cut short",
                    records_missing=len(damage.missing),
                    kept=str(kept),
                )
            if folder.empty():
                folder.close(remove=True)
                continue
            _log.warning("taking over a spool", folder=path.name, records=folder.end - folder.cursor)
            self._receipts.adopted[path.name.rpartition("-")[2]] = folder
            self._publisher.adopt(folder, await asyncio.to_thread(folder.size))
        self._receipts.orphans += ReceiptBook.orphans(self._settings.receipts_dir, self._on_damaged)

    def _on_damaged(self, path: Path, error: Exception) -> None:
        if path not in self._damaged:
            self._damaged.add(path)
            _log.error("a file of receipts cannot be read", path=str(path), error=str(error))

    def _on_topic_missing(self, topic: str) -> None:
        self._app.missing_topics |= {topic}
        self._check_topics.set()

    async def _watch_topics(self) -> None:
        """Which of the contracts' topics Kafka lacks; asked at the start, and again while one is missing."""
        while True:
            self._check_topics.clear()
            try:
                present = await asyncio.to_thread(self._link.topics, 2.0)
            except KafkaException as error:
                _log.warning("the brokers do not answer", error=str(error))
                unknown = True
            else:
                unknown = False
                missing = frozenset(self._topics - present)
                if missing != self._app.missing_topics:
                    self._app.missing_topics = missing
                    _log.warning("Kafka's topics", missing=sorted(missing))
            if unknown or self._app.missing_topics:
                await asyncio.sleep(SCAN_SECONDS)
            else:
                await self._check_topics.wait()


async def _repeat(seconds: float, work: Callable[[], Awaitable[None]]) -> None:
    """Do ``work`` again and again; its failure is logged, and tried again next time."""
    while True:
        await asyncio.sleep(seconds)
        try:
            await work()
        except Exception:
            _log.exception("periodic work failed", work=getattr(work, "__name__", str(work)))
