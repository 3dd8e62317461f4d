"""Which data files a table of the lake names, which of their objects are there as named, and what a file holds."""

from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow as pa
from pyarrow.fs import FileSelector, FileSystem, FileType
from pyiceberg.conversions import from_bytes
from pyiceberg.expressions import AlwaysTrue
from pyiceberg.io.pyarrow import ArrowScan, PyArrowFileIO
from pyiceberg.manifest import DataFile, ManifestContent, ManifestFile
from pyiceberg.table import FileScanTask
from pyiceberg.types import TimestamptzType

from spark_jobs.lake import Pinned, newest_commit

_EPOCH = date(1970, 1, 1)
_AT_ONCE = 16


class NotUnderstood(Exception):
    """The table holds something that the books cannot count by; the message says what."""


@dataclass(frozen=True)
class Named:
    """A data file as the newest snapshot names it."""

    path: str
    manifest: str
    day: date | None
    rows: int
    size: int
    """Of the object in bytes, as it was written."""
    source: DataFile
    first: datetime | None = None
    last: datetime | None = None
    """Bounds of when its events occurred; None: its metadata do not say."""


@dataclass(frozen=True)
class Snapshot:
    """What a table's newest snapshot names: all its ``manifests``, and the ``files`` of those not known before.

    A manifest is never changed, so the files of those that are known need not be read again.
    """

    manifests: frozenset[str]
    files: tuple[Named, ...]
    land_seq: int


def named(pinned: Pinned, known_manifests: Mapping[str, int]) -> Snapshot:
    """What the table's newest snapshot names. ``known_manifests``: of how many files of each everything is known.

    One that names another number of files is opened: the table was set back to an older snapshot, or a row was lost.

    :raises NotUnderstood: rows were deleted by files of deletes: what a data file holds is then not what counts.
    """
    land_seq = newest_commit(pinned)
    snapshot = pinned.source.current_snapshot()
    if snapshot is None:
        return Snapshot(frozenset(), (), land_seq)
    io = pinned.source.io
    manifests = snapshot.manifests(io)
    if any(m.content == ManifestContent.DELETES for m in manifests):
        raise NotUnderstood(f"{pinned.table} has delete files: rewrite its data files (`watershed lake maintain`)")
    files = tuple(
        Named(
            entry.data_file.file_path,
            manifest.manifest_path,
            _day(entry.data_file),
            entry.data_file.record_count,
            entry.data_file.file_size_in_bytes,
            entry.data_file,
            *_bounds(pinned, entry.data_file),
        )
        for manifest in manifests
        if known_manifests.get(manifest.manifest_path, 0) != _live(manifest)
        for entry in manifest.fetch_manifest_entry(io)
    )
    return Snapshot(frozenset(m.manifest_path for m in manifests), files, land_seq)


def _live(manifest: ManifestFile) -> int:
    return (manifest.added_files_count or 0) + (manifest.existing_files_count or 0)


def _day(file: DataFile) -> date | None:
    values = [file.partition[i] for i in range(len(file.partition))]
    value = values[0] if values else None
    return _EPOCH + timedelta(days=value) if isinstance(value, int) else value


def _bounds(pinned: Pinned, file: DataFile) -> tuple[datetime | None, datetime | None]:
    if "occurred_at" not in pinned.columns:
        return None, None
    field_id = pinned.source.schema().find_field("occurred_at").field_id

    def told(bounds: Mapping[int, bytes] | None) -> datetime | None:
        bound = (bounds or {}).get(field_id)
        if bound is None:
            return None
        since_1970: Any = from_bytes(TimestamptzType(), bound)  # microseconds
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=since_1970)

    return told(file.lower_bounds), told(file.upper_bounds)


def gone(pinned: Pinned, sizes: Mapping[str, int]) -> dict[str, int | None]:
    """The paths of ``sizes`` whose objects are not there: not in the list of the table's folder, and asked for twice.

    An object of another size is not the file that the table names: overwritten or cut short by hand. It is not there
    either, and comes with the size that was found; None where there is nothing.

    :raises OSError: the store is away, refuses, or is another one: then nothing is known.
    """
    io = pinned.source.io
    if not isinstance(io, PyArrowFileIO):
        raise NotUnderstood(f"{pinned.table}: no file system to list it by")
    there = dict(_listed(io, f"{pinned.source.location()}/data"))
    found = {path: there.get(path) for path, size in sizes.items() if there.get(path) != size}
    with ThreadPoolExecutor(_AT_ONCE) as askers:  # of a folder that is gone there may be very many
        for _ in range(2):
            asked = zip(found, askers.map(lambda path: _size(io, path), list(found)), strict=True)
            found = {path: size for path, size in asked if size != sizes[path]}
    if found and _size(io, pinned.metadata_location) is None:
        raise OSError(f"{pinned.table}: {len(found)} files are not in the store, and its metadata is not either")
    return found


def _listed(io: PyArrowFileIO, folder: str) -> Iterator[tuple[str, int]]:
    _, _, place = io.parse_location(folder)
    prefix = folder.removesuffix(place)
    for info in _files(io, folder).get_file_info(FileSelector(place, allow_not_found=True, recursive=True)):
        if info.type == FileType.File:
            yield prefix + info.path, int(info.size)


def _size(io: PyArrowFileIO, path: str) -> int | None:
    """Of an object in bytes; None where there is none."""
    _, _, place = io.parse_location(path)
    info = _files(io, path).get_file_info(place)
    return int(info.size) if info.type == FileType.File else None


def _files(io: PyArrowFileIO, location: str) -> FileSystem:
    scheme, netloc, _ = io.parse_location(location)
    return io.fs_by_scheme(scheme, netloc)


def rows(pinned: Pinned, file: DataFile, columns: Collection[str]) -> pa.Table:
    """``columns`` of one data file.

    :raises FileNotFoundError: its object is gone.
    """
    metadata = pinned.source.metadata
    scan = ArrowScan(metadata, pinned.source.io, metadata.schema().select(*columns), AlwaysTrue())
    return scan.to_table([FileScanTask(file)])
