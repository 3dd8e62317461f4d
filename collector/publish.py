"""Messages to Kafka, and to the spool while Kafka is away: every message one outcome, in order, none lost, none twice.

Two modes. *Direct*: a message is handed to the producer and is durable when Kafka says so. If one waits longer than the
limit, all that are unanswered go to the spool too (the producer keeps trying them), and the mode is *spool*: what
comes is written to disk, is durable once fsynced, and is handed to the producer in order, a window at a time. When
Kafka has everything of every spool folder, the mode is direct again. All state lives on the event loop.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from confluent_kafka import KafkaError

from collector.dead_letter import DeadLetters
from collector.message import Message, Outcome, encode
from collector.producer import DOUBTFUL, HOPELESS, Answer
from collector.spool import Append, SpoolFolder, SpoolFull, SpoolWriter
from runtime import log

TRIES = 5
"""How often a doubtful message of the spool is tried before it is set aside."""
HOPELESS_SECONDS = 60.0
"""So long after a message was set aside for its topic, others of that topic are set aside at their first refusal."""
PAUSE = 1.0
"""Seconds before refused messages are tried again."""
_log = log.get(__name__)


class Link(Protocol):
    """What the publisher needs of a producer (see :class:`collector.producer.KafkaLink`)."""

    fatal: bool

    def hand(self, message: Message) -> bool: ...
    def purge(self) -> None: ...
    def renew(self) -> None: ...
    def stop(self) -> None: ...


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
        self.link, self._own, self._dead_letters = link, folder, dead_letters
        self._publish_seconds, self._window = publish_seconds, window
        self.on_topic_missing: Callable[[str], None] = lambda _topic: None
        self._loop = asyncio.get_running_loop()
        self.direct = True
        self._waiting: dict[Message, float] = {}  # handed directly, no outcome yet: when it must be in the spool
        self._appending = 0  # records queued for the disk
        self._handed = 0  # messages the producer has not answered
        self._again: list[Message] = []  # spooled messages the producer gave back
        self._retry_at = 0.0
        self._adopted: list[SpoolFolder] = []  # of dead processes, oldest first
        self._hopeless: dict[str, float] = {}  # topics that refused a message for good, and when
        self._trimming = asyncio.Lock()
        self._wake = asyncio.Event()
        self.set_aside = 0
        self.spooled = 0
        self.spool = SpoolWriter(
            folder,
            self._on_group,
            max_bytes=max_bytes,
            min_free_bytes=min_free_bytes,
        )
        self._tasks = {self._loop.create_task(self._watch_clock()), self._loop.create_task(self._drain())}

    def room(self) -> bool:
        """Whether an event taken now would find a place: always while Kafka answers, else if the spool has room."""
        return self.direct or self.spool.room_for(4096)

    def publish(self, messages: Sequence[Message]) -> None:
        """Send messages on their way; each one's ``settle`` is called when its outcome is known."""
        if not self.direct:
            self._append(messages)
            return
        deadline = self._loop.time() + self._publish_seconds
        for index, message in enumerate(messages):
            self._waiting[message] = deadline
            if not self._hand(message):
                for rest in messages[index:]:
                    self._waiting[rest] = deadline
                self._spill("the producer takes no more")
                return

    def publish_aside(self, message: Message) -> None:
        """Send one that has no place in the spool, such as a receipt: LOST when the producer does not deliver it."""
        message.aside = True
        if not self._hand(message):
            message.resolve(Outcome.LOST)

    def adopt(self, folder: SpoolFolder, size: int) -> None:
        """Deliver a dead process's spool, before everything that comes from now on."""
        self._adopted.append(folder)
        self.spool.used += size
        self._to_spool(f"taking over {folder.path.name}")

    def adopted_oldest_us(self, folder: SpoolFolder) -> int | None:
        """When the oldest undelivered record of an adopted folder was received; None: it is delivered and gone."""
        return folder.oldest_us() if folder in self._adopted else None

    def oldest_us(self) -> int | None:
        """When the oldest message of this process that Kafka does not have was received; None: it has all."""
        waiting = min((m.received_us for m in self._waiting), default=None)
        spooled = self._own.oldest_us()
        return min((t for t in (waiting, spooled) if t is not None), default=None)

    def backlog(self) -> int:
        """Records of the spool that Kafka does not have."""
        return sum(max(0, folder.end - folder.cursor) for folder in self.folders())

    async def stop(self, grace: float) -> None:
        """Let the spool take what Kafka has not answered, and note how far it was delivered.

        What the producer has of the spool gets ``grace`` seconds to be answered: it would be sent again otherwise.
        """
        if self._waiting:
            self._spill("stopping")
        while self._appending:
            await asyncio.sleep(0.005)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        deadline = self._loop.time() + grace
        while self._handed and self._loop.time() < deadline:
            await asyncio.sleep(0.02)
        await asyncio.to_thread(self.link.stop)
        await asyncio.sleep(0)  # the last answers
        await asyncio.to_thread(self.spool.close)
        for folder in self.folders():
            await asyncio.to_thread(folder.trim)
            folder.close(remove=folder.empty())

    # -- direct ---------------------------------------------------------------------------------------------------

    def _hand(self, message: Message) -> bool:
        message.handed = self.link.hand(message)
        self._handed += message.handed
        return message.handed

    def on_answers(self, answers: list[Answer]) -> None:
        """The producer's answers, in order."""
        self._handed -= len(answers)
        for message, error in answers:
            message.handed = False
            if error is None:
                message.delivered = True
                self._waiting.pop(message, None)
                message.resolve(Outcome.KAFKA)
                if message.place is not None:
                    self._delivered(message)
            elif message.place is not None:
                self._refused(message, error)
            elif message.aside:
                message.resolve(Outcome.LOST)
            elif message.outcome is Outcome.OPEN:
                self._refused_directly(message, error)
        if self.link.fatal and self.direct:
            self._spill("the producer gave up on itself")
        if not self.direct:
            self._wake.set()

    def _refused_directly(self, message: Message, error: KafkaError) -> None:
        if message not in self._waiting:
            return  # on its way to the disk; what gave it back will be tried from there
        if error.code() in HOPELESS or error.code() in DOUBTFUL:
            _log.error("Kafka refuses an event", topic=message.topic, sequence=message.sequence, error=error.str())
            if error.code() in DOUBTFUL:
                self.on_topic_missing(message.topic)
            del self._waiting[message]
            message.resolve(Outcome.LOST)
        else:
            self._spill(error.str())

    async def _watch_clock(self) -> None:
        """Whatever waits too long for Kafka goes to the spool."""
        step = min(0.1, self._publish_seconds / 4)
        while True:
            await asyncio.sleep(step)
            oldest = next(iter(self._waiting.values()), None)
            if oldest is not None and oldest <= self._loop.time():
                self._spill(f"no answer from Kafka in {self._publish_seconds:g} s")

    # -- spool ----------------------------------------------------------------------------------------------------

    def _to_spool(self, reason: str) -> None:
        if self.direct:
            self.direct = False
            _log.warning("events go through the spool", reason=reason)
        self._wake.set()

    def _spill(self, reason: str) -> None:
        """All that waits for Kafka goes to the spool as well, in order."""
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
            if append.first is None:
                self.spool.used -= append.size
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
                        self._delivered(message)
                message.resolve(Outcome.SPOOL)
        self._wake.set()

    def _delivered(self, message: Message) -> None:
        assert message.place is not None  # noqa: S101 - for the type checker
        folder, ordinal = message.place
        folder.delivered(ordinal)

    def _refused(self, message: Message, error: KafkaError) -> None:
        code, now = error.code(), self._loop.time()
        if code in DOUBTFUL:
            message.attempts += 1
            if message.attempts >= TRIES:
                self._hopeless[message.topic] = now
            if now - self._hopeless.get(message.topic, -HOPELESS_SECONDS) < HOPELESS_SECONDS:
                code = KafkaError.INVALID_RECORD
        if code not in HOPELESS:
            self._again.append(message)
            self._retry_at = now + PAUSE
            return
        self.set_aside += 1
        _log.error(
            "set aside: Kafka never takes this message",
            topic=message.topic,
            collector_id=message.collector_id,
            sequence=message.sequence,
            error=error.str(),
            folder=str(self._dead_letters.folder),
        )
        task = self._loop.create_task(self._put_aside(message, error.str()))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _put_aside(self, message: Message, error: str) -> None:
        """Only what lies in the dead-letter folder may leave the spool; a full disk is waited for."""
        while True:
            try:
                await asyncio.to_thread(self._dead_letters.put, message, error, time.time())
                break
            except OSError as trouble:
                _log.error("the dead-letter folder cannot be written", error=str(trouble))
                await asyncio.sleep(PAUSE)
        self._delivered(message)
        self._wake.set()

    def folders(self) -> list[SpoolFolder]:
        """The spool's folders, oldest first, our own last."""
        return [*self._adopted, self._own]

    async def _drain(self) -> None:
        """Hand the spool to the producer in order; back to direct once Kafka has all of it."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            if self.direct:
                continue
            try:
                await self._drain_some()
            except OSError as error:
                _log.error("the spool cannot be read", error=str(error))
                self._loop.call_later(PAUSE, self._wake.set)

    async def _drain_some(self) -> None:
        if self.link.fatal:
            if self._handed:
                self.link.purge()
                return
            self.link.renew()
        self._hand_again()
        for folder in self.folders():
            while folder.read < folder.end:
                room = min(self._window - self._handed, 1000)
                if room <= 0 or self._must_wait():
                    return
                for ordinal, message in await asyncio.to_thread(folder.take, room, folder.end):
                    message.place = (folder, ordinal)
                    if self._must_wait() or not self._hand(message):
                        self._again.append(message)
                        self._pause()
            if folder is self._own:
                break
            if not folder.empty():
                return  # in order: what is older first
            await self._let_go(folder)
        if self._own.empty() and not self._adopted and not self._appending and not self._again:
            await self._back_to_direct()

    def _must_wait(self) -> bool:
        """Whether a message was given back that none may overtake; one that its topic refuses holds up none."""
        return any(not message.attempts for message in self._again)

    def _hand_again(self) -> None:
        """Hand what was given back, in order, once everything else is answered."""
        if not self._again or (self._handed and self._must_wait()):
            return
        if self._loop.time() < self._retry_at:
            self._pause()
            return
        order = {folder: index for index, folder in enumerate(self.folders())}
        again = sorted(self._again, key=lambda m: (order[m.place[0]], m.place[1]) if m.place else (0, 0))
        self._again = []
        for index, message in enumerate(again):
            if not self._hand(message):
                self._again = again[index:]
                self._pause()
                return

    def _pause(self) -> None:
        self._retry_at = max(self._retry_at, self._loop.time() + 0.05)
        self._loop.call_at(self._retry_at, self._wake.set)

    async def _let_go(self, folder: SpoolFolder) -> None:
        async with self._trimming:
            self.spool.used -= await asyncio.to_thread(folder.size)
            await asyncio.to_thread(lambda: folder.close(remove=True))
            self._adopted.remove(folder)
        _log.info("a predecessor's spool is delivered", folder=folder.path.name)

    async def _back_to_direct(self) -> None:
        self.direct = True
        self.spool.renew()
        async with self._trimming:
            self.spool.used -= await asyncio.to_thread(self._own.trim, self._own.end)
        _log.info("the spool is empty: events go to Kafka directly")

    async def maintain(self) -> None:
        """Note how far the spool was delivered, and free its disk space; to be called now and then."""
        async with self._trimming:
            for folder in self.folders():
                self.spool.used -= await asyncio.to_thread(folder.trim)
