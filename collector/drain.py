"""From the spool to Kafka: in order, a window at a time, the oldest folder first; what Kafka never takes goes aside."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Protocol

from confluent_kafka import KafkaError

from collector.dead_letter import DeadLetters
from collector.message import Message
from collector.producer import DOUBTFUL, HOPELESS
from collector.spool import SpoolFolder
from collector.spool_write import SpoolWriter
from runtime import log

TRIES = 5
"""How often a doubtful message of the spool is tried before it is set aside."""
HOPELESS_SECONDS = 60.0
"""So long after a message was set aside for its topic, others of that topic are set aside at their first refusal."""
PAUSE = 1.0
"""Seconds before refused messages are tried again."""
_log = log.get(__name__)


class Link(Protocol):
    """What publishing needs of a producer (see :class:`collector.producer.KafkaLink`)."""

    fatal: bool
    unanswered: int

    def hand(self, message: Message) -> bool: ...
    def purge(self) -> None: ...
    def renew(self) -> None: ...
    def stop(self) -> None: ...


class Drain:
    """Delivers the spool's folders. ``on_handed`` is called whenever the producer has all of them."""

    def __init__(
        self,
        link: Link,
        writer: SpoolWriter,
        own: SpoolFolder,
        dead_letters: DeadLetters,
        *,
        window: int,
        on_handed: Callable[[], Awaitable[None]],
    ) -> None:
        self._link, self._writer, self._own, self._dead_letters = link, writer, own, dead_letters
        self._window, self._on_handed = window, on_handed
        self._loop = asyncio.get_running_loop()
        self._adopted: list[SpoolFolder] = []  # of dead processes, oldest first
        self._again: list[Message] = []  # messages the producer gave back
        self._retry_at = 0.0
        self._hopeless: dict[str, float] = {}  # topics that refused a message for good, and when
        self._trimming = asyncio.Lock()
        self._awake = asyncio.Event()
        self.set_aside = 0
        self._tasks = {self._loop.create_task(self._run())}

    def wake(self) -> None:
        """Something changed: there is more to deliver, or more was delivered."""
        self._awake.set()

    def folders(self) -> list[SpoolFolder]:
        """The spool's folders, oldest first, our own last."""
        return [*self._adopted, self._own]

    def adopt(self, folder: SpoolFolder) -> None:
        """Deliver this folder too, before our own."""
        self._adopted.append(folder)
        self.wake()

    def delivered(self, message: Message) -> None:
        """Kafka has a message of the spool."""
        assert message.place is not None  # noqa: S101 - for the type checker
        folder, ordinal = message.place
        folder.delivered(ordinal)

    def refused(self, message: Message, error: KafkaError) -> None:
        """The producer gave back a message of the spool."""
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

    async def maintain(self) -> None:
        """Note how far the spool was delivered, and free its disk space; to be called now and then."""
        async with self._trimming:
            for folder in self.folders():
                self._writer.used -= await asyncio.to_thread(folder.trim)

    async def empty_own(self) -> None:
        """Delete the segments of our own folder; Kafka has all of it."""
        self._writer.renew()
        sealed = self._own.end
        async with self._trimming:
            self._writer.used -= await asyncio.to_thread(self._own.trim, sealed)

    async def stop(self) -> None:
        """Hand over no more."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _put_aside(self, message: Message, error: str) -> None:
        """Only what lies in the dead-letter folder may leave the spool; a full disk is waited for."""
        while True:
            try:
                await asyncio.to_thread(self._dead_letters.put, message, error, time.time())
                break
            except OSError as trouble:
                _log.error("the dead-letter folder cannot be written", error=str(trouble))
                await asyncio.sleep(PAUSE)
        self.delivered(message)
        self.wake()

    async def _run(self) -> None:
        while True:
            await self._awake.wait()
            self._awake.clear()
            try:
                await self._some()
            except Exception:
                # A disk that cannot be read may be read later, and nothing else drains: never give up.
                _log.exception("the spool cannot be drained; trying again")
                self._loop.call_later(PAUSE, self._awake.set)

    async def _some(self) -> None:
        """Hand over what the window has room for."""
        if self._link.fatal:
            if self._link.unanswered:
                self._link.purge()
                return
            self._link.renew()
        self._hand_again()
        for folder in self.folders():
            while folder.read < folder.end:
                room = min(self._window - self._link.unanswered, 1000)
                if room <= 0 or self._must_wait():
                    return
                async with self._trimming:
                    taken = await asyncio.to_thread(folder.take, room, folder.end)
                for ordinal, message in taken:
                    message.place = (folder, ordinal)
                    if self._must_wait() or not self._link.hand(message):
                        self._again.append(message)
                        self._pause()
            if folder is self._own:
                break
            if not folder.empty():
                return  # in order: what is older first
            await self._let_go(folder)
        if not self._adopted and not self._again:
            await self._on_handed()

    def _must_wait(self) -> bool:
        """Whether a message was given back that none may overtake; one that its topic refuses holds up none."""
        return any(not message.attempts for message in self._again)

    def _hand_again(self) -> None:
        """Hand what was given back, in order, once everything else is answered."""
        if not self._again or (self._link.unanswered and self._must_wait()):
            return
        if self._loop.time() < self._retry_at:
            self._loop.call_at(self._retry_at, self._awake.set)
            return
        order = {folder: index for index, folder in enumerate(self.folders())}
        again = sorted(self._again, key=lambda m: (order[m.place[0]], m.place[1]) if m.place else (0, 0))
        self._again = []
        for index, message in enumerate(again):
            if not self._link.hand(message):
                self._again = again[index:]
                self._pause()
                return

    def _pause(self) -> None:
        """The producer takes nothing now: look again soon."""
        self._retry_at = max(self._retry_at, self._loop.time() + 0.05)
        self._loop.call_at(self._retry_at, self._awake.set)

    async def _let_go(self, folder: SpoolFolder) -> None:
        async with self._trimming:
            self._writer.used -= await asyncio.to_thread(folder.size)
            await asyncio.to_thread(lambda: folder.close(remove=True))
            self._adopted.remove(folder)
        _log.info("a predecessor's spool is delivered", folder=folder.path.name)
