"""Iceberg's own procedures on one table, called in a session that may write.

Each is a commit of its own that Iceberg tries again when the lander commits meanwhile; none moves the lander's offsets
or ``land_seq``, which are columns and properties that a rewrite keeps.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pyspark.sql import SparkSession

from spark_jobs.catalog import CATALOG

_BEGINNING = "1970-01-02 00:00:00"


@dataclass(frozen=True)
class Rewritten:
    """What a compaction did."""

    files_before: int
    files_after: int
    bytes: int


def compact(spark: SparkSession, table: str, sort_by: Sequence[str], target_bytes: int, min_files: int) -> Rewritten:
    """Rewrite days of many small files into few sorted ones of about ``target_bytes``.

    One group of files at a time, each committed by itself: the load needs the server too, and what is done stays done.
    """
    order = ", ".join(f"{name} ASC NULLS LAST" for name in sort_by)
    row = spark.sql(
        f"""
        call {CATALOG}.system.rewrite_data_files(
            table => '{table}',
            strategy => 'sort',
            sort_order => '{order}',
            options => map(
                'target-file-size-bytes', '{target_bytes}',
                'min-input-files', '{min_files}',
                'max-concurrent-file-group-rewrites', '1',
                'partial-progress.enabled', 'true',
                'partial-progress.max-commits', '100'
            )
        )
        """
    ).collect()[0]
    return Rewritten(row["rewritten_data_files_count"], row["added_data_files_count"], row["rewritten_bytes_count"])


def delete_below(spark: SparkSession, table: str, column: str, floor: datetime, land_seq: int) -> None:
    """Delete what is before ``floor`` by ``column``, of rows up to ``land_seq``: those above nobody has booked yet."""
    spark.sql(
        f"delete from identifier(:table) where {column} < :floor and land_seq <= :land_seq",  # noqa: S608 - our own name
        args={"table": f"{CATALOG}.{table}", "floor": floor, "land_seq": land_seq},
    ).collect()


def expire(spark: SparkSession, table: str, snapshot_ids: Sequence[int]) -> None:
    """Forget these snapshots, and delete the files that only they needed."""
    ids = ", ".join(str(int(i)) for i in snapshot_ids)
    spark.sql(
        f"call {CATALOG}.system.expire_snapshots("
        f"table => '{table}', older_than => timestamp '{_BEGINNING}', snapshot_ids => array({ids}))"
    ).collect()


def orphans(spark: SparkSession, table: str, older_than: datetime, *, dry_run: bool) -> list[str]:
    """The files under the table's location that none of its snapshots knows, from before ``older_than``; deleted."""
    rows = spark.sql(
        f"call {CATALOG}.system.remove_orphan_files(table => '{table}', "
        f"older_than => timestamp '{older_than:%Y-%m-%d %H:%M:%S}', "
        f"dry_run => {str(dry_run).lower()}, prefix_listing => true)"
    ).collect()
    return [row["orphan_file_location"] for row in rows]
