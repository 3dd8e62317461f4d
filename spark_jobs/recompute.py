"""One chunk of minutes: read from a pinned table, summed in Spark, handed over as the warehouse's tables are."""

import json
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from contracts.columns import rollup_columns
from contracts.model import Contract
from spark_jobs.catalog import CATALOG
from spark_jobs.lake import Pinned, ranges
from spark_jobs.rollup import CELL, CELL_COUNTS, ROLLUP, ZERO_BUCKET, summed
from spark_jobs.surviving import rows_of
from warehouse.reprocess_compare import Span
from warehouse.touched import Touched

FEW_EVENTS = 100_000
"""Up to so many one task is quicker than to shuffle."""
_STAMP = pa.timestamp("us", tz="UTC")


def recompute(  # noqa: PLR0917 - as its one caller has them
    spark: SparkSession,
    contract: Contract,
    pinned: Pinned,
    claimed: Sequence[Touched],
    land_seq: int,
    without: Collection[str] = (),
) -> tuple[pa.Table, pa.Table]:
    """The rollup rows and the cells of ``claimed``, from the rows of ``pinned`` up to ``land_seq``.

    ``without``: files of the table that are missing, in which none of ``claimed`` has a row.
    """
    pairs = pa.table(
        {
            "tenant": pa.array([t.tenant for t in claimed], pa.string()),
            "minute": pa.array([t.minute for t in claimed], _STAMP),
        }
    )
    table = _table(spark, contract, pinned, [t.minute for t in claimed], without)
    rows = of_minutes(table, spark.createDataFrame(pairs), _within(pinned, claimed), land_seq)
    return _tables(rows, contract, pinned, sum(t.events for t in claimed))


def recompute_span(  # noqa: PLR0917 - as its one caller has them
    spark: SparkSession,
    contract: Contract,
    pinned: Pinned,
    span: Span,
    land_seq: int,
    without: Collection[str] = (),
) -> tuple[pa.Table, pa.Table]:
    """The rollup rows and the cells of all minutes of ``span``, from the rows of ``pinned`` up to ``land_seq``.

    ``without``: files of the table that are missing; minutes that have rows in them come out too small.
    """
    if pinned.snapshot_id is None:
        within = F.lit(False)
    else:
        within = (F.col("occurred_at") >= F.lit(span.start)) & (F.col("occurred_at") < F.lit(span.end))
    if span.tenant is not None:
        within = within & (F.col("tenant") == F.lit(span.tenant))
    rows = _known(_table(spark, contract, pinned, span.minutes() if without else (), without), within, land_seq)
    return _tables(rows, contract, pinned, span.events)


def _table(
    spark: SparkSession, contract: Contract, pinned: Pinned, minutes: Sequence[datetime], without: Collection[str]
) -> DataFrame:
    if without and pinned.snapshot_id is not None:
        return spark.createDataFrame(rows_of(pinned, minutes, without))
    reader = spark.read
    if pinned.snapshot_id is not None:
        reader = reader.option("versionAsOf", str(pinned.snapshot_id))
    return reader.table(f"{CATALOG}.{contract.table}")


def _tables(rows: DataFrame, contract: Contract, pinned: Pinned, events: int) -> tuple[pa.Table, pa.Table]:
    rows = rows.coalesce(1) if events <= FEW_EVENTS else rows.repartition("tenant", "minute")
    return split(summed(rows, contract, pinned.columns).toArrow(), contract)


def of_minutes(rows: DataFrame, pairs: DataFrame, within: Column, land_seq: int) -> DataFrame:
    """Those of a lake table's ``rows`` that lie in ``pairs`` (tenant, minute), with ``minute``.

    ``within`` bounds occurred_at so that Iceberg can skip files. Rows above ``land_seq`` are the next load's: the books
    then say of every row either that it is loaded or that it is not.
    """
    return _known(rows, within, land_seq).join(F.broadcast(pairs), ["tenant", "minute"], "left_semi")


def _known(rows: DataFrame, within: Column, land_seq: int) -> DataFrame:
    known = rows.where(within & (F.col("land_seq") <= land_seq))
    return known.withColumn("minute", F.date_trunc("minute", "occurred_at"))


def _within(pinned: Pinned, claimed: Sequence[Touched]) -> Column:
    found = F.lit(False)
    if pinned.snapshot_id is None:
        return found  # it was empty when it was pinned, whatever has landed since: of it no row is taken
    for start, end in ranges([t.minute for t in claimed]):
        found = found | ((F.col("occurred_at") >= F.lit(start)) & (F.col("occurred_at") < F.lit(end)))
    return found


def split(result: pa.Table, contract: Contract) -> tuple[pa.Table, pa.Table]:
    """Rollup rows and cells as the warehouse's tables have them; sketches in the text that Postgres reads."""
    rollup = result.filter(pc.equal(result["kind"], pa.scalar(ROLLUP)))
    for measure in contract.rollup.measures:
        if measure.kind == "quantile":
            at = rollup.column_names.index(measure.name)
            rollup = rollup.set_column(at, measure.name, bucket_counts(rollup[measure.name]))
    cells = result.filter(pc.equal(result["kind"], pa.scalar(CELL))).select(
        ["tenant", "minute", "received_hour", *CELL_COUNTS]
    )
    type_ = pa.array([contract.type] * cells.num_rows, pa.string())
    return rollup.select([c.name for c in rollup_columns(contract)]), cells.append_column("type", type_)


def bucket_counts(buckets: "pa.ChunkedArray[Any]") -> "pa.Array[pa.StringScalar]":
    """Lists of bucket numbers as JSON objects ``{"<bucket>": count}``; "zero" is what has no logarithm."""
    lists = buckets.combine_chunks()
    pairs = pa.table({"row": pc.list_parent_indices(lists), "bucket": pc.list_flatten(lists)})
    counted = pairs.group_by(["row", "bucket"]).aggregate([([], "count_all")])
    counted = counted.sort_by([("row", "ascending"), ("bucket", "ascending")])
    objects: dict[int, dict[str, int]] = defaultdict(dict)
    rows: Iterator[tuple[int, int, int]] = zip(*(column.to_pylist() for column in counted.columns), strict=True)
    for row, bucket, count in rows:
        objects[row]["zero" if bucket == ZERO_BUCKET else str(bucket)] = count
    return pa.array([json.dumps(objects.get(row, {})) for row in range(len(lists))], pa.string())
