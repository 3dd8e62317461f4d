"""What a table of the lake needs, judged from its metadata alone: pure functions, for a dry run and a real one."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime

from pyiceberg.table import StaticTable
from pyiceberg.table.snapshots import Snapshot

SMALL = 0.75
"""Of the size aimed at: what is below it is rewritten (Iceberg's own default, ``min-file-size-bytes``)."""


@dataclass(frozen=True)
class File:
    """A data file: the day it is partitioned by, its bytes and its rows."""

    day: date | None
    size: int
    rows: int


def files_of(table: StaticTable) -> list[File]:
    """The data files of the newest snapshot."""
    if table.current_snapshot() is None:
        return []
    found = table.inspect.files().select(["partition", "file_size_in_bytes", "record_count"]).to_pylist()
    return [
        File(next(iter((f["partition"] or {}).values()), None), f["file_size_in_bytes"], f["record_count"])
        for f in found
    ]


def crowded(files: Iterable[File], target_bytes: int, min_files: int) -> Mapping[date | None, int]:
    """The days with at least ``min_files`` small files, and how many those are."""
    small = Counter(f.day for f in files if f.size < SMALL * target_bytes)
    return {day: count for day, count in small.items() if count >= min_files}


def rows_below(files: Iterable[File], floor: datetime) -> int:
    """How many rows lie in days before the one that begins at ``floor``."""
    return sum(f.rows for f in files if f.day is not None and f.day < floor.date())


def superseded(snapshots: Iterable[Snapshot], heads: Iterable[int], before: datetime) -> list[int]:
    """The ids of the snapshots that others had replaced before ``before``.

    A reader pins the newest snapshot there is, however old it is: what counts is when it ceased to be the newest.
    """
    known, kept = list(snapshots), set(heads)
    replaced_at = {s.parent_snapshot_id: s.timestamp_ms for s in known}
    limit = before.timestamp() * 1000
    return sorted(
        s.snapshot_id
        for s in known
        if s.snapshot_id not in kept and replaced_at.get(s.snapshot_id, s.timestamp_ms) < limit
    )
