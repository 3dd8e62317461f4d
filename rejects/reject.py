"""One rejected event as the lake has it, and which of them are asked for. Pure; no input or output."""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from pyiceberg.expressions import BooleanExpression

from collector.parse import Unparseable, decode
from collector.redact import is_redacted
from contracts.validate import Violation
from rejects import predicates

NO_VERSION = "none"
"""The contract version of an event that named none, or that cannot be read."""
UNREADABLE = Violation("", "(unreadable)", "its reasons cannot be read")
ERASED = Violation("", "erased", "somebody in it was forgotten: what they sent is gone")
"""Why an event whose sender's text was erased (ADR 0038) cannot be mended."""


@dataclass(frozen=True)
class Reject:
    """A row of ``quality.rejected_events``; ``body`` is the untouched text."""

    reject_id: str
    tenant: str | None
    event_type: str | None
    key_id: str | None
    received_at: datetime
    collector_id: str | None
    sequence: int | None
    stage: str
    reasons: tuple[Violation, ...]
    body: bytes
    topic: str | None
    partition: int | None
    offset: int | None
    line: int | None
    kafka_partition: int
    kafka_offset: int
    land_seq: int
    idempotent_id: str | None = None
    """The id that an Idempotency-Key gave the event, in case it has a time and no id."""
    schema_version: int | None = None
    """The contract version that it names, as it was landed; None also of what landed before that was kept."""

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> "Reject":
        """The rejection that a row of the lake is."""
        # A lake of before there were the newest columns may lack them.
        named = (f.name for f in fields(cls) if f.name not in ("reasons", "body") and f.name in row)
        plain = {name: row[name] for name in named}
        return cls(**plain, reasons=_reasons(row["reasons"]), body=_body(row["body"], row["body_encoding"]))

    @property
    def erased(self) -> bool:
        """Whether the body is gone, because somebody in it was forgotten (``watershed forget``)."""
        return is_redacted(self.body.decode("utf-8", "replace"))

    def version(self) -> str:
        """The contract version that the event names, as text."""
        if self.schema_version is not None:
            return str(self.schema_version)
        try:
            said = decode(self.body)
        except Unparseable:
            return NO_VERSION
        version = said.get("schema_version") if isinstance(said, dict) else None
        return str(version) if type(version) is int else NO_VERSION

    def as_json(self) -> dict[str, Any]:
        """Everything but the body, which is text or base64 as it came: ``body`` and ``body_encoding``."""
        try:
            body, encoding = self.body.decode(), "utf-8"
        except UnicodeDecodeError:
            body, encoding = base64.b64encode(self.body).decode(), "base64"
        return {
            **{f.name: getattr(self, f.name) for f in fields(self)},
            "received_at": self.received_at.isoformat(),
            "reasons": [reason._asdict() for reason in self.reasons],
            "body": body,
            "body_encoding": encoding,
            "schema_version": self.version(),
            "erased": self.erased,
        }


@dataclass(frozen=True)
class Chosen:
    """Which rejections; what is None does not matter. Times are of receipt, ``since`` inclusive, ``until`` exclusive.

    ``reason`` and ``field`` are a keyword and a JSON pointer that one and the same reason of the event has.
    """

    reason: str | None = None
    field: str | None = None
    event_type: str | None = None
    tenant: str | None = None
    key_id: str | None = None
    version: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    ids: tuple[str, ...] = ()

    def row_filter(self) -> BooleanExpression:
        """As much of it as columns can say: what is left :meth:`takes` looks at."""
        equal = {"event_type": self.event_type, "tenant": self.tenant, "key_id": self.key_id}
        filters = [predicates.equal(name, value) for name, value in equal.items() if value is not None]
        if self.since is not None:
            filters.append(predicates.since("received_at", self.since))
        if self.until is not None:
            filters.append(predicates.before("received_at", self.until))
        if self.ids:
            filters.append(predicates.among("reject_id", self.ids))
        return predicates.every(filters)

    def takes(self, reject: Reject) -> bool:
        """Whether a rejection whose columns fit is one of them."""
        if self.reason is not None or self.field is not None:
            named = (
                r.keyword == (self.reason or r.keyword)
                and r.pointer == (r.pointer if self.field is None else self.field)
                for r in reject.reasons
            )
            if not any(named):
                return False
        return self.version is None or reject.version() == self.version

    def as_json(self) -> dict[str, Any]:
        """What was asked for, without what does not matter."""
        said = {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name)}
        return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in said.items()}


class Once:
    """Tells repetitions: the same rejection may have landed twice, or been read twice while the lake changed."""

    def __init__(self) -> None:
        self._seen: set[int] = set()

    def first(self, reject: Reject) -> bool:
        """Whether it is the first of its id. A hash of 64 bits each is kept."""
        before = len(self._seen)
        self._seen.add(hash(reject.reject_id))
        return len(self._seen) > before


def _reasons(text: str) -> tuple[Violation, ...]:
    try:
        found = [
            Violation(str(r.get("pointer", "")), str(r["keyword"]), str(r.get("message", ""))) for r in json.loads(text)
        ]
    except (ValueError, TypeError, KeyError, AttributeError):
        found = []
    return tuple(found) or (UNREADABLE,)


def _body(text: str, encoding: str) -> bytes:
    if encoding == "base64":
        try:
            return base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            return text.encode()  # a message of somebody else's: shown as it is
    return text.encode("utf-8", "surrogatepass")
