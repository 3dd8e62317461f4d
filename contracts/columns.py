"""Which columns follow from a contract, in lake and warehouse; how they are made is those rooms' business."""

from dataclasses import dataclass
from typing import Literal

from contracts.model import Contract, FieldKind, Measure

LakeKind = Literal["int", "long", "hash"] | FieldKind


@dataclass(frozen=True)
class LakeColumn:
    """A column of ``events.<type>``; ``precision`` and ``scale`` are set for decimals only."""

    name: str
    kind: LakeKind
    required: bool
    description: str
    pii: bool = False
    precision: int | None = None
    scale: int | None = None

    @property
    def iceberg_type(self) -> str:
        """The column's type as the Iceberg specification spells it."""
        match self.kind:
            case "decimal":
                return f"decimal({self.precision},{self.scale})"
            case "integer" | "hash":
                return "long"
            case "timestamp":
                return "timestamptz"
            case "map":
                return "map<string,string>"
            case _:
                return self.kind


@dataclass(frozen=True)
class RollupColumn:
    """A column of ``rollups.<type>_minute``, with its type in Postgres."""

    name: str
    sql_type: str
    role: Literal["key", "measure"]
    description: str
    required: bool


ENVELOPE = (
    LakeColumn("event_id", "string", True, "The event's UUID, the client's own or minted by the collector."),
    LakeColumn("tenant", "string", True, "Whose event it is, from the write key."),
    LakeColumn("schema_version", "int", True, "The version of the contract that accepted it."),
    LakeColumn("occurred_at", "timestamp", True, "When it happened, by the client's clock, UTC."),
    LakeColumn("received_at", "timestamp", True, "When the collector received it, UTC."),
    LakeColumn("collector_id", "string", True, "The collector process that received it."),
    LakeColumn("sequence", "long", True, "Its number among what that process received."),
    LakeColumn("minted", "boolean", True, "Whether the collector made the event_id."),
    LakeColumn("land_seq", "long", True, "The lander's commit that brought it into the lake."),
    LakeColumn("content_hash", "long", True, "A hash of type, occurred_at and data: duplicate or collision?"),
    # Nullable: what landed before the columns came has none.
    LakeColumn("kafka_partition", "int", False, "The partition of its topic that it was read from."),
    LakeColumn("kafka_offset", "long", False, "The offset of its message there."),
    LakeColumn(
        "erased", "boolean", False, "True: somebody was forgotten; what pointed to them is null. It still counts."
    ),
)


def lake_columns(contract: Contract) -> tuple[LakeColumn, ...]:
    """Envelope, then one column per field, then one hash per field that a measure takes the hash of."""
    fields = tuple(
        # Nullable even where the contract requires them: erasure nulls the data and keeps the envelope.
        LakeColumn(f.name, f.kind, False, f.description, f.pii, f.precision, f.scale)
        for f in contract.fields
    )
    hashes = tuple(
        LakeColumn(f"{name}_hash", "hash", False, f"A keyed 63-bit hash of {name}: what leaves the lake in its place.")
        for name in contract.hashed_fields
    )
    return ENVELOPE + fields + hashes


def rollup_columns(contract: Contract) -> tuple[RollupColumn, ...]:
    """Tenant, minute and dimensions (together the primary key), then the measures."""
    key = [
        RollupColumn("tenant", "text", "key", "Whose events they are.", True),
        RollupColumn("minute", "timestamptz", "key", "The minute in which the events occurred, UTC.", True),
    ]
    for dimension in contract.rollup.dimensions:
        spec = contract.field_named(dimension.field)
        sql_type = "bigint" if spec.kind == "integer" else "text"
        capped = " Over the cap: (other)." if dimension.capped else ""
        key.append(RollupColumn(dimension.name, sql_type, "key", spec.description + capped, True))
    measures = [column for measure in contract.rollup.measures for column in _measure_columns(contract, measure)]
    return (*key, *measures)


def _measure_columns(contract: Contract, measure: Measure) -> tuple[RollupColumn, ...]:
    def column(name: str, sql_type: str, description: str, *, required: bool) -> RollupColumn:
        return RollupColumn(name, sql_type, "measure", description, required)

    match measure.kind:
        case "count":
            return (column(measure.name, "bigint", measure.description, required=True),)
        case "quantile":
            buckets = f"{measure.description} Counts by logarithmic bucket (DDSketch, 1 %); add them to merge."
            return (column(measure.name, "jsonb", buckets, required=True),)
        case "distinct":
            sketch = f"{measure.description} The least keyed hashes, sorted; take the union to merge, do not add."
            return (column(measure.name, "bigint[]", sketch, required=True),)
        case "sum" | "min" | "max" | "last":
            spec = contract.field_named(measure.field or "")
            sql_type = "bigint"
            if spec.kind == "decimal":
                # A sum outgrows its terms, so it takes all the digits there are.
                sql_type = f"numeric({38 if measure.kind == 'sum' else spec.precision},{spec.scale})"
            elif spec.kind == "string" and not contract.takes_hash(measure):
                sql_type = "text"
            value = column(measure.name, sql_type, measure.description, required=False)
            if measure.kind != "last":
                return (value,)
            at = f"When {measure.name} occurred, UTC."
            return (value, column(f"{measure.name}_at", "timestamptz", at, required=False))
