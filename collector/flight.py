"""A request at work: its events' sequences, its messages, and its booking, once each message has an outcome."""

import asyncio
import uuid
from base64 import b64encode
from collections.abc import Sequence

import msgspec
import uuid_utils

from collector.keys import KeyKind
from collector.message import Message, Outcome
from collector.receipts import CellKey, ReceiptBook, hour_of, rfc3339
from collector.topic_names import REJECTED
from collector.verdict import Accepted, Rejected, Source
from runtime import log

_encode = msgspec.json.Encoder().encode
_log = log.get(__name__)


class Flight:
    """Waits for the outcomes of a request's messages, then books them, then lets the request be answered."""

    def __init__(self, book: ReceiptBook, slot: int, verdicts: Sequence[Accepted | Rejected], source: Source) -> None:
        self._book, self._slot, self._verdicts, self._source = book, slot, verdicts, source
        self._open = len(verdicts)
        self._lost = False
        self._range = range(0)
        self.done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        """Resolves to whether every event of the request is durable."""

    def messages(self, first: int, known_types: frozenset[str]) -> list[Message]:
        """The messages, in order, with sequences from ``first`` on."""
        self._range = range(first, first + len(self._verdicts))
        self._counts: dict[CellKey, tuple[int, int, int]] = {}
        received = rfc3339(self._source.received_us)
        return [
            self._message(verdict, sequence, received, known_types)
            for sequence, verdict in zip(self._range, self._verdicts, strict=True)
        ]

    def _message(
        self, verdict: Accepted | Rejected, sequence: int, received: str, known_types: frozenset[str]
    ) -> Message:
        source, tenant = self._source, self._source.key.tenant
        if isinstance(verdict, Accepted):
            type_, raised = verdict.contract.type, (1, 0, int(verdict.minted))
            topic, key = verdict.contract.topic, f"{tenant}|{verdict.partition_key}".encode()
            value = event(verdict, source, received=received, collector_id=self._book.collector_id, sequence=sequence)
        else:
            type_ = verdict.event_type if verdict.event_type in known_types else ""
            raised, topic = (0, 1, 0), REJECTED
            reject_id = str(uuid_utils.uuid7())
            key = f"{tenant}|{reject_id}".encode()
            value = rejection(
                verdict,
                source,
                reject_id=reject_id,
                received=received,
                collector_id=self._book.collector_id,
                sequence=sequence,
                idempotent_id=source.id_of(sequence - self._range.start),
            )
        cell = (tenant, type_, hour_of(source.received_us))
        counts = self._counts.get(cell)
        self._counts[cell] = (
            raised if counts is None else (counts[0] + raised[0], counts[1] + raised[1], counts[2] + raised[2])
        )
        message = Message(topic, key, value, source.received_us, self._book.collector_id, sequence)
        message.settle = self._settle
        return message

    def _settle(self, _message: Message, outcome: Outcome) -> None:
        self._open -= 1
        if outcome is Outcome.LOST:
            self._lost = True
        if self._open:
            return
        # All or nothing: a request that must be sent again is not half acknowledged.
        try:
            if self._lost:
                self._book.settle(self._slot, {}, self._range)
            else:
                self._book.settle(self._slot, self._counts)
        except Exception as error:
            # Not raised here: whoever tells outcomes has those of other requests to tell.
            _log.exception("a request's outcome could not be booked; its sequences stay in doubt")
            if not self.done.done():
                self.done.set_exception(error)
            return
        if not self.done.done():
            self.done.set_result(not self._lost)


def event(verdict: Accepted, source: Source, *, received: str, collector_id: str, sequence: int) -> bytes:
    """The value of a message of an event's topic."""
    return _encode(
        {
            "event_id": verdict.event_id,
            "event_type": verdict.contract.type,
            "schema_version": verdict.contract.version,
            "occurred_at": verdict.occurred_at,
            "received_at": received,
            "tenant": source.key.tenant,
            "collector_id": collector_id,
            "sequence": sequence,
            "minted": verdict.minted,
            "data": msgspec.Raw(verdict.data),
        }
    )


def rejection(
    verdict: Rejected,
    source: Source,
    *,
    reject_id: str,
    received: str,
    collector_id: str,
    sequence: int,
    idempotent_id: str | None = None,
) -> bytes:
    """The value of a ``rejected_events`` message: the untouched text, as base64 where JSON would swell or change it."""
    body, encoding = text_or_base64(verdict.body)
    return _encode(
        {
            "reject_id": reject_id,
            "tenant": source.key.tenant,
            "event_type": verdict.event_type,
            "key_id": source.key.id,
            "received_at": received,
            "collector_id": collector_id,
            "sequence": sequence,
            "stage": "import" if source.key.kind is KeyKind.IMPORT else "collector",
            "reasons": [{"pointer": r.pointer, "keyword": r.keyword, "message": r.message} for r in verdict.reasons],
            "body": body,
            "body_encoding": encoding,
            "topic": None,
            "partition": None,
            "offset": None,
            "line": source.line,
            "idempotent_id": idempotent_id,
        }
    )


def text_or_base64(body: bytes) -> tuple[str, str]:
    """The body and its encoding: ``utf-8``, or ``base64`` for what is no UTF-8 or mostly control characters."""
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        return b64encode(body).decode("ascii"), "base64"
    if sum(body.count(code) for code in range(32)) > len(body) // 8 + 64 or "\0" in text:
        return b64encode(body).decode("ascii"), "base64"
    return text, "utf-8"


def new_collector_id() -> str:
    """16 random hexadecimal digits."""
    return uuid.uuid4().hex[:16]
