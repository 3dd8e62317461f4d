"""Which files of a table are there, in a real Iceberg table on a disk."""

import os
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from pyiceberg.catalog.sql import SqlCatalog

from books.lake_files import gone, named
from collector.lake import arrow_schema, ensure_table
from contracts.registry import Registry
from spark_jobs.lake import Pinned, pin
from spark_jobs.settings import SparkSettings

CONTRACT = Registry.load().newest("purchase")
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def pinned(tmp_path: Path) -> Pinned:
    """Three landings, a file each."""
    catalog = SqlCatalog("lake", uri=f"sqlite:///{tmp_path}/catalog.db", warehouse=f"file://{tmp_path}/lake")
    table = ensure_table(catalog, CONTRACT)
    for number in range(1, 4):
        row = {
            "event_id": str(number), "tenant": "acme", "schema_version": 1, "occurred_at": NOON, "received_at": NOON,
            "collector_id": "c" * 16, "sequence": number, "minted": False, "content_hash": number, "land_seq": number,
        }  # fmt: skip
        table.append(pa.Table.from_pylist([row], schema=arrow_schema(CONTRACT)))
    settings = SparkSettings(lake_warehouse=f"file://{tmp_path}/lake", lake_catalog_uri="sqlite://")
    return pin(CONTRACT.table, table.refresh().metadata_location, settings)


def paths(pinned: Pinned) -> dict[str, int]:
    return {file.path: file.size for file in named(pinned, {}).files}


def remove(path: str) -> None:
    Path(path.removeprefix("file://")).unlink()


def test_a_file_is_gone_when_its_object_is(pinned: Pinned) -> None:
    files = paths(pinned)
    assert gone(pinned, files) == {}
    path = min(files)
    remove(path)
    assert gone(pinned, files) == {path: None}


@pytest.mark.parametrize("size", [0, 100, 100_000])
def test_a_file_is_gone_when_its_object_is_of_another_size(pinned: Pinned, size: int) -> None:
    files = paths(pinned)
    path = min(files)
    os.truncate(path.removeprefix("file://"), size)
    assert gone(pinned, files) == {path: size}


def test_all_of_them_are_gone_when_the_folder_is(pinned: Pinned) -> None:
    files = paths(pinned)
    for file in files:
        remove(file)
    assert gone(pinned, files) == dict.fromkeys(files)


def test_in_a_store_that_lacks_the_metadata_too_nothing_is_known_to_be_gone(pinned: Pinned) -> None:
    """An empty disk, mounted in the place of the lake's."""
    files = paths(pinned)
    for path in [*files, pinned.metadata_location]:
        remove(path)
    with pytest.raises(OSError, match="its metadata is not either"):
        gone(pinned, files)


def test_a_manifest_is_opened_again_only_where_another_number_of_its_files_is_known(pinned: Pinned) -> None:
    everything = named(pinned, {})
    known = Counter(file.manifest for file in everything.files)
    assert known.keys() == everything.manifests
    assert named(pinned, known).files == ()
    # The table was set back: of this manifest all but one file went to another since.
    manifest = max(known, key=lambda m: known[m])
    found = named(pinned, {**known, manifest: known[manifest] + 1}).files
    assert {file.path for file in found} == {f.path for f in everything.files if f.manifest == manifest}


def test_a_file_says_between_which_times_its_events_occurred_before_it_is_read(pinned: Pinned) -> None:
    assert {(file.first, file.last) for file in named(pinned, {}).files} == {(NOON, NOON)}
