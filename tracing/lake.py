"""Rows of the lake by event id, each with the file it lies in. No more than one file's rows are in memory."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pyarrow as pa
from pyiceberg.expressions import AlwaysTrue, BooleanExpression
from pyiceberg.io.pyarrow import ArrowScan
from pyiceberg.table import FileScanTask, ManifestGroupPlanner

from rejects import predicates
from spark_jobs.lake import Pinned
from tracing.judge import Arrival

Progress = Callable[[int, int], None]
"""Files looked in, of how many."""


@dataclass(frozen=True)
class Wanted:
    """Which events. Times are of occurrence, ``since`` inclusive, ``before`` exclusive; they save reading files."""

    ids: frozenset[str]
    tenant: str | None = None
    since: datetime | None = None
    before: datetime | None = None

    def row_filter(self) -> BooleanExpression:
        """The condition on the lake's columns."""
        filters = [predicates.among("event_id", self.ids)]
        if self.tenant is not None:
            filters.append(predicates.equal("tenant", self.tenant))
        if self.since is not None:
            filters.append(predicates.since("occurred_at", self.since))
        if self.before is not None:
            filters.append(predicates.before("occurred_at", self.before))
        return predicates.every(filters)


@dataclass
class Found:
    """What a table has of them. ``files`` were looked in, ``missing`` could not be: their objects are gone."""

    arrivals: list[Arrival] = field(default_factory=list)
    files: int = 0
    missing: int = 0


@dataclass(frozen=True)
class Snapshot:
    """The commit that brought a file into the table; ``operation`` and ``at`` None: it was expired since."""

    snapshot_id: int
    operation: str | None
    at_ms: int | None


def find(pinned: Pinned, wanted: Wanted, without: Collection[str], progress: Progress) -> Found:
    """Every row of ``pinned`` that is ``wanted``; files ``without`` are not opened.

    An id tells little about the file it is in: most files have to be looked in, by that one column, unless times are
    given. All columns are read of the files in which it is.
    """
    found = Found()
    row_filter = wanted.row_filter()
    tasks = _plan(pinned, row_filter)
    for number, task in enumerate(tasks):
        if task.file.file_path in without:
            found.missing += 1
        else:
            found.files += 1
            found.arrivals += (Arrival(row, task.file.file_path) for row in _rows(pinned, task, row_filter))
        progress(number + 1, len(tasks))
    return found


def snapshots(pinned: Pinned, files: Collection[str]) -> dict[str, Snapshot]:
    """By file the commit that added it: a landing's, or that of the maintenance that wrote the rows anew."""
    newest = pinned.source.current_snapshot()
    left, found = set(files), dict[str, Snapshot]()
    if newest is None:
        return found
    metadata, io = pinned.source.metadata, pinned.source.io
    for manifest in newest.manifests(io):
        if not left:
            break
        for entry in manifest.fetch_manifest_entry(io):
            path = entry.data_file.file_path
            if path not in left or entry.snapshot_id is None:
                continue
            left.discard(path)
            known = metadata.snapshot_by_id(entry.snapshot_id)
            operation = known.summary.operation.value if known is not None and known.summary is not None else None
            found[path] = Snapshot(entry.snapshot_id, operation, None if known is None else known.timestamp_ms)
    return found


def each_file(pinned: Pinned, without: Collection[str]) -> Iterator[Iterator[pa.RecordBatch]]:
    """All rows, file by file; those of one file are to be taken before the next is asked for."""
    metadata, io = pinned.source.metadata, pinned.source.io
    scan = ArrowScan(metadata, io, metadata.schema(), AlwaysTrue())
    for task in _plan(pinned, AlwaysTrue()):
        if task.file.file_path not in without:
            yield scan.to_record_batches([task])


def _plan(pinned: Pinned, row_filter: BooleanExpression) -> list[FileScanTask]:
    snapshot = pinned.source.current_snapshot()
    if snapshot is None:
        return []
    metadata, io = pinned.source.metadata, pinned.source.io
    return list(ManifestGroupPlanner(metadata, io, row_filter).plan_files(snapshot.manifests(io)))


def _rows(pinned: Pinned, task: FileScanTask, row_filter: BooleanExpression) -> Iterator[dict[str, Any]]:
    metadata, io, schema = pinned.source.metadata, pinned.source.io, pinned.source.metadata.schema()
    there = ArrowScan(metadata, io, schema.select("event_id"), row_filter)
    if not any(batch.num_rows for batch in there.to_record_batches([task])):
        return
    for batch in ArrowScan(metadata, io, schema, row_filter).to_record_batches([task]):
        yield from batch.to_pylist()
