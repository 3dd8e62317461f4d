"""Messages of ``events.<type>`` become rows: typed by the contract, hashed, a column at a time."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from hashlib import blake2b
from operator import attrgetter
from typing import Annotated, Any, Literal, cast

import msgspec
import numpy as np
import pyarrow as pa

from collector.lake import TIMESTAMP, arrow_schema, spec_of
from collector.land_decode import Batch, Decoder, Parse
from contracts.model import Contract, FieldSpec

_Text = Annotated[str, msgspec.Meta(min_length=1)]
_Instant = Annotated[datetime, msgspec.Meta(tz=True)]
_Count = Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)]
_Long = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
_KINDS: dict[str, Any] = {
    "string": str,
    "integer": _Long,
    "boolean": bool,
    "decimal": str,
    "timestamp": _Instant,
    "map": dict[str, str],
}
_DECIMAL = re.compile(r"(-?)([0-9]+)(?:\.([0-9]+))?")
_NOT_SENT = "(erased)"
"""No collector writes a field of this name: it is the lander's own."""
_ENVELOPE = ("event_id", "tenant", "schema_version", "occurred_at", "received_at", "collector_id", "sequence", "minted")


class _Version(msgspec.Struct):
    """What is read of a message that the newest known contract does not fit."""

    event_type: str
    schema_version: int


class EventDecoder(Decoder):
    """Decodes one event type by its newest contract, of which older versions are subsets.

    ``content_hash`` is blake2b with 8 bytes, big-endian and signed, over the JSON array
    ``[event_type, occurred_at, data]``, with the fields of ``data`` by name, absent and null ones left out, times in
    UTC and decimals in their shortest form. So it says whether two events have the same values, by the contract's
    types, and not whether they were written alike: the order of keys, an explicit null, ``1.50`` for ``1.5`` or another
    offset of the same instant do not change it. ``<field>_hash`` is keyed blake2b with 8 bytes over tenant, field and
    value, shifted into [0, 2^63).
    """

    def __init__(self, contract: Contract, hash_key: bytes) -> None:
        self.contract = contract
        self.spec = spec_of(contract)
        self.sort_by = ("occurred_at", "received_at")
        self._schema = arrow_schema(contract)
        self._hash_key = hash_key
        message, self._data, self._names = _structs(contract)
        self._message = message
        self._version = msgspec.json.Decoder(_Version)
        has_map = any(f.kind == "map" for f in contract.fields)
        self._plain = [(self._names[f.name], _PLAIN[f.kind]) for f in contract.fields if f.kind in _PLAIN]
        self._encode = msgspec.json.Encoder(order="deterministic" if has_map else None).encode
        self.parse = cast(Parse, msgspec.json.Decoder(message).decode)  # of None it says TypeError

    def salvage(self, value: bytes | None) -> Any:
        """Accept ``1.0`` for an integer, as JSON Schema 2020-12 does (validation, §6.1.1); the fast path does not."""
        try:
            return self.parse(value)
        except msgspec.ValidationError:
            loose = msgspec.json.decode(value or b"")
            data = loose.get("data") if isinstance(loose, dict) else None
            if not isinstance(data, dict):
                raise
            whole = [
                f.name
                for f in self.contract.fields
                if f.kind == "integer" and isinstance(data.get(f.name), float) and data[f.name].is_integer()
            ]
            if not whole:
                raise
            data.update({name: int(data[name]) for name in whole})
            return msgspec.convert(loose, self._message)

    def newer_than_known(self, rows: Sequence[Any]) -> list[int]:
        """Rows that parsed although their contract is newer: their new fields may just be absent."""
        known = self.contract.version
        versions = [row.schema_version for row in rows]
        return [i for i, v in enumerate(versions) if v > known] if versions and max(versions) > known else []

    def newer_version(self, value: bytes | None) -> int | None:
        """See :meth:`Decoder.newer_version`."""
        try:
            message = self._version.decode(value or b"")
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return None
        newer = message.event_type == self.contract.type and message.schema_version > self.contract.version
        return message.schema_version if newer else None

    def columns(self, rows: Sequence[Any], batch: Batch) -> pa.Table:
        """The table's columns but ``land_seq``."""
        self._erase(rows)
        columns: dict[str, pa.Array[Any]] = {
            name: pa.array(list(map(attrgetter(name), rows)), self._schema.field(name).type) for name in _ENVELOPE
        }
        for name, values in (("kafka_partition", batch.partitions), ("kafka_offset", batch.offsets)):
            columns[name] = pa.array(values, self._schema.field(name).type)
        datas = [row.data for row in rows]
        for attribute, plain in self._plain:
            for data in datas:
                value = getattr(data, attribute)
                if value is not None:
                    setattr(data, attribute, plain(value))
        columns["erased"] = pa.array(list(map(attrgetter("erased"), rows)), pa.bool_())
        columns["content_hash"] = _signed([self._content(row) for row in rows])
        for spec in self.contract.fields:
            given = list(map(attrgetter(self._names[spec.name]), datas))
            columns[spec.name] = _array(spec, given, self._schema.field(spec.name).type)
        for name in self.contract.hashed_fields:
            given = list(map(attrgetter(self._names[name]), datas))
            columns[f"{name}_hash"] = self._hashes(name, [row.tenant for row in rows], given)
        names = [f.name for f in self._schema if f.name != "land_seq"]
        fields = [self._schema.field(name) for name in names]
        return pa.Table.from_arrays([columns[name] for name in names], schema=pa.schema(fields))

    def _erase(self, rows: Sequence[Any]) -> None:
        """Take from the rows of who was forgotten all that points to somebody, and mark them.

        The rest stays, for the sums: where it happened and for how much is nobody's any more.
        """
        if not self.suppressed.tenants:
            return
        names = [(subject, self._names[f]) for subject, fields in self.contract.subjects.items() for f in fields]
        personal = [self._names[name] for name in self.contract.pii]
        seen: dict[tuple[str, str, str], bool] = {}
        for row in rows:
            for subject, attribute in names:
                value = getattr(row.data, attribute)
                if value is None:
                    continue
                who = (row.tenant, subject, value)
                if who not in seen:
                    seen[who] = self.suppressed.holds(*who)
                row.erased = row.erased or seen[who] or None
            if row.erased:
                for name in personal:
                    setattr(row.data, name, None)

    def content_hash(self, occurred_at: datetime, values: Mapping[str, Any]) -> int:
        """The ``content_hash`` of a row of the lake: its fields' values as Arrow gives them, absent ones None."""
        given = {}
        for spec in self.contract.fields:
            value = values.get(spec.name)
            if value is not None:
                given[self._names[spec.name]] = _AS_SENT.get(spec.kind, lambda v: v)(value)
        return int.from_bytes(self._digest(occurred_at.astimezone(UTC), self._data(**given)), "big", signed=True)

    def _content(self, row: Any) -> bytes:
        return self._digest(row.occurred_at, row.data)

    def _digest(self, occurred_at: datetime, data: Any) -> bytes:
        return blake2b(self._encode((self.contract.type, occurred_at, data)), digest_size=8).digest()

    def _hashes(self, name: str, tenants: list[str], values: list[Any]) -> "pa.Array[Any]":
        seen: dict[tuple[str, Any], int | None] = {}
        hashes = []
        for pair in zip(tenants, values, strict=True):
            if pair not in seen:
                seen[pair] = None if pair[1] is None else keyed_hash(self._hash_key, pair[0], name, pair[1])
            hashes.append(seen[pair])
        return pa.array(hashes, pa.int64())


