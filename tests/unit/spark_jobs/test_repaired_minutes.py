"""Which of the new rows are repaired events: found by tenant and id, in a real Iceberg table on a disk."""

import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest
from pyiceberg.catalog.sql import SqlCatalog

from collector.lake import arrow_schema, ensure_table
from contracts.registry import Registry
from spark_jobs.lake import Pinned, minutes_of, pin
from spark_jobs.settings import SparkSettings
from spark_jobs.type_load import TypeLoad

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
CONTRACT = Registry.load().newest("purchase")


def row(number: int, tenant: str = "acme") -> dict[str, object]:
    return {
        "event_id": str(uuid.UUID(int=number)), "tenant": tenant, "schema_version": 1,
        "occurred_at": NOON + timedelta(minutes=number, seconds=7), "received_at": NOON + timedelta(days=14),
        "collector_id": "c" * 16, "sequence": number, "minted": False, "content_hash": number,
    }  # fmt: skip


@pytest.fixture
def pinned(tmp_path: Path) -> Pinned:
    """Two landings: events 1 and 2, then 2 again, 3, and 1 of another tenant."""
    catalog = SqlCatalog("lake", uri=f"sqlite:///{tmp_path}/catalog.db", warehouse=f"file://{tmp_path}/lake")
    table = ensure_table(catalog, CONTRACT)
    for land_seq, rows in ((1, [row(1), row(2)]), (2, [row(2), row(3), row(1, "globex")])):
        stamped = [{**one, "land_seq": land_seq} for one in rows]
        table.append(pa.Table.from_pylist(stamped, schema=arrow_schema(CONTRACT)))
    settings = SparkSettings(lake_warehouse=f"file://{tmp_path}/lake", lake_catalog_uri="sqlite://")
    return pin(CONTRACT.table, table.refresh().metadata_location, settings)


def ids(*events: tuple[str, int]) -> frozenset[tuple[str, str]]:
    return frozenset((tenant, str(uuid.UUID(int=number))) for tenant, number in events)


def test_repaired_events_are_found_among_the_new_rows_with_their_minute(pinned: Pinned) -> None:
    awaited = ids(("acme", 1), ("acme", 3), ("acme", 9))
    assert minutes_of(pinned, awaited, 0) == {
        ("acme", str(uuid.UUID(int=1))): NOON + timedelta(minutes=1),
        ("acme", str(uuid.UUID(int=3))): NOON + timedelta(minutes=3),
    }


def test_rows_up_to_the_cursor_and_the_same_id_of_another_tenant_are_not_they(pinned: Pinned) -> None:
    assert minutes_of(pinned, ids(("acme", 1)), 1) == {}
    assert list(minutes_of(pinned, ids(("globex", 1)), 1)) == [("globex", str(uuid.UUID(int=1)))]
    assert minutes_of(pinned, ids(("acme", 1)), 2) == {}


def test_a_missing_file_is_not_opened_and_the_others_are_read(pinned: Pinned) -> None:
    (first,) = (path for path in files(pinned) if minutes_of(pinned, ids(("acme", 3)), 0, without={path}))
    Path(first.removeprefix("file://")).unlink()
    assert list(minutes_of(pinned, ids(("acme", 1), ("acme", 3)), 0, without={first})) == [
        ("acme", str(uuid.UUID(int=3)))
    ]
    with pytest.raises(FileNotFoundError):
        minutes_of(pinned, ids(("acme", 1), ("acme", 3)), 0)


def test_a_load_says_which_files_are_missing(pinned: Pinned, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("warehouse.repairs.awaited", lambda *_: ids(("acme", 1), ("acme", 3)))
    unused: Any = SimpleNamespace(land_seq=0, sequence_number=0)
    load = TypeLoad(CONTRACT, unused, unused, uuid.uuid4())
    load._warehouse = unused
    assert len(load._repaired(pinned, unused, ())) == 2
    assert load._repaired(pinned, unused, files(pinned)) == {}


def files(pinned: Pinned) -> list[str]:
    return [task.file.file_path for task in pinned.source.scan().plan_files()]
