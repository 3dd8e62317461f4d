"""The producer to Kafka, and the thread that hears its answers: each message is answered once, in bulk, on the loop."""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer

from collector.message import Message
from runtime import log

_log = log.get(__name__)

HOPELESS = frozenset(
    {
        KafkaError.MSG_SIZE_TOO_LARGE,
        KafkaError.INVALID_RECORD,
        KafkaError.INVALID_MSG_SIZE,
        KafkaError.INVALID_TIMESTAMP,
        KafkaError.POLICY_VIOLATION,
        KafkaError.TOPIC_EXCEPTION,
        KafkaError._INVALID_ARG,
    }
)
"""Answers that the same message will always get."""
DOUBTFUL = frozenset(
    {
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError._UNKNOWN_TOPIC,
        KafkaError._UNKNOWN_PARTITION,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
    }
)
"""Answers that come for good, or for a moment while brokers learn of a topic: worth a few tries."""

Answer = tuple[Message, KafkaError | None]


def producer_settings(connection: Mapping[str, Any], linger_ms: float, publish_seconds: float) -> dict[str, Any]:
    """Librdkafka's settings for the event path.

    Messages never time out inside the producer: after ``publish_seconds`` the spool holds a copy of what is still
    unanswered, and the producer goes on trying the one it has. So a broker's absence, however long, gives no second
    copy: idempotence recognises the retry. Only a message lost from memory, with its process, is sent from disk anew.
    """
    return {
        **connection,
        "client.id": "watershed-collector",
        "acks": "all",
        "enable.idempotence": True,
        "message.timeout.ms": 0,
        "linger.ms": linger_ms,
        "compression.type": "lz4",
        "message.max.bytes": 4 * 1024 * 1024,
        "queue.buffering.max.messages": 200_000,
        "queue.buffering.max.kbytes": 256 * 1024,
        "reconnect.backoff.max.ms": 1000,
        # An unknown topic must be told apart from an absent broker before the event goes to the spool.
        "topic.metadata.propagation.max.ms": max(100, int(publish_seconds * 600)),
        "topic.metadata.refresh.interval.ms": 60_000,
        "log.connection.close": False,
    }


class KafkaLink:
    """A producer whose answers arrive on the event loop. Methods are called on the loop."""

    def __init__(self, settings: dict[str, Any], on_answers: Callable[[list[Answer]], None]) -> None:
        self._settings, self._on_answers = settings, on_answers
        self._loop = asyncio.get_running_loop()
        self._answers: deque[Any] = deque()
        self._told = False
        self.unanswered = 0  # messages handed over and not answered yet
        self.fatal = False  # the producer gave up on itself: `renew` it once everything is answered
        self.trouble: str | None = None  # librdkafka's last word on the brokers
        self._stopping = False
        self._producer = self._new()
        self._thread = threading.Thread(target=self._poll, name="kafka-answers", daemon=True)
        self._thread.start()

    def hand(self, message: Message) -> bool:
        """Give a message to the producer; False when its queue is full or it is unusable now."""
        try:
            self._producer.produce(
                message.topic, message.value, message.key, on_delivery=message.when_answered(self._answers.append)
            )
        except BufferError:
            return False
        except KafkaException as error:
            # What produce() itself refuses (size, a fatal producer) is answered like what a broker refuses.
            reason = error.args[0]
            if reason.fatal() or reason.code() == KafkaError._FATAL:
                self.fatal = True
                return False
            self._answers.append((message, reason))
            self._tell_soon()
        message.handed = True
        self.unanswered += 1
        return True

    def purge(self) -> None:
        """Have everything unanswered answered with an error now."""
        self._producer.purge()

    def renew(self) -> None:
        """Replace a producer that gave up on itself; everything it had must have been answered."""
        _log.warning("new producer after a fatal error", trouble=self.trouble)
        self._producer, self.fatal = self._new(), False

    def topics(self, timeout: float) -> set[str]:
        """The topics the brokers have. Blocks.

        :raises KafkaException: no broker answered within ``timeout`` seconds.
        """
        found = self._producer.list_topics(timeout=timeout)
        self.trouble = None
        return set(found.topics)

    def stop(self) -> None:
        """End the thread and drop what is unanswered. Blocks for a moment."""
        self._stopping = True
        self._producer.purge()
        self._thread.join()

    def _new(self) -> Producer:
        return Producer({**self._settings, "error_cb": self._on_error, "logger": _library_log})

    def _on_error(self, error: KafkaError) -> None:
        self.trouble = error.str()
        if error.fatal() or error.code() == KafkaError._FATAL:
            self.fatal = True
            _log.error("the producer gave up on itself", error=error.str())
            self._loop.call_soon_threadsafe(self._on_answers, [])

    def _poll(self) -> None:
        while not self._stopping:
            self._producer.poll(0.5)
            if self._answers:
                self._tell_soon()

    def _tell_soon(self) -> None:
        """Have the loop look at the answers; once, however many there are."""
        if not self._told:
            self._told = True
            self._loop.call_soon_threadsafe(self._tell)

    def _tell(self) -> None:
        self._told = False
        answers = [self._answers.popleft() for _ in range(len(self._answers))]
        self.unanswered -= len(answers)
        for message, _ in answers:
            message.handed = False
        self._on_answers(answers)


class _LibraryLog:
    """librdkafka's own log lines, at debug: what matters of them arrives as errors and answers."""

    def log(self, _level: int, format_: str, *args: object) -> None:
        _log.debug("librdkafka", line=format_ % args if args else format_)


_library_log = _LibraryLog()
