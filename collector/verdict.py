"""The verdict on one event: what Kafka gets of it, or every reason why it is rejected. Pure; no input or output."""

import re
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import msgspec
import uuid_utils

from collector.bots import is_bot
from collector.keys import KeyKind, WriteKey
from collector.page_view import long_form, short_form
from collector.parse import Parsed
from collector.receipts import rfc3339
from contracts.model import Contract
from contracts.validate import EventValidator, Violation, bounded

IDEMPOTENT_IDS = uuid.UUID("b2c0f6a4-6f0e-5c39-9d0c-1d2f9b8f7a55")
"""Namespace of the ids that come from an Idempotency-Key."""
BOT_FIELD = "is_bot"
_TYPE = re.compile(r"[a-z][a-z0-9_]{0,63}")
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True)
class Source:
    """Who sends, and how: what a verdict depends on beside the event. Times in microseconds since 1970."""

    key: WriteKey
    received_us: int
    user_agent: str = ""
    idempotency_key: str | None = None
    short_form: bool = False
    line: int | None = None

    def id_of(self, index: int) -> str | None:
        """The id that an Idempotency-Key gives the request's event number ``index``, if it has a time and no id."""
        if self.idempotency_key is None:
            return None
        return str(uuid.uuid5(IDEMPOTENT_IDS, f"{self.key.tenant}\x1f{self.idempotency_key}\x1f{index}"))


class Accepted(NamedTuple):
    """An event as it goes on: ``data`` is its JSON text."""

    contract: Contract
    event_id: str
    occurred_at: str
    minted: bool
    partition_key: str
    data: bytes


class Rejected(NamedTuple):
    """An event that no contract takes: the reasons, its untouched text, and its type where that is a name at all."""

    reasons: tuple[Violation, ...]
    body: bytes
    event_type: str | None


class Judge:
    """Gives verdicts by the contracts, the key's rights and the time bounds of the design."""

    def __init__(self, validator: EventValidator, future: timedelta, browser_past: timedelta) -> None:
        self._validator, self._future, self._browser_past = validator, future, browser_past

    def judge(self, parsed: Parsed, index: int, source: Source) -> Accepted | Rejected:
        """The verdict on the request's event number ``index`` (from 0)."""
        event, body, trouble = parsed
        if trouble is not None:
            return Rejected((Violation("", *trouble),), body, None)
        if source.short_form:
            event, reasons = long_form(event)
            reasons = bounded((*reasons, *filter(None, map(short_form, self._validator.violations(event)))))
        else:
            reasons = self._validator.violations(event)
        if reasons:
            return Rejected(reasons, body, _type_of(event))
        contract = self._validator.contract_of(event)
        occurred, reasons = self._occurred(event, contract, source)
        if source.key.kind is KeyKind.BROWSER and not contract.browser:
            message = "is not for browser keys; send it from a server"
            reasons = (*reasons, Violation("/event_type", "browser", message))
        if reasons:
            return Rejected(tuple(sorted(reasons)), body, contract.type)
        return self._accept(event, index, contract, occurred, source)

    def _occurred(self, event: dict[str, Any], contract: Contract, source: Source) -> tuple[str, tuple[Violation, ...]]:
        """When it happened, in UTC; without a time of the client's, when it was received."""
        text = event.get("occurred_at")
        if text is None:
            return rfc3339(source.received_us), ()
        pointer = "/timestamp" if source.short_form else "/occurred_at"
        when = datetime.fromisoformat(text).astimezone(UTC)
        received = datetime.fromtimestamp(source.received_us / 1e6, UTC)
        past = self._browser_past if source.key.kind is KeyKind.BROWSER else timedelta(days=contract.retention_days)
        stamp = when.isoformat(timespec="microseconds")[:-6] + "Z"
        if when > received + self._future:
            message = f"lies more than {self._future.total_seconds():.0f} s ahead of the collector's clock"
            return stamp, (Violation(pointer, "maximum", message),)
        if when < received - past:
            hours = past.total_seconds() / 3600
            message = f"lies more than {hours:.0f} hours back, the most for {source.key.kind} keys and this type"
            return stamp, (Violation(pointer, "minimum", message),)
        return stamp, ()

    def _accept(
        self, event: dict[str, Any], index: int, contract: Contract, occurred_at: str, source: Source
    ) -> Accepted:
        data = event["data"]
        event_id: str | None = event.get("event_id")
        minted = False
        if event_id is not None:
            event_id = event_id.lower()
        elif "occurred_at" in event and (idempotent_id := source.id_of(index)) is not None:
            event_id = idempotent_id
        else:
            event_id, minted = str(uuid_utils.uuid7()), True
        if BOT_FIELD not in data and _judged_by_agent(contract, source):
            data[BOT_FIELD] = is_bot(source.user_agent)
        for name, value in data.items():
            if type(value) is float:  # JSON Schema takes 3.0 for an integer; the lake's columns do not
                data[name] = int(value)
        partition_key = data.get(contract.partition_key)
        return Accepted(
            contract,
            event_id,
            occurred_at,
            minted,
            event_id if partition_key is None else str(partition_key),
            _encode(data),
        )


def _judged_by_agent(contract: Contract, source: Source) -> bool:
    """A view reported by the visitor's own agent, so that the agent says whether it is a bot.

    A server's agent is the library it sends with and says nothing of the visitor.
    """
    if source.key.kind is not KeyKind.BROWSER:
        return False
    return any(field.name == BOT_FIELD and field.kind == "boolean" for field in contract.fields)


def _type_of(event: object) -> str | None:
    type_ = event.get("event_type") if isinstance(event, dict) else None
    return type_ if isinstance(type_, str) and _TYPE.fullmatch(type_) else None
