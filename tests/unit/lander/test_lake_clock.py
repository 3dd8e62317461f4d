"""A clock that goes back does not make the history of a table go back, which Spark would not read any more."""

import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pytest
from pydantic import SecretStr
from pyiceberg.table import snapshots, update

from collector import lake
from collector.lake_catalog import LakeCatalog

ROWS = pa.table({"n": [1]})
HOUR = 3600.0


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[LakeCatalog]:
    made = LakeCatalog("lake", uri=f"sqlite:///{tmp_path}/catalog.db", warehouse=f"file://{tmp_path}/warehouse")
    made.create_namespace("events")
    made.create_table("events.test", ROWS.schema)
    yield made
    made.close()


@pytest.fixture
def ahead(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Sets the clock by which snapshots and tables are dated."""
    real = time.time
    of_update = update.datetime_to_millis

    def set_clock(seconds: float) -> None:
        clock = type("clock", (), {"time": staticmethod(lambda: real() + seconds)})
        monkeypatch.setattr(snapshots, "time", clock)
        monkeypatch.setattr(update, "datetime_to_millis", lambda at: of_update(at) + int(seconds * 1000))

    return set_clock


def test_what_follows_a_snapshot_of_the_future_is_later_than_it(
    catalog: LakeCatalog, ahead: Callable[[float], None]
) -> None:
    table = catalog.load_table("events.test")
    ahead(HOUR)
    table.append(ROWS)
    ahead(0)
    table.append(ROWS)
    table.append(ROWS)
    metadata = catalog.load_table("events.test").metadata
    times = [entry.timestamp_ms for entry in metadata.snapshot_log]
    assert len(times) == 3
    assert all(a < b for a, b in pairwise(times)), times
    assert [s.timestamp_ms for s in metadata.snapshots] == times
    assert metadata.last_updated_ms >= times[-1]


def test_a_commit_without_a_snapshot_is_not_before_the_last_snapshot(
    catalog: LakeCatalog, ahead: Callable[[float], None]
) -> None:
    table = catalog.load_table("events.test")
    ahead(HOUR)
    table.append(ROWS)
    ahead(0)
    with table.transaction() as transaction:
        transaction.set_properties(note="an hour ago")
    metadata = catalog.load_table("events.test").metadata
    assert metadata.properties["note"] == "an hour ago"
    assert metadata.last_updated_ms >= metadata.snapshot_log[-1].timestamp_ms


def test_a_clock_that_is_right_is_believed(catalog: LakeCatalog) -> None:
    before = time.time() * 1000
    table = catalog.load_table("events.test")
    table.append(ROWS)
    table.append(ROWS)
    assert all(before - 1 <= entry.timestamp_ms <= time.time() * 1000 for entry in table.metadata.snapshot_log)


def test_it_is_the_catalog_that_whoever_writes_to_the_lake_opens(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr(lake, "LakeCatalog", lambda name, **_properties: opened.append(name))
    settings = lake.LakeSettings(
        s3_endpoint="http://127.0.0.1:1",
        aws_access_key_id="a",
        aws_secret_access_key=SecretStr("b"),
        lake_warehouse="s3://lake/warehouse",
        lake_catalog_uri=SecretStr("postgresql+psycopg://lander@127.0.0.1:1/catalog"),
    )
    lake.open_catalog(settings)
    assert opened == [lake.CATALOG]
