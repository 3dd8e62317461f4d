"""Messages of ``rejected_events`` and ``collector_receipts`` become rows of the lake's namespace ``quality``."""

from collections.abc import Sequence
from datetime import datetime
from operator import attrgetter
from typing import Annotated, Any, cast

import msgspec
import pyarrow as pa

from collector.lake import TableSpec, arrow_schema_of
from collector.land_decode import Batch, Decoder, Parse
from collector.redact import redacted, words
from contracts.columns import LakeColumn

REJECTS_TOPIC = "rejected_events"
RECEIPTS_TOPIC = "collector_receipts"

_Instant = Annotated[datetime, msgspec.Meta(tz=True)]
_Long = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
_Text = Annotated[str, msgspec.Meta(min_length=1)]

_KAFKA = (
    LakeColumn("kafka_partition", "int", True, "The partition of the message."),
    LakeColumn("kafka_offset", "long", True, "The offset of the message."),
    LakeColumn("land_seq", "long", True, "The lander's commit that brought it into the lake."),
)
REJECTED_EVENTS = TableSpec(
    "quality.rejected_events",
    (
        LakeColumn("reject_id", "string", True, "The rejection's UUID."),
        LakeColumn("tenant", "string", False, "Whose event it was, where a write key or the message said so."),
        LakeColumn("event_type", "string", False, "The type it claimed to be."),
        LakeColumn("key_id", "string", False, "The write key that sent it, never the key itself."),
        LakeColumn("received_at", "timestamp", True, "When it was received, UTC."),
        LakeColumn("collector_id", "string", False, "The collector process that received it."),
        LakeColumn("sequence", "long", False, "Its number among what that process received."),
        LakeColumn("stage", "string", True, "Who rejected it: collector, lander or import."),
        LakeColumn("reasons", "string", True, "Every reason, JSON: pointer, keyword, message."),
        LakeColumn("body", "string", True, "The untouched text, in body_encoding.", pii=True),
        LakeColumn("body_encoding", "string", True, "utf-8 or base64."),
        LakeColumn("topic", "string", False, "Of a rejected message: its topic."),
        LakeColumn("partition", "int", False, "Of a rejected message: its partition."),
        LakeColumn("offset", "long", False, "Of a rejected message: its offset."),
        LakeColumn("line", "long", False, "Of a rejected line: its number in the file, from 1."),
        *_KAFKA,
        LakeColumn("idempotent_id", "string", False, "The event_id that an Idempotency-Key gives it, if it had none."),
        LakeColumn("schema_version", "int", False, "The contract version that it names, where it can be one."),
    ),
    "received_at",
    "Everything that was refused, untouched, with every reason.",
)
COLLECTOR_RECEIPTS = TableSpec(
    "quality.collector_receipts",
    (
        LakeColumn("collector_id", "string", True, "The collector process."),
        LakeColumn("assigned", "long", True, "Sequences 1 to this were handed out."),
        LakeColumn("acknowledged", "long", True, "So many events were answered with a verdict."),
        LakeColumn("void", "string", True, "Ranges of sequences that were never acknowledged, JSON."),
        LakeColumn("in_doubt", "string", True, "Ranges of sequences without an answer yet, or for ever, JSON."),
        LakeColumn("cells", "string", True, "Counts by tenant, type and hour of receipt, JSON."),
        LakeColumn("durable_through", "timestamp", True, "All acknowledged before this instant is in Kafka."),
        LakeColumn("closed", "boolean", True, "Whether nothing more will come of this process."),
        LakeColumn("at", "timestamp", True, "When the receipt was written, UTC."),
        *_KAFKA,
        LakeColumn("retired", "string", False, "Of a receipt that an operator wrote for a lost process, JSON."),
    ),
    "at",
    "The collectors' own word on what they took, cumulative.",
)


class Rejection(msgspec.Struct, gc=False):
    """A message of ``rejected_events``."""

    reject_id: _Text
    received_at: _Instant
    stage: _Text
    reasons: msgspec.Raw
    body: str
    body_encoding: _Text
    tenant: str | None = None
    event_type: str | None = None
    key_id: str | None = None
    collector_id: str | None = None
    sequence: _Long | None = None
    topic: str | None = None
    partition: Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)] | None = None
    offset: _Long | None = None
    line: _Long | None = None
    idempotent_id: str | None = None


