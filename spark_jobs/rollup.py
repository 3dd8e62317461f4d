"""From the rows of some minutes to their rollup rows and their cells: pure functions of DataFrames."""

import math
from collections.abc import Collection, Mapping
from decimal import Decimal

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from contracts.model import OTHER, Condition, Contract, Measure
from spark_jobs.dedupe import judged
from warehouse.ddl import absent_value

ROLLUP, CELL = "rollup", "cell"
SKETCH_SIZE = 65_536
"""How many of the least hashes a distinct sketch keeps; the same number is in warehouse/schema/sketch.sql."""
ACCURACY = 0.01
"""Relative accuracy of quantile sketches; bucket i holds (g^(i-1), g^i] with g = (1 + accuracy) / (1 - accuracy)."""
LOG_GAMMA = math.log((1 + ACCURACY) / (1 - ACCURACY))
ZERO_BUCKET = -(2**31)
"""Among bucket numbers, what is not positive and has no logarithm."""
CELL_COUNTS = ("landed", "counted", "duplicates", "collisions", "copies", "minted", "over_cap", "erased")
_LONG_MAX = 2**63 - 1


def summed(rows: DataFrame, contract: Contract, columns: Collection[str]) -> DataFrame:
    """Rollup rows and cells of the minutes in ``rows``, told apart by ``kind``; what a row does not have is null.

    ``rows`` are lake rows of ``contract``'s type with ``minute`` added, holding whole minutes and all in one partition
    or partitioned by (tenant, minute); ``columns`` are those the table has (a younger field counts as absent).
    One pass gives both, because to plan and read a table twice costs more than to sum it.
    """
    kept = _with_cap(_prepared(judged(rows), contract, columns), contract)
    dimensions = [d.name for d in contract.rollup.dimensions]
    as_cell = F.struct(
        F.lit(CELL).alias("kind"),
        F.col("received_hour"),
        *(F.lit(None).cast(_key_type(contract, d)).alias(f"k_{d}") for d in dimensions),
    )
    as_rollup = F.struct(
        F.lit(ROLLUP).alias("kind"),
        F.lit(None).cast("timestamp").alias("received_hour"),
        *(F.col(d).alias(f"k_{d}") for d in dimensions),
    )
    both = F.when(F.col("winner"), F.array(as_cell, as_rollup)).otherwise(F.array(as_cell))
    doubled = kept.withColumn("_as", F.explode(both))
    in_rollup = F.col("_as.kind") == ROLLUP
    grouped = doubled.groupBy(
        "tenant",
        "minute",
        F.col("_as.kind").alias("kind"),
        F.col("_as.received_hour").alias("received_hour"),
        *(F.col(f"_as.k_{d}").alias(d) for d in dimensions),
    )
    measures = [c for m in contract.rollup.measures for c in _aggregates(m, contract, in_rollup)]
    return grouped.agg(*_cell_counts(), *measures)


def _field(contract: Contract, name: str, columns: Collection[str]) -> Column:
    spec = contract.field_named(name)
    sql_type = {"string": "string", "integer": "bigint", "boolean": "boolean", "timestamp": "timestamp"}.get(
        spec.kind, f"decimal({spec.precision},{spec.scale})"
    )
    value = F.col(name) if name in columns else F.lit(None).cast(sql_type)
    return value if spec.default is None else F.coalesce(value, F.lit(spec.default))


def _prepared(rows: DataFrame, contract: Contract, columns: Collection[str]) -> DataFrame:
    """Dimensions under their names, and for each measure its value as ``v_<measure>``, null where it does not count."""
    values: list[Column] = []
    for measure in contract.rollup.measures:
        holds = F.lit(True)
        for name, condition in (measure.where or {}).items():
            holds = holds & _holds(_field(contract, name, columns), condition)
        if measure.kind == "count":
            value = F.lit(1)
        elif contract.takes_hash(measure):
            hashed = f"{measure.field}_hash"
            value = F.col(hashed) if hashed in columns else F.lit(None).cast("bigint")
        else:
            value = _field(contract, measure.field or "", columns)
        if measure.kind == "quantile":
            value = _bucket(value)
        # Only the winners count; a condition that is null (an absent field) does not hold.
        values.append(F.when(F.col("winner") & holds, value).alias(f"v_{measure.name}"))
    return rows.select(
        "tenant",
        "minute",
        F.date_trunc("hour", "received_at").alias("received_hour"),
        "occurred_at",
        "event_id",
        "minted",
        "winner",
        "duplicate",
        "collision",
        "copy",
        # A column that is younger than many a table.
        F.coalesce(F.col("erased") if "erased" in columns else F.lit(None), F.lit(False)).alias("erased"),
        *(
            F.coalesce(_field(contract, d.field, columns), F.lit(absent_value(contract, d.name))).alias(d.name)
            for d in contract.rollup.dimensions
        ),
        *values,
    )


