"""The lake as a job sees it: tables pinned at one snapshot, and which minutes their new rows touch."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg.expressions.parser import parse
from pyiceberg.io.pyarrow import ArrowScan
from pyiceberg.table import ManifestGroupPlanner, StaticTable

from spark_jobs.settings import SparkSettings

_FOLD_AT = 200_000
"""Touched minutes kept from single batches before they are summed: bounds memory however much is new."""


@dataclass(frozen=True)
class Pinned:
    """One table at one snapshot; whatever is committed later is not seen through it."""

    table: str
    metadata_location: str
    snapshot_id: int | None
    sequence_number: int
    columns: frozenset[str]
    source: StaticTable


@dataclass(frozen=True)
class NewRows:
    """What rows above a cursor touch, as ``minutes`` (tenant, minute, events, received_from); the top ``land_seq``.

    Rows that occurred below the lake's floor are in ``quarantined`` (tenant, minute, received_hour, events) instead.
    """

    minutes: pa.Table
    quarantined: pa.Table
    events: int
    land_seq: int


def pin(table: str, metadata_location: str, settings: SparkSettings) -> Pinned:
    """The table as ``metadata_location`` describes it, at its newest snapshot."""
    source = StaticTable.from_metadata(metadata_location, _file_properties(settings))
    snapshot = source.current_snapshot()
    schema = source.schema()
    if snapshot is not None and snapshot.schema_id is not None:
        # A column added after the snapshot is not in it, for Spark either.
        schema = source.schemas()[snapshot.schema_id]
    return Pinned(
        table=table,
        metadata_location=metadata_location,
        snapshot_id=None if snapshot is None else snapshot.snapshot_id,
        sequence_number=0 if snapshot is None else snapshot.sequence_number or 0,
        columns=frozenset(schema.column_names),
        source=source,
    )


def new_rows(
    pinned: Pinned,
    land_seq: int,
    sequence_number: int = 0,
    floor: datetime | None = None,
    without: Collection[str] = (),
) -> NewRows:
    """What the rows with a ``land_seq`` above the given one touch, by tenant and minute.

    Read here and not by Spark: of a few new files three columns, found by the file statistics, cost a tenth of a query.
    ``sequence_number`` is that of a snapshot in which no row was above ``land_seq``: manifests that are not younger
    (Iceberg's specification, sequence number inheritance) are not opened, however many files have piled up in them.
    ``without``: files that are missing; who finds them there again has their minutes touched.
    """
    parts: list[pa.Table] = []
    held = 0
    columns = ("tenant", "occurred_at", "received_at", "land_seq")
    for batch in batches(pinned, f"land_seq > {int(land_seq)}", columns, sequence_number, without):
        if batch.num_rows:
            parts.append(_by_minute(batch, floor))
            held += parts[-1].num_rows
        if held > _FOLD_AT:
            parts = [_fold(parts)]
            held = 0
    if not parts:
        return NewRows(_EMPTY, _EMPTY_CELLS, 0, land_seq)
    found = _fold(parts)
    events, top = pc.sum(found["events"]).as_py(), pc.max(found["land_seq"]).as_py()
    below = pc.is_valid(found["received_hour"])
    minutes = found.filter(pc.invert(below)).select(_EMPTY.column_names)
    return NewRows(minutes, found.filter(below).select(_EMPTY_CELLS.column_names), events, top)


def newest_commit(pinned: Pinned) -> int:
    """The ``land_seq`` of the lander's last commit to the table: no row as pinned has a greater one."""
    return int(pinned.source.properties.get("watershed.land_seq", 0))


def minutes_of(
    pinned: Pinned,
    events: Collection[tuple[str, str]],
    land_seq: int,
    sequence_number: int = 0,
    without: Collection[str] = (),
) -> dict[tuple[str, str], datetime]:
    """The minutes in which those of ``events`` (tenant, event_id) occurred that are among the rows above a cursor.

    The parameters are those of :func:`new_rows`.
    """
    found: dict[tuple[str, str], datetime] = {}
    wanted: pa.Array[Any] = pa.array([event_id for _, event_id in events], pa.string())
    columns = ("tenant", "event_id", "occurred_at")
    for batch in batches(pinned, f"land_seq > {int(land_seq)}", columns, sequence_number, without):
        table = pa.Table.from_batches([batch])
        table = table.filter(pc.is_in(table["event_id"].cast(pa.string()), wanted))
        minutes = pc.floor_temporal(table["occurred_at"].cast(_STAMP), unit="minute")  # type: ignore[call-overload]
        for tenant, event_id, minute in zip(
            table["tenant"].to_pylist(), table["event_id"].to_pylist(), minutes.to_pylist(), strict=True
        ):
            if (event := (str(tenant), str(event_id))) in events:
                found[event] = minute
    return found


def batches(
    pinned: Pinned,
    row_filter: str,
    columns: Sequence[str],
    sequence_number: int = 0,
    without: Collection[str] = (),
) -> Iterator[pa.RecordBatch]:
    """``columns`` of the rows that ``row_filter`` takes, in manifests younger than ``sequence_number``.

    The files ``without`` (paths) are not opened.
    """
    snapshot = pinned.source.current_snapshot()
    if snapshot is None:
        return
    metadata, io = pinned.source.metadata, pinned.source.io
    younger = [m for m in snapshot.manifests(io) if m.sequence_number > sequence_number]
    if not younger:
        return
    planned = ManifestGroupPlanner(metadata, io, row_filter).plan_files(younger)
    tasks = [task for task in planned if task.file.file_path not in without]
    projection = metadata.schema().select(*columns)
    yield from ArrowScan(metadata, io, projection, parse(row_filter)).to_record_batches(tasks)


_STAMP = pa.timestamp("us", tz="UTC")
_EMPTY = pa.table(
    {
        "tenant": pa.array([], pa.string()),
        "minute": pa.array([], _STAMP),
        "events": pa.array([], pa.int64()),
        "received_from": pa.array([], _STAMP),
    }
)
_EMPTY_CELLS = pa.table(
    {
        "tenant": pa.array([], pa.string()),
        "minute": pa.array([], _STAMP),
        "received_hour": pa.array([], _STAMP),
        "events": pa.array([], pa.int64()),
    }
)


def _by_minute(batch: pa.RecordBatch, floor: datetime | None) -> pa.Table:
    """By tenant and minute; what is below ``floor`` by the hour of receipt too, which is null for the others."""
    received = batch["received_at"].cast(_STAMP)
    below: Any = pa.scalar(False)
    if floor is not None:
        below = pc.less(batch["occurred_at"].cast(_STAMP), pa.scalar(floor, _STAMP))
    hour = pc.floor_temporal(received, unit="hour")  # type: ignore[call-overload]
    table = pa.table(
        {
            "received_hour": pc.if_else(below, hour, pa.scalar(None, _STAMP)),
            "tenant": batch["tenant"].cast(pa.string()),
            "minute": pc.floor_temporal(batch["occurred_at"].cast(_STAMP), unit="minute"),  # type: ignore[call-overload]
            "events": pc.cast(pc.is_valid(batch["tenant"]), pa.int64()),
            "received_from": received,
            "land_seq": batch["land_seq"],
        }
    )
    return _fold([table])


def _fold(parts: Sequence[pa.Table]) -> pa.Table:
    grouped = (
        pa.concat_tables(parts)
        .group_by(["tenant", "minute", "received_hour"])
        .aggregate([("events", "sum"), ("received_from", "min"), ("land_seq", "max")])
    )
    names = {name: name.removesuffix("_sum").removesuffix("_min").removesuffix("_max") for name in grouped.column_names}
    return grouped.rename_columns(names)


def ranges(minutes: Sequence[datetime], most: int = 32) -> list[tuple[datetime, datetime]]:
    """At most ``most`` half-open ranges that hold every one of ``minutes``, split where the gaps are widest.

    They let Iceberg skip files; rows between the minutes are dropped afterwards.
    """
    ordered = sorted(set(minutes))
    gaps = sorted(range(1, len(ordered)), key=lambda i: ordered[i] - ordered[i - 1], reverse=True)
    minute = timedelta(minutes=1)
    cuts = sorted(i for i in gaps[: most - 1] if ordered[i] - ordered[i - 1] > minute)
    starts, ends = [0, *cuts], [*cuts, len(ordered)]
    return [(ordered[a], ordered[b - 1] + minute) for a, b in zip(starts, ends, strict=True)]


def _file_properties(settings: SparkSettings) -> dict[str, str]:
    properties = {"py-io-impl": "pyiceberg.io.pyarrow.PyArrowFileIO"}
    if settings.lake_warehouse.startswith("s3:"):
        properties |= {
            "s3.access-key-id": settings.aws_access_key_id,
            "s3.secret-access-key": settings.aws_secret_access_key.get_secret_value(),
            "s3.region": settings.aws_region,
        }
        if settings.s3_endpoint:
            properties["s3.endpoint"] = settings.s3_endpoint
    return properties
