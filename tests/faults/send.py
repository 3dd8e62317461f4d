"""The load: known events, so many a second, each sent once and never again, each answer into the journal."""

import itertools
import threading
import time
from collections import deque
from datetime import UTC, datetime, timedelta
from http import HTTPStatus

import httpx

from tests.faults.events import MOST, KnownEvents
from tests.faults.journal import Answer, Journal

TIMEOUT = 15.0
"""Seconds after which a sender gives a request up. Longer than a collector may wait for Kafka."""
PAUSE = 0.2
"""As short as this, it is soon seen that a collector works again."""
REMEMBERED = 20_000
"""Of so many of the last answers it is known when they came."""


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
        """How many events were sent so far."""
        self.taken = 0
        """How many events were answered with 2xx so far."""
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
        with httpx.Client(timeout=TIMEOUT, headers={"Authorization": f"Bearer {self._key}"}, trust_env=False) as http:
            while not self._stop.is_set():
                if not self._send(http):
                    self._stop.wait(self._pause)
                due = max(due + self._every, time.monotonic() - self._every)
                self._stop.wait(max(0.0, due - time.monotonic()))

    def _send(self, http: httpx.Client) -> bool:
        with self._mutex:
            first = next(self._numbers)
            self.sent = first + self._batch
        if self.sent >= self.most:
            self._stop.set()
        now = datetime.now(UTC) - self._past
        now = now.replace(microsecond=now.microsecond // 1000 * 1000)  # to the precision in which it is sent and kept
        body = self._events.batch(first, self._batch, now)
        self._journal.sending(first, self._batch, now)
        try:
            answer = http.post(self._url, json=body)
        except httpx.TransportError as error:
            self._journal.answered(first, Answer.UNKNOWN, type(error).__name__)
            return False
        said = meaning(answer.status_code)
        self._journal.answered(first, said, str(answer.status_code))
        if said is Answer.TAKEN:
            with self._mutex:
                self.taken += self._batch
                self._taken_at.append(time.monotonic())
        return said is Answer.TAKEN


def meaning(status: int) -> Answer:
    """What a status says of good events (docs/collector.md): a mixed answer is impossible and so is not known here.

    :raises ValueError: a status that no request of ours can have.
    """
    if status == HTTPStatus.OK:
        return Answer.TAKEN
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Answer.UNKNOWN
    if status in {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS}:
        return Answer.REFUSED
    raise ValueError(f"the collector answered good events with {status}")
