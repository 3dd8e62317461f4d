"""Through which instant a table holds everything: promises that are kept once the offsets behind them have landed."""

from collections import deque
from collections.abc import Mapping
from datetime import datetime

_MOST = 512


class Checkpoints:
    """Instants with the topic's ends seen after them.

    Whatever Kafka had taken before an instant lies below the ends asked for after it. So once every partition has
    landed up to those ends, the table holds everything Kafka took before the instant: without trusting the order of
    timestamps, which several producers and a spool that drains late do not keep.
    """

    def __init__(self) -> None:
        self._waiting: deque[tuple[datetime, Mapping[int, int]]] = deque()

    def add(self, instant: datetime, ends: Mapping[int, int]) -> None:
        """Note that ``ends``, by partition, were asked for after ``instant``."""
        if self._waiting and self._waiting[-1][1] == ends:
            self._waiting.pop()  # the same ends, promised for a later instant
        self._waiting.append((instant, ends))
        if len(self._waiting) > _MOST:
            # Far behind: every other promise will do, but for the newest.
            kept = [pair for i, pair in enumerate(self._waiting) if i % 2 == 0]
            self._waiting = deque([*kept, self._waiting[-1]] if kept[-1] is not self._waiting[-1] else kept)

    def reached(self, landed: Mapping[int, int]) -> datetime | None:
        """The newest instant whose ends have ``landed`` (the next offset, by partition); None: none has, as yet."""
        newest: datetime | None = None
        while self._waiting and all(landed.get(p, 0) >= end for p, end in self._waiting[0][1].items()):
            instant, _ = self._waiting.popleft()
            newest = instant if newest is None else max(newest, instant)
        return newest

    def clear(self) -> None:
        """Forget everything: the topic or its partitions changed."""
        self._waiting.clear()