def keyed_hash(key: bytes, tenant: str, name: str, value: object) -> int:
    """The number in [0, 2^63) that stands for a value of a field that is counted distinct."""
    text = f"{tenant}\x1f{name}\x1f{value}".encode()
    return int.from_bytes(blake2b(text, digest_size=8, key=key).digest(), "big") >> 1


def shortest(text: str) -> str:
    """A decimal number's one shortest text: no zeros that say nothing, no sign of zero. What is none stays as it is.

    Not by way of ``Decimal``, whose arithmetic rounds to the digits of its context.
    """
    number = _DECIMAL.fullmatch(text)
    if number is None:
        return text
    sign, whole, fraction = number[1], number[2].lstrip("0") or "0", (number[3] or "").rstrip("0")
    if not fraction:
        return whole if whole == "0" else sign + whole
    return f"{sign}{whole}.{fraction}"


_PLAIN: dict[str, Callable[[Any], Any]] = {"decimal": shortest, "timestamp": lambda instant: instant.astimezone(UTC)}
"""By kind: a value's one form, so that equal values are written alike."""
_AS_SENT: dict[str, Callable[[Any], Any]] = {
    "decimal": lambda number: shortest(f"{number:f}"),
    "timestamp": lambda instant: instant.astimezone(UTC),
    "map": dict,
}
"""By kind: a value that comes out of the lake as :data:`_PLAIN` makes it of what was sent."""


def _structs(contract: Contract) -> tuple[type[msgspec.Struct], type[msgspec.Struct], dict[str, str]]:
    """The types of message and data, and the attribute of each field (a field's name need not be an identifier)."""
    specs = sorted(contract.fields, key=lambda f: f.name)
    names = {spec.name: f"f{i}" for i, spec in enumerate(specs)}
    data = msgspec.defstruct(
        "Data",
        [(names[s.name], _KINDS[s.kind] | None, None) for s in specs],
        rename={attribute: name for name, attribute in names.items()},
        omit_defaults=True,
        forbid_unknown_fields=True,
        gc=False,
    )
    message = msgspec.defstruct(
        "Message",
        [
            ("event_id", _Text),
            ("event_type", Literal[contract.type]),
            ("schema_version", Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]),
            ("occurred_at", _Instant),
            ("received_at", _Instant),
            ("tenant", _Text),
            ("collector_id", _Text),
            ("sequence", _Count),
            ("minted", bool),
            ("data", data),
            ("erased", bool | None, None),
        ],
        rename={"erased": _NOT_SENT},
        gc=False,
    )
    return message, data, names


def _array(spec: FieldSpec, values: list[Any], type_: pa.DataType) -> "pa.Array[Any]":
    if spec.kind == "decimal":
        return pa.array(values, pa.string()).cast(type_)
    if spec.kind == "map":
        return pa.array([None if v is None else list(v.items()) for v in values], type_)
    return pa.array(values, TIMESTAMP if spec.kind == "timestamp" else type_)


def _signed(digests: list[bytes]) -> "pa.Array[Any]":
    signed: pa.Array[Any] = pa.array(np.frombuffer(b"".join(digests), dtype=">i8").astype("<i8"))
    return signed
