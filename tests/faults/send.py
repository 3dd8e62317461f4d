"""The load: known events, so many a second, each answer checked against what its events are, and into the journal.

What got no answer is sent again, with the same ids, as senders do: some batches once, some more often, some never,
by their number. Of those that were taken one in :data:`AGAIN_EVERY` is sent again all the same, some seconds later.
"""

import itertools
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any

import httpx

from tests.faults.events import MOST, KnownEvents, Sort, numbers_of, reason_of, sort_of
from tests.faults.journal import Answer, Journal

TIMEOUT = 15.0
"""Seconds after which a sender gives a request up. Longer than a collector may wait for Kafka."""
PAUSE = 0.2
"""As short as this, it is soon seen that a collector works again."""
REMEMBERED = 20_000
"""Of so many of the last answers it is known when they came."""
JSON = {"Content-Type": "application/json"}
MOST_TRIES = 4
"""So often a batch without an answer is sent, the most patient ones; the next is sent once, and so on."""
AGAIN_EVERY = 32
BEHIND = 10
"""What is sent again is the oldest of a client's last so many batches that were taken."""


@dataclass(frozen=True)
class Batch:
    """The events ``first`` to ``first + count - 1``, all of one time."""

    first: int
    count: int
    at: datetime

    def numbers(self, *, again: bool) -> list[int]:
        """Those that are sent."""
        return numbers_of(self.first, self.count, again=again)

    def good(self, *, again: bool) -> int:
        """How many of these count."""
        return sum(sort_of(number) is not Sort.BAD for number in self.numbers(again=again))


class Load:
    """Clients at work from :meth:`start` to :meth:`stop`, or until ``most`` events are sent.

    ``rate``: events a second, of all clients together. ``past``: how long ago the events occurred. ``pause``: seconds
    that a client waits after an answer that was none.
    """

    def __init__(
        self,
        url: str,
        key: str,
        events: KnownEvents,
        journal: Journal,
        *,
        rate: float,
        batch: int = 20,
        clients: int = 4,
        most: int = MOST,
        past: timedelta = timedelta(),
        pause: float = PAUSE,
    ) -> None:
        self._url, self._key, self._events, self._journal = f"{url}/events", key, events, journal
        self._batch, self._every, self._past = batch, batch * clients / rate, past
        self._pause = pause
        self.most = most
        self._numbers, self._mutex = itertools.count(0, batch), threading.Lock()
        self._stop = threading.Event()
        self.sent = 0
        """How many events were sent so far, however often."""
        self.taken = 0
        """How many events that must be counted were answered with 2xx so far."""
        self._taken_at: deque[float] = deque(maxlen=REMEMBERED)
        self._failure: Exception | None = None
        self._threads = [threading.Thread(target=self._run, name=f"load-{n}") for n in range(clients)]

    def start(self) -> None:
        """Begin to send."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Send no more, and wait for what is on its way.

        :raises ValueError: an answer that no request of ours can have.
        """
        self._stop.set()
        for thread in self._threads:
            thread.join()
        if self._failure is not None:
            raise self._failure

    def first_taken(self, since: float) -> float | None:
        """When the first 2xx came after ``since`` (monotonic); None: none did."""
        with self._mutex:
            return min((at for at in self._taken_at if at >= since), default=None)

    def _run(self) -> None:
        try:
            self._send_all()
        except ValueError as error:
            self._failure = error
            self._stop.set()

    def _send_all(self) -> None:
        due = time.monotonic()
        taken: deque[Batch] = deque(maxlen=BEHIND)
        with httpx.Client(timeout=TIMEOUT, headers={"Authorization": f"Bearer {self._key}"}, trust_env=False) as http:
            for turn in itertools.count(1):
                if self._stop.is_set():
                    break
                if turn % AGAIN_EVERY == 0 and taken:
                    self._send(http, taken[0], again=True)
                elif self._until_answered(http, batch := self._next()):
                    taken.append(batch)
                due = max(due + self._every, time.monotonic() - self._every)
                self._stop.wait(max(0.0, due - time.monotonic()))

    def _next(self) -> Batch:
        with self._mutex:
            first = next(self._numbers)
            self.sent = first + self._batch
        if self.sent >= self.most:
            self._stop.set()
        now = datetime.now(UTC) - self._past
        now = now.replace(microsecond=now.microsecond // 1000 * 1000)  # to the precision in which it is kept
        return Batch(first, self._batch, now)

    def _until_answered(self, http: httpx.Client, batch: Batch) -> bool:
        """Send a batch, and again while there is no answer, as often as it is its turn to; whether it was taken."""
        for tried in range(1 + batch.first // batch.count % MOST_TRIES):
            said = self._send(http, batch, again=tried > 0)
            if said is Answer.TAKEN:
                with self._mutex:
                    self.taken += batch.good(again=tried > 0)
                return True
            self._stop.wait(self._pause)
            if said is Answer.REFUSED or self._stop.is_set():
                break
        return False

    def _send(self, http: httpx.Client, batch: Batch, *, again: bool) -> Answer:
        numbers = batch.numbers(again=again)
        self._journal.sending(batch.first, batch.count, batch.at, again=again)
        try:
            answer = http.post(self._url, content=self._events.body(numbers, batch.at), headers=JSON)
        except httpx.TransportError as error:
            self._journal.answered(batch.first, Answer.UNKNOWN, type(error).__name__)
            return Answer.UNKNOWN
        said = meaning(answer.status_code)
        self._journal.answered(batch.first, said, str(answer.status_code))
        if said is Answer.TAKEN:
            check(self._events, numbers, answer.json()["results"])
            with self._mutex:
                self._taken_at.append(time.monotonic())
        return said


def meaning(status: int) -> Answer:
    """What a status says of a batch in which there is something good (docs/collector.md).

    :raises ValueError: a status that no request of ours can have.
    """
    if status in {HTTPStatus.OK, HTTPStatus.MULTI_STATUS}:
        return Answer.TAKEN
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Answer.UNKNOWN
    if status in {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS}:
        return Answer.REFUSED
    raise ValueError(f"the collector answered good events with {status}")


def check(events: KnownEvents, numbers: Sequence[int], results: Sequence[Mapping[str, Any]]) -> None:
    """Compare the verdicts with what the events are: the good ones taken under their ids, the bad ones rejected.

    :raises ValueError: one is not what its event must get.
    """
    if len(results) != len(numbers):
        raise ValueError(f"the collector gave {len(results)} verdicts on {len(numbers)} events")
    for number, result in zip(numbers, results, strict=True):
        if not _as_it_must(events, number, result):
            raise ValueError(f"the collector's verdict on event {number}, which is {sort_of(number).value}: {result}")


def _as_it_must(events: KnownEvents, number: int, result: Mapping[str, Any]) -> bool:
    taken = bool(result["status"] == "accepted")
    match sort_of(number):
        case Sort.BAD:
            return not taken and str(result["reasons"][0]["keyword"]) == reason_of(number)
        case Sort.NAMELESS:
            return taken and events.number_of(result["event_id"]) is None
    return taken and str(result["event_id"]) == events.id_of(number)