def _holds(value: Column, condition: Condition) -> Column:
    if not isinstance(condition, Mapping):
        return value == F.lit(condition)
    bounds = {"gte": value.__ge__, "gt": value.__gt__, "lte": value.__le__, "lt": value.__lt__}
    met = F.lit(True)
    for name, bound in condition.items():
        met = met & bounds[name](F.lit(bound))
    return met


def _bucket(value: Column) -> Column:
    positive = F.ceil(F.ln(value.cast("double")) / F.lit(LOG_GAMMA)).cast("int")
    return F.when(value > 0, positive).when(value.isNotNull(), F.lit(ZERO_BUCKET))


def _with_cap(rows: DataFrame, contract: Contract) -> DataFrame:
    """``rows`` with ``over``; where it is true, the capped dimensions read ``(other)``.

    The keys with the most counted events stay, as many as the cap; among equals the lesser in order.
    """
    capped = [d.name for d in contract.rollup.dimensions if d.capped]
    if not capped:
        return rows.withColumn("over", F.lit(False))
    by_key = Window.partitionBy("tenant", "minute", *capped)
    weighed = rows.withColumn("_weight", F.sum(F.col("winner").cast("int")).over(by_key))
    order = Window.partitionBy("tenant", "minute").orderBy(F.col("_weight").desc(), *capped)
    placed = weighed.withColumn("over", F.dense_rank().over(order) > contract.rollup.cap)
    return placed.withColumns({c: F.when(F.col("over"), F.lit(OTHER)).otherwise(F.col(c)) for c in capped})


def _key_type(contract: Contract, dimension: str) -> str:
    return "bigint" if isinstance(absent_value(contract, dimension), int) else "string"


def _cell_counts() -> list[Column]:
    won = F.col("winner")
    lost = (F.col("duplicate"), F.col("collision"), F.col("copy"))
    counts = (F.lit(True), won, *lost, won & F.col("minted"), won & F.col("over"), F.col("erased"))
    return [F.count_if(c).alias(name) for name, c in zip(CELL_COUNTS, counts, strict=True)]


def _aggregates(measure: Measure, contract: Contract, in_rollup: Column) -> list[Column]:
    """The measure's columns; sketches stay empty in cells, where nobody reads them."""
    value = F.col(f"v_{measure.name}")
    match measure.kind:
        case "count" | "min" | "max":
            return [{"count": F.count, "min": F.min, "max": F.max}[measure.kind](value).alias(measure.name)]
        case "sum":
            return [_exact_sum(value, measure, contract).alias(measure.name)]
        case "last":
            latest = F.max(F.when(value.isNotNull(), F.struct("occurred_at", "event_id", value.alias("value"))))
            return [latest["value"].alias(measure.name), latest["occurred_at"].alias(f"{measure.name}_at")]
        case "quantile":
            return [F.collect_list(F.when(in_rollup, value)).alias(measure.name)]
        case "distinct":
            least = F.slice(F.sort_array(F.collect_set(F.when(in_rollup, value))), 1, SKETCH_SIZE)
            text = F.concat(F.lit("{"), F.array_join(least.cast("array<string>"), ","), F.lit("}"))
            return [text.alias(measure.name)]


def _exact_sum(value: Column, measure: Measure, contract: Contract) -> Column:
    spec = contract.field_named(measure.field or "")
    if spec.kind == "decimal":
        return F.sum(value.cast(f"decimal(38,{spec.scale})")).cast(f"decimal(38,{spec.scale})")
    # In 38 digits, then held to what the column takes: in ANSI mode an overflow would fail this load and every next.
    total = F.sum(value.cast("decimal(38,0)"))
    highest, lowest = F.lit(Decimal(_LONG_MAX)), F.lit(Decimal(-_LONG_MAX))
    held = F.greatest(F.least(total, highest), lowest).cast("bigint")
    return F.when(total.isNotNull(), held)  # both pass over nulls, and would make the end of the range of nothing
