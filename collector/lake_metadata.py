"""What the bucket itself says of the lake's tables: the metadata file that each commit writes beside the data.

A table's newest metadata names every file of the table and, in its properties, how far its landers are. The catalog in
Postgres only says which of the files is the newest; so a lost or an older catalog can be made good from the bucket.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

from pyarrow.fs import FileInfo, FileSelector, FileType
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.exceptions import ValidationError
from pyiceberg.io import load_file_io
from pyiceberg.io.pyarrow import PyArrowFileIO
from pyiceberg.manifest import ManifestEntryStatus, ManifestFile
from pyiceberg.serializers import FromInputFile
from pyiceberg.table.metadata import TableMetadata
from pyiceberg.table.snapshots import Snapshot

_NAME = re.compile(r"(\d+)-[0-9a-f-]{36}(\.gz)?\.metadata\.json")
"""As pyiceberg and Iceberg's library for Java name them: the number of the commit, from 0 for the table's making."""


@dataclass(frozen=True)
class Committed:
    """A metadata file, and what it says."""

    location: str
    metadata: TableMetadata

    @property
    def name(self) -> str:
        """The file's name."""
        return self.location.rpartition("/")[2]

    def follows(self, location: str) -> bool:
        """Whether the metadata at ``location`` is one of those before this, as far as it remembers them."""
        return any(entry.metadata_file == location for entry in self.metadata.metadata_log)


def number(location: str) -> int:
    """The number of the commit that wrote a metadata file; -1 for a file that is none."""
    found = _NAME.fullmatch(location.rpartition("/")[2])
    return int(found[1]) if found else -1


class Bucket:
    """The lake's files, as they lie below the warehouse of a catalog."""

    def __init__(self, catalog: SqlCatalog) -> None:
        self._root = catalog.properties["warehouse"].rstrip("/")
        io = load_file_io(catalog.properties, self._root)
        assert isinstance(io, PyArrowFileIO)  # noqa: S101 - the only one that lists folders; nothing here sets another
        self._io = io

    def place(self, identifier: str) -> str:
        """The folder of a table, as the catalog makes it."""
        return f"{self._root}/{identifier.replace('.', '/')}"

    def tables(self) -> list[str]:
        """Every table that has anything committed (``namespace.name``)."""
        names = [
            f"{namespace.base_name}.{table.base_name}"
            for namespace in self._in(self._root)
            if namespace.type is FileType.Directory
            for table in self._in(f"{self._root}/{namespace.base_name}")
            if table.type is FileType.Directory
        ]
        return sorted(name for name in names if self.commits(name))

    def commits(self, identifier: str) -> list[str]:
        """Where a table's metadata files lie, the newest first, without those of its making, which hold nothing."""
        folder = f"{self.place(identifier)}/metadata"
        found = [f"{folder}/{info.base_name}" for info in self._in(folder) if number(info.base_name) > 0]
        return sorted(found, key=number, reverse=True)

    def newest(self, identifier: str) -> tuple[Committed | None, list[str]]:
        """The newest metadata of which every file is there; and where newer ones lie that lack some, or are damaged.

        A commit that failed may leave its metadata behind, under the number of the one that was made in its place. It
        is as good where its files are there, for rows and offsets are in it together; where they were removed, it is
        passed over.
        """
        passed: list[str] = []
        for _, rivals in groupby(self.commits(identifier), number):
            read = []
            for location in rivals:
                try:
                    read.append(Committed(location, self._read(location)))
                except (ValidationError, ValueError):  # no JSON, or of no table
                    passed.append(location)
            for one in sorted(read, key=lambda c: c.metadata.last_updated_ms, reverse=True):
                if self._whole(one.metadata):
                    return one, passed
                passed.append(one.location)
        return None, passed

    def has(self, location: str) -> bool:
        """Whether there is such a file."""
        return self._io.new_input(location).exists()

    def _read(self, location: str) -> TableMetadata:
        return FromInputFile.table_metadata(self._io.new_input(location))

    def _whole(self, metadata: TableMetadata) -> bool:
        """Whether its newest snapshot's list, manifests, and the files that it brought are there."""
        snapshot = metadata.current_snapshot()
        if snapshot is None:
            return True
        try:
            return all(self.has(file) for file in self._files(snapshot))
        except FileNotFoundError:  # of its list, or of a manifest that was to be read
            return False

    def _files(self, snapshot: Snapshot) -> Iterator[str]:
        for manifest in snapshot.manifests(self._io):
            yield manifest.manifest_path
            if manifest.added_snapshot_id == snapshot.snapshot_id:
                yield from self._brought(manifest, snapshot)

    def _brought(self, manifest: ManifestFile, snapshot: Snapshot) -> Iterator[str]:
        for entry in manifest.fetch_manifest_entry(self._io):
            if entry.status == ManifestEntryStatus.ADDED and entry.snapshot_id == snapshot.snapshot_id:
                yield entry.data_file.file_path

    def _in(self, folder: str) -> list[FileInfo]:
        scheme, netloc, path = PyArrowFileIO.parse_location(folder)
        found = self._io.fs_by_scheme(scheme, netloc).get_file_info(FileSelector(path, allow_not_found=True))
        return list(found)
