"""Messages to Kafka, and to the spool while Kafka is away: every message one outcome, in order, none lost, none twice.

Two modes. *Direct*: a message is handed to the producer and is durable when Kafka says so. If one waits longer than the
limit, all that are unanswered go to the spool too (the producer keeps trying them), and the mode is *spool*: what
comes is written to disk, is durable once fsynced, and is handed to the producer in order, a window at a time. When the
producer has everything of every spool folder, and Kafka answers well within the limit, the mode is direct again. It is
not waited for that Kafka has everything: where events come without a pause, something is always on its way.

All state lives on the event loop.
"""

import asyncio
import time
from collections.abc import Callable, Sequence

from confluent_kafka import KafkaError

from collector.dead_letter import DeadLetters
from collector.drain import Drain, Link
from collector.message import Message, Outcome, encode
from collector.producer import DOUBTFUL, HOPELESS, Answer
from collector.spool import SpoolFolder
from collector.spool_write import Append, SpoolFull, SpoolWriter
from runtime import log

LEAST_ROOM = 4096
"""Bytes. With less room in the spool no event is begun."""
IN_TIME = 0.5
"""The part of the limit within which Kafka must answer before anything is handed to it directly again."""
_log = log.get(__name__)


class Publisher:
    """Takes messages, resolves each one's outcome. ``on_topic_missing`` is told of topics the brokers do not know."""

    def __init__(
        self,
        link: Link,
        folder: SpoolFolder,
        dead_letters: DeadLetters,
        *,
        publish_seconds: float,
        window: int,
        max_bytes: int,
        min_free_bytes: int,
    ) -> None:
        self._link, self._own, self._publish_seconds = link, folder, publish_seconds
        self.on_topic_missing: Callable[[str], None] = lambda _topic: None
        self._loop = asyncio.get_running_loop()
        self.direct = True
        self.spooled = 0
        self._turning = False  # to direct: what comes is held until the producer has what is on its way to the disk
        self._on_disk = False  # segments of our own may be there
        self._waiting: dict[Message, float] = {}  # not in the spool, no outcome yet: when it must be in the spool
        self._appending = 0  # appends queued for the disk
        self.spool = SpoolWriter(folder, self._on_group, max_bytes=max_bytes, min_free_bytes=min_free_bytes)
        self.drain = Drain(link, self.spool, folder, dead_letters, window=window, on_handed=self._back_to_direct)
        self._clock = self._loop.create_task(self._watch_clock())

    def room(self) -> bool:
        """Whether an event taken now would find a place: always while Kafka answers, else if the spool has room."""
        return self.direct or self.spool.room_for(LEAST_ROOM)

    def publish(self, messages: Sequence[Message]) -> None:
        """Send messages on their way; each one's ``settle`` is called when its outcome is known."""
        if not self.direct and not self._turning:
            self._append(messages)
            return
        deadline = self._loop.time() + self._publish_seconds
        for message in messages:
            self._waiting[message] = deadline
        if self.direct:
            self._hand(messages)

    def publish_aside(self, message: Message) -> None:
        """Send one that has no place in the spool, such as a receipt: LOST when the producer does not deliver it."""
        message.aside = True
        if not self._link.hand(message):
            message.resolve(Outcome.LOST)

    def adopt(self, folder: SpoolFolder, size: int) -> None:
        """Deliver a dead process's spool of ``size`` bytes, before everything that comes from now on."""
        self.spool.used += size
        self.drain.adopt(folder)
        if self._turning:
            self._spill(f"taking over {folder.path.name}")
        else:
            self._to_spool(f"taking over {folder.path.name}")

    def adopted_oldest_us(self, folder: SpoolFolder) -> int | None:
        """When the oldest undelivered record of an adopted folder was received; None: it is delivered and gone."""
        return folder.oldest_us() if folder in self.drain.folders() else None

    def oldest_us(self) -> int | None:
        """When the oldest message of this process that Kafka does not have was received; None: it has all."""
        waiting = min((m.received_us for m in self._waiting), default=None)
        queued = self.spool.oldest_queued_us()
        return min((t for t in (waiting, queued, self._own.oldest_us()) if t is not None), default=None)

    def backlog(self) -> int:
        """Records of the spool that Kafka does not have."""
        return sum(max(0, folder.end - folder.cursor) for folder in self.drain.folders())

    def to_disk(self, reason: str) -> None:
        """Have the spool take what waits for Kafka, if anything does, without waiting any longer."""
        if self._waiting:
            self._spill(reason)

    async def stop(self, grace: float) -> None:
        """Let the spool take what Kafka has not answered, and note how far it was delivered.

        What the producer has of the spool gets ``grace`` seconds to be answered: it would be sent again otherwise.
        """
        self._clock.cancel()
        self.to_disk("stopping")
        while self._appending:
            await asyncio.sleep(0.005)
        await self.drain.stop()
        deadline = self._loop.time() + grace
        while self._link.unanswered and self._loop.time() < deadline:
            await asyncio.sleep(0.02)
        await asyncio.to_thread(self._link.stop)
        await asyncio.sleep(0)  # the last answers
        await asyncio.to_thread(self.spool.close)
        for folder in self.drain.folders():
            await asyncio.to_thread(folder.trim)
            folder.close(remove=folder.empty())

    def on_answers(self, answers: list[Answer]) -> None:
        """The producer's answers, in order."""
        for message, error in answers:
            if error is None:
                message.delivered = True
                self._waiting.pop(message, None)
                message.resolve(Outcome.KAFKA)
                if message.place is not None:
                    self.drain.delivered(message)
            elif message.place is not None:
                self._to_spool("the producer gave back an event of the spool")
                self.drain.refused(message, error)
            elif message.aside:
                message.resolve(Outcome.LOST)
            elif message in self._waiting:
                self._refused(message, error)
            # else: on its way to the disk; the drain will find there that it was not delivered
        if self._link.fatal and self.direct:
            self._spill("the producer gave up on itself")
        if self._on_disk:
            self.drain.wake()

    def _hand(self, messages: Sequence[Message]) -> None:
        for message in messages:
            if not self._link.hand(message):
                self._spill("the producer takes no more")
                return

    def _refused(self, message: Message, error: KafkaError) -> None:
        """The producer gave back a message whose request still waits."""
        if error.code() not in HOPELESS and error.code() not in DOUBTFUL:
            self._spill(error.str())
            return
        _log.error("Kafka refuses an event", topic=message.topic, sequence=message.sequence, error=error.str())
        if error.code() in DOUBTFUL:
            self.on_topic_missing(message.topic)
        del self._waiting[message]
        message.resolve(Outcome.LOST)

    async def _watch_clock(self) -> None:
        """Whatever waits too long for Kafka goes to the spool."""
        step = min(0.1, self._publish_seconds / 4)
        while True:
            await asyncio.sleep(step)
            oldest = next(iter(self._waiting.values()), None)
            if oldest is not None and oldest <= self._loop.time():
                self._spill(f"no answer from Kafka in {self._publish_seconds:g} s")

    def _to_spool(self, reason: str) -> None:
        if self.direct:
            self.direct = False
            self._on_disk = True
            _log.warning("events go through the spool", reason=reason)
        self.drain.wake()

    async def _back_to_direct(self) -> None:
        """The producer has all of the spool that is on the disk: what comes now may follow it."""
        if not self.direct:
            if self._late():
                if self._turning:
                    self._spill("Kafka answers late")
                return
            self._turning = bool(self._appending)
            if self._turning:
                return  # called again when that is on the disk
            self.direct = True
            _log.info("the producer has all of the spool: events go to Kafka directly")
            self._hand(list(self._waiting))
        if self._on_disk and self._own.empty():
            self._on_disk = False
            await self.drain.empty_own()

    def _late(self) -> bool:
        """Whether Kafka takes too long over what the producer has of the spool."""
        oldest_us = self._own.oldest_us()
        return oldest_us is not None and time.time() - oldest_us / 1e6 > IN_TIME * self._publish_seconds

    def _spill(self, reason: str) -> None:
        """All that waits for Kafka goes to the spool as well, in order."""
        self._turning = False
        self._to_spool(reason)
        waiting = sorted(self._waiting, key=lambda m: m.sequence)
        self._waiting.clear()
        self._append(waiting)

    def _append(self, messages: Sequence[Message]) -> None:
        if not messages:
            return
        try:
            self.spool.append(Append([encode(m) for m in messages], list(messages)))
        except SpoolFull as full:
            _log.error("the spool is full", reason=str(full), messages=len(messages))
            for message in messages:
                message.resolve(Outcome.LOST)
        else:
            self._appending += 1

    def _on_group(self, group: list[Append]) -> None:
        self._loop.call_soon_threadsafe(self._on_written, group)

    def _on_written(self, group: list[Append]) -> None:
        for append in group:
            self._appending -= 1
            self.spool.settled(append)
            if append.first is None:
                for message in append.messages:
                    message.resolve(Outcome.LOST)
                continue
            self._own.announced(append.first, len(append.messages), append.received_us)
            self.spooled += len(append.messages)
            for ordinal, message in enumerate(append.messages, append.first):
                if message.handed or message.delivered:
                    # The producer has it already: the drain leaves it out.
                    message.place = (self._own, ordinal)
                    self._own.placed.add(ordinal)
                    if message.delivered:
                        self.drain.delivered(message)
                message.resolve(Outcome.SPOOL)
        self.drain.wake()
