"""From a row to an event: columns to fields, constants, times, and an id that follows from the row. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, tzinfo
from decimal import Decimal
from hashlib import blake2b
from typing import Any
from uuid import UUID

import msgspec

from contracts.model import Contract, FieldSpec

ENVELOPE = ("event_id", "occurred_at")
TRUE, FALSE = frozenset(("true", "t", "yes", "1")), frozenset(("false", "f", "no", "0"))
MILLIS, SECONDS = "epoch_ms", "epoch"
"""Forms of time that are no pattern of strptime: milliseconds and seconds since 1970."""


class MappingError(Exception):
    """The mapping names what does not exist; the message says what does."""


@dataclass(frozen=True)
class Layout:
    """How the rows of a file become events of ``contract``.

    ``columns``: field of each column, where their names differ; ``constants``: values of fields that a row has none of;
    ``ignored``: columns that go nowhere. ``time_format``: :data:`SECONDS`, :data:`MILLIS`, a pattern of strptime, or
    None (ISO 8601); ``zone``: of times that name none.
    """

    contract: Contract
    columns: Mapping[str, str] = field(default_factory=dict)
    constants: Mapping[str, str] = field(default_factory=dict)
    ignored: frozenset[str] = frozenset()
    time_format: str | None = None
    zone: tzinfo = UTC

    def __post_init__(self) -> None:
        known = {*ENVELOPE, *(spec.name for spec in self.contract.fields)}
        for name in (*self.columns.values(), *self.constants):
            if name not in known:
                raise MappingError(f"{self.contract.type} has no field {name!r}; it has {', '.join(sorted(known))}")
        fields = [*self.columns.values(), *self.constants]
        if len(set(fields)) < len(fields):
            raise MappingError("a field can come from one column or one constant only")

    def clash(self, values: Mapping[str, Any]) -> str | None:
        """What is wrong where two columns of a row give one field: which is meant, nobody can know."""
        taken: dict[str, str] = {}
        for column in values:
            if column in self.ignored:
                continue
            other = taken.setdefault(self.columns.get(column, column), column)
            if other != column:
                return f"{self.columns.get(column, column)} is given by columns {other} and {column}: --ignore one"
        return None

    def event(self, values: Mapping[str, Any], row_id: UUID) -> dict[str, Any]:
        """The event of a row. What cannot be converted stays as it is: the contract then says what is wrong with it."""
        specs = {spec.name: spec for spec in self.contract.fields}
        found: dict[str, Any] = dict(self.constants)
        for column, value in values.items():
            if column not in self.ignored:
                found[self.columns.get(column, column)] = value
        event: dict[str, Any] = {"event_id": str(found.pop("event_id", row_id)), "event_type": self.contract.type}
        if "occurred_at" in found:
            event["occurred_at"] = self._time(found.pop("occurred_at"))
        event["data"] = {
            name: _as_field(value, specs[name]) if name in specs else plain(value) for name, value in found.items()
        }
        return event

    def _time(self, value: Any) -> Any:
        try:
            when = self._instant(value)
            when = when.replace(tzinfo=self.zone) if when.tzinfo is None else when
            return when.astimezone(UTC).isoformat().replace("+00:00", "Z")
        except (ValueError, OverflowError, OSError):
            return plain(value)

    def _instant(self, value: Any) -> datetime:
        if isinstance(value, datetime):
            return value
        if isinstance(value, date):
            return datetime(value.year, value.month, value.day)  # noqa: DTZ001 - the zone comes after
        if self.time_format in (SECONDS, MILLIS):
            number = Decimal(str(value)) if _is_number(value) else None
            if number is None:
                raise ValueError("is no number")
            return datetime.fromtimestamp(float(number / (1000 if self.time_format == MILLIS else 1)), UTC)
        if self.time_format is not None:
            return datetime.strptime(str(value), self.time_format)  # noqa: DTZ007 - the zone comes after
        return datetime.fromisoformat(str(value))


def row_digest(type_: str, values: Mapping[str, Any]) -> bytes:
    """A digest of a row as it stands in the file, whatever is made of it: a better mapping makes no other row of it."""
    text = msgspec.json.encode([type_, sorted((name, plain(value)) for name, value in values.items())], order="sorted")
    return blake2b(text, digest_size=16).digest()


def row_id(digest: bytes, ordinal: int) -> UUID:
    """A UUID of version 8 (RFC 9562 §5.8) of a row and its ordinal among identical rows."""
    made = blake2b(digest + ordinal.to_bytes(8, "big"), digest_size=16, person=b"watershed-import").digest()
    number = int.from_bytes(made, "big") & ~(0xF << 76) | 8 << 76
    return UUID(int=number & ~(0x3 << 62) | 0x2 << 62)


def _as_field(value: Any, spec: FieldSpec) -> Any:
    """The value in the JSON form that the contract's field has; what is none of it, as it is."""
    if spec.kind == "boolean":
        text = str(value).lower()
        return text in TRUE if text in TRUE | FALSE else plain(value)
    if spec.kind == "map":
        return _as_map(value)
    if isinstance(value, bool) or not _is_number(value):
        return plain(value)
    if spec.kind == "integer":
        number = Decimal(str(value))
        return int(number) if number == number.to_integral_value() else plain(value)
    if spec.kind == "decimal":
        return value if isinstance(value, str) else f"{Decimal(str(value)):f}"
    return str(value)


def _as_map(value: Any) -> Any:
    if isinstance(value, list) and all(isinstance(pair, tuple) and len(pair) == 2 for pair in value):
        return {str(name): plain(inner) for name, inner in value}  # as Arrow gives the maps of Parquet
    if isinstance(value, str):
        try:
            return msgspec.json.decode(value)
        except (msgspec.DecodeError, RecursionError):
            return value
    return plain(value)


def _is_number(value: Any) -> bool:
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return True
    try:
        return Decimal(str(value)).is_finite()
    except ArithmeticError:
        return False


def plain(value: Any) -> Any:
    """A value that JSON has."""
    if isinstance(value, dict):
        return {str(name): plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, str | int | bool) or value is None:
        return value
    if isinstance(value, float):
        return value if value - value == 0 else str(value)  # neither infinite nor NaN
    return value.isoformat() if isinstance(value, date) else str(value)
