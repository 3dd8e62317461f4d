"""Send events to a collector over HTTP, in batches, again and again with the same ids until each has a verdict.

For programs of yours, too (docs/sending.md):

    from collector.sender import Sender

    with Sender("https://collector.example", "ws_server_…", spool=Path("spool")) as sender:
        sender.send([{"event_type": "signup", "data": {"user_id": "u-1", "region": "DE"}}])
"""

import gzip as gzip_module
import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import msgspec
import uuid_utils

from collector.send_answer import KEY_REFUSED, Away, Refused, Report, SendError, is_later, judge, retry_after
from collector.send_batches import MAX_BODY_BYTES, Event, batches
from collector.send_spool import LINE, SendSpool, SpoolBusy, SpoolFull

__all__ = ["Away", "Event", "Refused", "Report", "SendError", "Sender", "SpoolBusy", "SpoolFull"]

MAX_BATCH = 1000
SPOOL_BYTES = 256 * 1024 * 1024
"""What a spool holds unless another bound is given."""

TRY_AGAIN_S = 30.0
"""Seconds after which a collector that stayed away is tried again, by one request; what comes meanwhile is spooled."""

Progress = Callable[[int], None]
OnVerdict = Callable[[Event, Mapping[str, Any]], None]


class Sender:
    """A client of ``POST /events``.

    408, 429, 5xx (after their Retry-After) and connection errors are tried again, the same bytes with the same ids,
    with growing and jittered pauses, for up to ``patience`` seconds a request. Other refusals are final: the answer
    would be the same again. Of a batch with a verdict for each event, none is sent again.

    An event without ``event_id`` gets one here (and the present instant as ``occurred_at`` where that is missing too),
    since only an event with an id of its own can be sent twice and count once; ``mint=False`` leaves events as they
    are.

    An event waits for others for at most ``linger`` seconds, if there is anything to wake the sender: another event,
    or a None. ``sleep`` waits between tries; when it gives true, no more are made.

    With ``spool`` (a folder, of at most ``spool_bytes``) each batch is on disk before it is sent, until it has its
    verdicts: what a collector that is away, or the end of this process, leaves there is sent by the next
    :meth:`send` or :meth:`drain`, with the same ids. A batch that is refused as a whole is set aside in it.

    :raises SpoolBusy: another process has the spool.
    """

    def __init__(
        self,
        url: str,
        write_key: str,
        batch: int = 500,
        gzip: bool = True,
        *,
        mint: bool = True,
        spool: Path | None = None,
        spool_bytes: int = SPOOL_BYTES,
        patience: float = 120.0,
        timeout: float = 30.0,
        linger: float = 5.0,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], bool | None] = time.sleep,
    ) -> None:
        if not 1 <= batch <= MAX_BATCH:
            raise ValueError(f"batch: 1 to {MAX_BATCH} events a request, not {batch}")
        self._batch, self._gzip, self._mint, self._patience, self._sleep = batch, gzip, mint, patience, sleep
        self._linger, self._again_at = linger, 0.0
        self._url = url.rstrip("/") + "/events"
        self._http = httpx.Client(
            headers={"Authorization": f"Bearer {write_key}"}, timeout=timeout, transport=transport, trust_env=False
        )
        self._spool = SendSpool(spool, spool_bytes) if spool is not None else None
        self._random = random.Random()  # noqa: S311 - spreads retries, guards nothing

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections, and let others have the spool."""
        self._http.close()
        if self._spool is not None:
            self._spool.close()

    def send(
        self,
        events: Iterable[Event | None],
        progress: Progress | None = None,
        verdict: OnVerdict | None = None,
    ) -> Report:
        """Send all ``events`` and return when each has a verdict.

        With a spool it also returns when the collector stays away and the rest is on disk: ``Report.spooled`` says how
        much. While there are events a collector that stayed away is tried again each :data:`TRY_AGAIN_S` seconds. None
        among the events says that nothing else has come for a moment, which is when old ones are sent. ``progress`` is
        told how many more have a verdict, ``verdict`` of each event (as it was sent) and what became of it.

        :raises Away: ``patience`` ran out without a spool; the events before are with the collector.
        :raises Refused: the key or a request is refused as a whole.
        :raises SpoolFull: the collector stays away and the spool has no room; the events before are in it.
        """
        report, started = Report(), time.monotonic()
        hear = _Ears(progress, verdict)
        spool, self._again_at = self._spool, 0.0
        if spool is not None:
            self._drain(spool, report, hear)
        with_ids = (None if event is None else self._with_id(event) for event in events)
        for batch in batches(with_ids, self._batch, self._linger):
            if spool is not None:
                if batch is not None:
                    spool.add(batch[0])
                self._drain(spool, report, hear)
            elif batch is not None:
                self._deliver(*batch, report, hear)
            report.seconds = time.monotonic() - started
        if spool is not None:
            self._drain(spool, report, hear)
            report.spooled = spool.waiting()
        report.seconds = time.monotonic() - started
        return report

    def drain(self) -> Report:
        """Send what waits in the spool.

        :raises Refused: as :meth:`send`.
        """
        return self.send(())

    def send_raw(self, line: bytes, headers: Mapping[str, str], report: Report) -> None:
        """Send one line that is no event, as a request of its own in NDJSON, and book its verdict in ``report``.

        It goes as it is, but for what would be no line, or more than one: a line break is sent as a backslash and an n,
        what is empty as a dash, and of what no request can hold the beginning. With a spool it waits there, and the
        :meth:`send` that sends it books it.

        :raises SendError: as :meth:`send`.
        :raises SpoolFull: as :meth:`send`.
        """
        text = line.replace(b"\n", b"\\n")[:MAX_BODY_BYTES] if line.strip() else b"-"
        if self._spool is None:
            self._hand_over(text, headers, report)
        else:
            self._spool.add(msgspec.json.encode(headers) + b"\n" + text, LINE)

    def _drain(self, spool: SendSpool, report: Report, hear: "_Ears") -> None:
        """Send what waits, oldest first, unless the collector was away a moment ago."""
        if time.monotonic() < self._again_at:
            return
        for batch in spool.batches():
            try:
                self._from_spool(spool, batch, report, hear)
            except Away:
                self._again_at = time.monotonic() + TRY_AGAIN_S
                return
            self._again_at = 0.0

    def _from_spool(self, spool: SendSpool, batch: Path, report: Report, hear: "_Ears") -> None:
        body = batch.read_bytes()
        try:
            if batch.suffix == LINE:
                headers, _, line = body.partition(b"\n")
                self._hand_over(line, msgspec.json.decode(headers), report)
            else:
                self._deliver(body, msgspec.json.decode(body), report, hear)
        except Refused as refused:
            if refused.status in KEY_REFUSED:
                raise
            raise Refused(f"{refused}; its events are in {spool.set_aside(batch)}", refused.status) from refused
        spool.done(batch)

    def _hand_over(self, line: bytes, headers: Mapping[str, str], report: Report) -> None:
        answer = self._post(line, "application/x-ndjson", headers, report)
        report.sent += 1
        judge(answer, 1, report)

    def _deliver(self, body: bytes, sent: Sequence[Event], report: Report, hear: "_Ears") -> None:
        answer = self._post(body, "application/json", {}, report)
        verdicts = judge(answer, len(sent), report)
        report.sent += len(sent)
        hear(sent, verdicts)

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
        # Who was away a moment ago is only asked whether that is over.
        patience, attempt = 0.0 if self._again_at else self._patience, 0
        deadline = time.monotonic() + patience
        while True:
            pause: float | None = None
            report.requests += 1
            report.bytes_sent += len(body)
            try:
                answer = self._http.post(self._url, content=body, headers=sent_headers)
            except httpx.TransportError as error:
                trouble = f"{type(error).__name__}: {error}"
            else:
                if not is_later(answer.status_code):
                    return answer
                trouble = f"{answer.status_code} {answer.text[:200]}"
                pause = retry_after(answer)
            if pause is None:
                pause = min(10.0, 0.1 * 2**attempt) * self._random.uniform(0.5, 1.0)
            else:
                pause += self._random.uniform(0.0, 0.25)
            attempt += 1
            if time.monotonic() + pause > deadline or self._sleep(pause):
                raise Away(f"{self._url}: given up after {attempt} tries in {patience:g} s; the last: {trouble}")
            report.retries += 1


class _Ears:
    """Who hears of verdicts."""

    def __init__(self, progress: Progress | None, verdict: OnVerdict | None) -> None:
        self._progress, self._verdict = progress, verdict

    def __call__(self, sent: Sequence[Event], verdicts: Sequence[Mapping[str, Any]]) -> None:
        if self._verdict is not None:
            for event, result in zip(sent, verdicts, strict=True):
                self._verdict(event, result)
        if self._progress is not None:
            self._progress(len(sent))
