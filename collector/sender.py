"""Send events to a collector over HTTP, in batches, again and again with the same ids until each has a verdict."""

import gzip as gzip_module
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self

import httpx
import msgspec
import uuid_utils

AGAIN = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})
"""Answers that say "later"; the collector has kept nothing of such a request, or will know its events again by id."""
ONE_BY_ONE = frozenset({HTTPStatus.OK, HTTPStatus.MULTI_STATUS, HTTPStatus.BAD_REQUEST})
"""Answers that carry a verdict per event; 400 when every one of them is a rejection."""
SAMPLES = 20
MAX_BODY_BYTES = 900_000
"""Uncompressed bytes of a request, below the collector's default limit of 1 MB."""
MAX_BATCH = 1000

Event = Mapping[str, Any]


class SendError(Exception):
    """Nothing more can be sent: the key is refused, the address is wrong, or the collector stayed away too long."""


@dataclass
class Report:
    """What became of the events of one :meth:`Sender.send`. ``sent == accepted + rejected`` when it returns."""

    sent: int = 0
    accepted: int = 0
    rejected: int = 0
    requests: int = 0
    retries: int = 0
    bytes_sent: int = 0
    seconds: float = 0.0
    reasons: Counter[str] = field(default_factory=Counter)
    """How often each ``pointer keyword`` was given as a reason."""
    samples: list[dict[str, Any]] = field(default_factory=list)
    """The first few rejections, as the collector put them."""


