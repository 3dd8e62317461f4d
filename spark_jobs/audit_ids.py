"""The audit of ids: such as a sender used for two times. Identity includes the minute, so they count in each.

``(tenant, type, event_id)`` is to be one event with one time. The load looks at a minute at a time and cannot see that
an id lies in two; to look for each arrival in all of the lake would cost more than the load. So it is done once a day,
for the ids received on it, against what the lake has of some weeks.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import psycopg
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from contracts.model import Contract
from runtime import log
from spark_jobs.catalog import CATALOG, catalog_dsn, metadata_locations
from spark_jobs.lake import Pinned, pin
from spark_jobs.session import open_session
from spark_jobs.settings import AuditSettings
from spark_jobs.surviving import ids_of_day
from warehouse.held import missing_files
from warehouse.id_audits import Audited, due, write
from warehouse.load_state import SESSION

EXAMPLES = 10
"""Of a tenant's reused ids so many are kept by name, the least."""
_DAY = timedelta(days=1)

logger = log.get(__name__)


@dataclass
class Audit:
    """What a run found, by type; ``failed``: types that could not be looked at, and why."""

    day: date
    looked_back_to: datetime
    types: dict[str, list[Audited]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    files_missing: dict[str, int] = field(default_factory=dict)
    """By type the files that could not be looked into, because their objects are gone: an id in one is not found."""

    @property
    def reused(self) -> int:
        """Ids in more than one minute, of all types and tenants."""
        return sum(one.reused for found in self.types.values() for one in found)

    def as_json(self) -> dict[str, Any]:
        """For the command's last line."""
        return {
            "day": self.day.isoformat(),
            "looked_back_to": self.looked_back_to.isoformat(),
            "ids": sum(one.ids for found in self.types.values() for one in found),
            "reused": self.reused,
            "surplus": sum(one.surplus for found in self.types.values() for one in found),
            "types": {type_: [vars(one) for one in found] for type_, found in self.types.items()},
            "failed": self.failed,
            "files_missing": self.files_missing,
        }


def audit(contracts: Iterable[Contract], settings: AuditSettings, day: date) -> Audit:
    """Audit the ids received on ``day`` (UTC), each type by itself, and write down what is found."""
    begin = datetime.combine(day, time.min, UTC)
    done = Audit(day, begin - timedelta(days=settings.audit_look_back_days))
    by_table = {contract.table: contract for contract in contracts}
    with psycopg.connect(catalog_dsn(settings), autocommit=True) as catalog:
        locations = metadata_locations(catalog, list(by_table))
    with psycopg.connect(settings.loader_dsn, autocommit=True, options=SESSION) as warehouse:
        for table, location in sorted(locations.items()):
            type_ = by_table[table].type
            try:
                missing = missing_files(warehouse, type_)
                pinned = pin(table, location, settings)
                found = _audit(pinned, settings, begin, done.looked_back_to, missing)
                write(warehouse, type_, day, done.looked_back_to, found, missing)
            except Exception as error:
                logger.exception("ids could not be audited", type=type_)
                done.failed[type_] = (
                    f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error) else ''}"
                )
            else:
                done.types[type_] = found
                if missing:
                    done.files_missing[type_] = len(missing)
    return done


def audit_again(contracts: Iterable[Contract], settings: AuditSettings) -> list[Audit]:
    """Audit the days anew that were audited beside missing files, where these are there again; the oldest first."""
    by_type = {contract.type: contract for contract in contracts}
    with psycopg.connect(settings.loader_dsn, autocommit=True, options=SESSION) as warehouse:
        days = due(warehouse, by_type.keys())
    return [audit([by_type[type_] for type_ in types], settings, day) for day, types in days.items()]


def _audit(
    pinned: Pinned, settings: AuditSettings, begin: datetime, since: datetime, missing: Collection[str]
) -> list[Audited]:
    if pinned.snapshot_id is None:
        return []
    spark = open_session(settings)
    if missing:
        table = spark.createDataFrame(ids_of_day(pinned, begin, begin + _DAY, since, missing))
    else:
        table = spark.read.option("versionAsOf", str(pinned.snapshot_id)).table(f"{CATALOG}.{pinned.table}")
    ids = by_id(table, begin, begin + _DAY, since)
    counts = by_tenant(ids).toArrow().to_pylist()
    named: dict[str, list[dict[str, Any]]] = {}
    if any(row["reused"] for row in counts):
        for row in examples(ids).toArrow().to_pylist():
            named.setdefault(row.pop("tenant"), []).append(
                {name: value.isoformat() if isinstance(value, datetime) else value for name, value in row.items()}
            )
    return [Audited(**row, examples=named.get(row["tenant"], [])) for row in counts]


def by_id(rows: DataFrame, begin: datetime, end: datetime, since: datetime) -> DataFrame:
    """Of the ids with a row received in [begin, end): tenant, event_id, in how many minutes, the first and the last.

    Looked at are rows received before ``end`` that occurred at or after ``since``, or were received in that time. Spark
    groups on disk where memory does not do. What came later does not change what is said of a day.
    """
    of_day = (F.col("received_at") >= F.lit(begin)) & (F.col("received_at") < F.lit(end))
    known = rows.where((F.col("received_at") < F.lit(end)) & ((F.col("occurred_at") >= F.lit(since)) | of_day))
    minutes = (
        known.withColumn("minute", F.date_trunc("minute", "occurred_at"))
        .groupBy("tenant", "event_id", "minute")
        .agg(F.max(of_day).alias("of_day"))
    )
    ids = minutes.groupBy("tenant", "event_id").agg(
        F.count("minute").alias("minutes"),
        F.min("minute").alias("first"),
        F.max("minute").alias("last"),
        F.max("of_day").alias("of_day"),
    )
    return ids.where("of_day").drop("of_day")


def by_tenant(ids: DataFrame) -> DataFrame:
    """How many ids :func:`by_id` gave, how many of these lie in several minutes, and the minutes beyond the first."""
    return (
        ids.groupBy("tenant")
        .agg(
            F.count("event_id").alias("ids"),
            F.count_if(F.col("minutes") > 1).alias("reused"),
            F.sum(F.col("minutes") - 1).alias("surplus"),
        )
        .orderBy("tenant")
    )


def examples(ids: DataFrame) -> DataFrame:
    """The least reused ids of each tenant."""
    least = Window.partitionBy("tenant").orderBy("event_id")
    placed = ids.where("minutes > 1").withColumn("_place", F.row_number().over(least))
    return placed.where(F.col("_place") <= EXAMPLES).drop("_place").orderBy("tenant", "event_id")