class Retirement(msgspec.Struct):
    """Who closed a collector that was lost with its state, and why.

    ``lost``: how many sequences it had acknowledged that were not in the lake then, and ``lost_ranges`` which (of very
    many the first). They stay acknowledged: they are a loss with a name to it, not void. ``landed``: how many were.
    """

    by: _Text
    reason: _Text
    lost: _Long
    lost_ranges: list[tuple[_Long, _Long]]
    landed: _Long


class Receipt(msgspec.Struct, gc=False):
    """A message of ``collector_receipts``."""

    collector_id: _Text
    assigned: _Long
    acknowledged: _Long
    void: msgspec.Raw
    in_doubt: msgspec.Raw
    cells: msgspec.Raw
    durable_through: _Instant
    closed: bool
    at: _Instant
    retired: Retirement | None = None


class QualityDecoder(Decoder):
    """Decodes messages whose fields are the table's columns of the same names; parts without a fixed form stay JSON."""

    def __init__(self, spec: TableSpec, message: type[msgspec.Struct]) -> None:
        self.spec = spec
        self.sort_by = (spec.day_of,)
        self._schema = arrow_schema_of(spec.columns)
        self.parse = cast(Parse, msgspec.json.Decoder(message).decode)  # of None it says TypeError
        self._json = {f.name for f in msgspec.structs.fields(message) if f.type in (msgspec.Raw, Retirement | None)}
        self._fields = {f.name for f in msgspec.structs.fields(message)}

    def columns(self, rows: Sequence[Any], batch: Batch) -> pa.Table:
        """See :meth:`Decoder.columns`."""
        made = {"kafka_partition": batch.partitions, "kafka_offset": batch.offsets, **self._made(rows)}
        rows = self._kept(rows)
        fields = [f for f in self._schema if f.name != "land_seq"]
        arrays = []
        for f in fields:
            values: list[Any]
            if f.name in self._json:
                given = map(attrgetter(f.name), rows)
                values = [None if value is None else msgspec.json.encode(value).decode() for value in given]
            elif f.name in self._fields:
                values = list(map(attrgetter(f.name), rows))
            else:
                values = list(made[f.name])
            arrays.append(pa.array(values, f.type))
        return pa.Table.from_arrays(arrays, schema=pa.schema(fields))

    def _made(self, rows: Sequence[Any]) -> dict[str, Sequence[Any]]:  # noqa: ARG002 - which some need
        """Columns that follow from the messages and are no fields of them."""
        return {}

    def _kept(self, rows: Sequence[Any]) -> Sequence[Any]:
        """What may land of the messages."""
        return rows


class RejectsDecoder(QualityDecoder):
    """Of ``rejected_events``: where somebody who was forgotten is named, what they sent is left out."""

    def _made(self, rows: Sequence[Any]) -> dict[str, Sequence[Any]]:
        return {"schema_version": [named_version(row.body, row.body_encoding) for row in rows]}

    def _kept(self, rows: Sequence[Any]) -> Sequence[Any]:
        return [self._without_forgotten(row) for row in rows] if self.suppressed.tenants else rows

    def _without_forgotten(self, row: Rejection) -> Rejection:
        reasons = bytes(row.reasons).decode()
        if not self.suppressed.names(row.tenant, {*words(row.body, row.body_encoding), *words(reasons, "utf-8")}):
            return row
        given = {"stage": row.stage, "body": row.body, "reasons": reasons, "event_type": row.event_type}
        kept = redacted(given, lambda word: self.suppressed.names(row.tenant, [word]))
        return msgspec.structs.replace(row, **{**kept, "reasons": msgspec.Raw(kept["reasons"].encode())})


class _Versioned(msgspec.Struct):
    """What of an event is looked at for its contract version; all else is passed over."""

    schema_version: Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)] | None = None


_versioned = msgspec.json.Decoder(_Versioned)


def named_version(body: str, encoding: str) -> int | None:
    """The contract version that a rejected event names; None: none, or what can be none, or it is no JSON."""
    if encoding != "utf-8":
        return None
    try:
        return _versioned.decode(body).schema_version
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


def rejects_decoder() -> QualityDecoder:
    """The decoder of ``rejected_events``."""
    return RejectsDecoder(REJECTED_EVENTS, Rejection)


def receipts_decoder() -> QualityDecoder:
    """The decoder of ``collector_receipts``."""
    return QualityDecoder(COLLECTOR_RECEIPTS, Receipt)