class Sender:
    """A client of ``POST /events``.

    429 (after its Retry-After), 503 and connection errors are tried again, the same bytes with the same ids, with
    growing and jittered pauses, for up to ``patience`` seconds a request. Other refusals are final: the answer would be
    the same again. An event without ``event_id`` gets one here (and the present instant as ``occurred_at`` where that
    is missing too), since only an event with an id of its own can be sent twice and count once; ``mint=False`` leaves
    events as they are.
    """

    def __init__(
        self,
        url: str,
        write_key: str,
        batch: int = 500,
        gzip: bool = True,
        *,
        mint: bool = True,
        patience: float = 120.0,
        timeout: float = 30.0,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if not 1 <= batch <= MAX_BATCH:
            raise ValueError(f"batch: 1 to {MAX_BATCH} events a request, not {batch}")
        self._batch, self._gzip, self._mint, self._patience, self._sleep = batch, gzip, mint, patience, sleep
        self._url = url.rstrip("/") + "/events"
        self._http = httpx.Client(
            headers={"Authorization": f"Bearer {write_key}"}, timeout=timeout, transport=transport, trust_env=False
        )
        self._random = random.Random()  # noqa: S311 - spreads retries, guards nothing

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def send(
        self,
        events: Iterable[Event],
        progress: Callable[[int], None] | None = None,
        verdict: Callable[[Event, Mapping[str, Any]], None] | None = None,
    ) -> Report:
        """Send all ``events`` and return when each has a verdict.

        ``progress`` is told how many more have one, ``verdict`` of each event (as it was sent) and what became of it.

        :raises SendError: the key or the request is refused as a whole, or ``patience`` ran out; the events before it
            are with the collector.
        """
        report, started = Report(), time.monotonic()
        for body, sent in self._bodies(events):
            answer = self._post(body, "application/json", {}, report)
            report.sent += len(sent)
            verdicts = self._judge(answer, len(sent), report)
            report.seconds = time.monotonic() - started
            if verdict is not None:
                for event, result in zip(sent, verdicts, strict=True):
                    verdict(event, result)
            if progress is not None:
                progress(len(sent))
        return report

    def send_raw(self, line: bytes, headers: Mapping[str, str], report: Report) -> None:
        """Send one line as it is, as a request of its own in NDJSON, and book its verdict in ``report``.

        :raises SendError: as :meth:`send`.
        """
        answer = self._post(line, "application/x-ndjson", headers, report)
        report.sent += 1
        self._judge(answer, 1, report)

    def _bodies(self, events: Iterable[Event]) -> Iterator[tuple[bytes, list[Event]]]:
        parts: list[bytes] = []
        sent: list[Event] = []
        size = 0
        for given in events:
            event = self._with_id(given)
            part = msgspec.json.encode(event)
            if parts and (len(parts) == self._batch or size + len(part) >= MAX_BODY_BYTES):
                yield b"[" + b",".join(parts) + b"]", sent
                parts, sent, size = [], [], 0
            parts.append(part)
            sent.append(event)
            size += len(part) + 1
        if parts:
            yield b"[" + b",".join(parts) + b"]", sent

    def _with_id(self, event: Event) -> Event:
        if not self._mint or event.get("event_id") is not None:
            return event
        now = datetime.now(UTC).isoformat(timespec="microseconds")
        return {"occurred_at": now, **event, "event_id": str(uuid_utils.uuid7())}

    def _post(self, body: bytes, content_type: str, headers: Mapping[str, str], report: Report) -> httpx.Response:
        sent_headers = {"Content-Type": content_type, **headers}
        if self._gzip:
            body = gzip_module.compress(body, compresslevel=3)
            sent_headers["Content-Encoding"] = "gzip"
        deadline, attempt = time.monotonic() + self._patience, 0
        while True:
            pause: float | None = None
            report.requests += 1
            report.bytes_sent += len(body)
            try:
                answer = self._http.post(self._url, content=body, headers=sent_headers)
            except httpx.TransportError as error:
                trouble = f"{type(error).__name__}: {error}"
            else:
                if answer.status_code not in AGAIN:
                    return answer
                trouble = f"{answer.status_code} {answer.text[:200]}"
                pause = _retry_after(answer)
            if pause is None:
                pause = min(10.0, 0.1 * 2**attempt) * self._random.uniform(0.5, 1.0)
            else:
                pause += self._random.uniform(0.0, 0.25)
            attempt += 1
            if time.monotonic() + pause > deadline:
                raise SendError(
                    f"{self._url}: given up after {attempt} tries in {self._patience:g} s; the last: {trouble}"
                )
            report.retries += 1
            self._sleep(pause)

    def _judge(self, answer: httpx.Response, count: int, report: Report) -> list[dict[str, Any]]:
        verdicts = _verdicts(answer) if answer.status_code in ONE_BY_ONE else None
        if verdicts is None:
            if answer.status_code == HTTPStatus.BAD_REQUEST and count == 1:
                verdicts = [
                    {
                        "status": "rejected",
                        "reasons": [{"pointer": "", "keyword": "body", "message": answer.text[:200]}],
                    }
                ]
            else:
                raise SendError(f"{self._url}: {answer.status_code} {answer.reason_phrase}: {answer.text[:500]}")
        if len(verdicts) != count:
            raise SendError(
                f"{self._url}: {len(verdicts)} verdicts for {count} events; the collector speaks another version"
            )
        for verdict in verdicts:
            if verdict.get("status") == "accepted":
                report.accepted += 1
                continue
            report.rejected += 1
            for reason in verdict.get("reasons", []):
                report.reasons[f"{reason.get('pointer', '')} {reason.get('keyword', '')}".strip()] += 1
            if len(report.samples) < SAMPLES:
                report.samples.append(verdict)
        return verdicts


def _verdicts(answer: httpx.Response) -> list[dict[str, Any]] | None:
    """The verdicts of an answer, in the order of the events; None where it has none."""
    try:
        body = answer.json()
    except ValueError:
        return None
    found = body.get("results") if isinstance(body, dict) else None
    return found if isinstance(found, list) else None


def _retry_after(answer: httpx.Response) -> float | None:
    """Seconds to wait by the Retry-After header (RFC 9110 §10.2.3, the form in seconds)."""
    value = answer.headers.get("Retry-After", "")
    return min(60.0, float(value)) if value.isdigit() else None
