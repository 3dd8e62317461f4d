"""Through which instant all that was received is known to be in Kafka: what "complete through" stands on."""

import time
from collections.abc import Callable, Mapping
from datetime import datetime

from collector.land_through import Checkpoints
from collector.land_topic import TopicInfo


class Promise:
    """Instants that every collector has been asked about.

    A collector announces itself, by its first receipt, before it takes an event. So whoever received something before
    an instant has a receipt below the end that ``collector_receipts`` has after it; once the ledger has read up to that
    end, the least ``durable_through`` of the open collectors covers all of them.

    One case is left: a collector that starts while Kafka is away takes events into its spool, unannounced, and
    announces itself within seconds of Kafka's return. So after Kafka was away no instant is added until it has been
    there for ``announce_seconds`` without a break. (A collector that alone is cut off from Kafka from its start on is
    not known to anybody; its receipt puts back what is shown as complete, when it comes.)
    """

    def __init__(self, announce_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._announce_seconds, self._clock = announce_seconds, clock
        self._there_since: float | None = None
        self._topic: TopicInfo | None = None
        self._asked = Checkpoints()
        self._known: datetime | None = None

    def kafka_was_away(self) -> None:
        """The brokers did not answer, or not soon: whoever started meanwhile could not announce itself."""
        self._there_since = None

    def ask(self, instant: datetime, topic: TopicInfo, ends: Mapping[int, int]) -> None:
        """Note where ``collector_receipts`` ended, by partition, when asked after ``instant``."""
        now = self._clock()
        if self._there_since is None:
            self._there_since = now
        if topic != self._topic:
            self._asked.clear()
            self._topic = topic
        if now - self._there_since >= self._announce_seconds:
            self._asked.add(instant, ends)

    def through(self, read: Mapping[int, int], durable: datetime | None) -> datetime | None:
        """The newest instant that holds; None: none does yet.

        ``read``: how far the ledger has read the receipts, the next offset by partition; ``durable``: the least
        ``durable_through`` of open collectors in that ledger at the same moment, None: none is open.
        """
        reached = self._asked.reached(read)
        if reached is not None:
            self._known = reached if self._known is None else max(self._known, reached)
        return self._known if durable is None or self._known is None else min(self._known, durable)
