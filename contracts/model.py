"""What a contract says, as frozen values: fields, rollup, handling, and the names derived from them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

FieldKind = Literal["string", "integer", "boolean", "decimal", "timestamp", "map"]
MeasureKind = Literal["count", "sum", "min", "max", "last", "quantile", "distinct"]
Scalar = str | bool | int
Condition = Scalar | Mapping[str, int]
"""What a field must be: equal to a scalar, or within ``{"gte": 500}`` / ``{"gte": 500, "lt": 600}``."""

NONE = "(none)"
"""The dimension's value where the field is absent."""
UNKNOWN_REGION = "ZZ"
"""The value of a ``region`` dimension where the field is absent."""
OTHER = "(other)"
"""The dimension's value for what is over the rollup's cap."""
SUBJECTS = ("user", "visitor")
"""The kinds of people who can ask to be forgotten."""
EVENT_ID = "event_id"
"""The partition key of types that have no better one."""


class ContractError(Exception):
    """A contract's files are wrong; the message names the file and what to change."""


class UnknownType(ContractError, KeyError):
    """There is no contract of this name."""

    def __str__(self) -> str:
        return str(self.args[0])


class UnknownVersion(ContractError, KeyError):
    """The type exists, this version of it does not."""

    def __str__(self) -> str:
        return str(self.args[0])


@dataclass(frozen=True)
class FieldSpec:
    """One field of ``data``. ``precision`` and ``scale`` are set for decimals, ``max_length`` (characters) for strings.

    The lake keeps a field as it was sent: ``default`` is what an absent one counts as, for whoever reads it.
    """

    name: str
    kind: FieldKind
    required: bool
    precision: int | None
    scale: int | None
    pii: bool
    description: str
    default: Scalar | None
    max_length: int | None = None
    ascii: bool = False


@dataclass(frozen=True)
class Dimension:
    """A column of the rollup's key. An absent field is :data:`NONE`, an absent region :data:`UNKNOWN_REGION`."""

    name: str
    field: str
    capped: bool

    @property
    def absent(self) -> str:
        """The value that stands for an absent field."""
        return UNKNOWN_REGION if self.field == "region" else NONE


@dataclass(frozen=True)
class Measure:
    """A measure of the rollup, over the events for which every condition of ``where`` holds.

    ``last`` is the value of the latest ``occurred_at``, ties going to the greatest event_id. Of a string that points to
    a person it is the keyed hash: a personal field never leaves the lake as it is.
    """

    name: str
    kind: MeasureKind
    field: str | None
    where: Mapping[str, Condition] | None
    description: str


@dataclass(frozen=True)
class Rollup:
    """How a type is summed by tenant and minute; ``cap`` bounds the distinct keys per tenant and minute."""

    dimensions: tuple[Dimension, ...]
    measures: tuple[Measure, ...]
    cap: int


@dataclass(frozen=True)
class Contract:
    """One version of one event type. ``schema`` is the JSON Schema of ``data``, references resolved, with metadata."""

    type: str
    version: int
    description: str
    owner: str
    browser: bool
    partition_key: str
    partitions: int
    pii: tuple[str, ...]
    retention_days: int
    rollup: Rollup
    fields: tuple[FieldSpec, ...]
    schema: dict[str, Any] = field(compare=False, repr=False)
    subjects: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Whose event it is, for erasure: by kind of person (``user``, ``visitor``), the fields that hold their id."""

    @property
    def topic(self) -> str:
        """The Kafka topic of the type."""
        return f"events.{self.type}"

    @property
    def table(self) -> str:
        """The Iceberg identifier in catalog ``lake``."""
        return f"events.{self.type}"

    @property
    def rollup_table(self) -> str:
        """The table in the warehouse's schema ``rollups``."""
        return f"{self.type}_minute"

    def field_named(self, name: str) -> FieldSpec:
        """The field of this name.

        :raises ContractError: there is none.
        """
        for spec in self.fields:
            if spec.name == name:
                return spec
        raise ContractError(f"{self.type} v{self.version} has no field {name!r}")

    def takes_hash(self, measure: Measure) -> bool:
        """Whether a measure is made from the keyed hash of its field and not from the field itself."""
        return measure.kind == "distinct" or (measure.kind == "last" and measure.field in self.pii)

    @property
    def hashed_fields(self) -> tuple[str, ...]:
        """The fields whose hash a measure takes, in order: each has a ``<field>_hash`` column in the lake."""
        names = [m.field for m in self.rollup.measures if self.takes_hash(m) and m.field is not None]
        return tuple(dict.fromkeys(names))
