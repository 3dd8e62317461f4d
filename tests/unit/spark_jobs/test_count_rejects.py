"""Rejected events are counted once, by the hour of their receipt, from a real Iceberg table on a disk."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyiceberg.catalog.sql import SqlCatalog

from collector.lake import arrow_schema_of, ensure_table
from collector.land_quality import REJECTED_EVENTS
from contracts.registry import Registry
from spark_jobs.count_rejects import count, new_rejects
from spark_jobs.lake import Pinned, pin
from spark_jobs.reject_labels import Labels
from spark_jobs.settings import SparkSettings
from warehouse.rejects import RejectCount

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
LABELS = Labels(Registry.load())
PATTERN = {"pointer": "/data/amount", "keyword": "pattern", "message": "is not as described"}
UNKNOWN_FIELD = {"pointer": "/data/jane", "keyword": "additionalProperties", "message": "'jane' is not a field"}
Row = dict[str, Any]


def rejection(number: int, minutes: float = 0, **changes: object) -> Row:
    """A row of the lake; equal ``number``: an equal id."""
    return {
        "reject_id": f"reject-{number}",
        "tenant": "t",
        "event_type": "purchase",
        "received_at": NOON + timedelta(minutes=minutes),
        "stage": "collector",
        "reasons": json.dumps([PATTERN]),
        "body": "{}",
        "body_encoding": "utf-8",
        "kafka_partition": 0,
        "kafka_offset": number,
    } | changes


@pytest.fixture
def land(tmp_path: Path) -> Callable[..., Pinned]:
    """Commits rows, one landing each call, and gives the table as it is then."""
    catalog = SqlCatalog("lake", uri=f"sqlite:///{tmp_path}/catalog.db", warehouse=f"file://{tmp_path}/lake")
    table = ensure_table(catalog, REJECTED_EVENTS)
    settings = SparkSettings(lake_warehouse=f"file://{tmp_path}/lake", lake_catalog_uri="sqlite://")
    landed = 0

    def land_rows(*rows: Row) -> Pinned:
        nonlocal landed
        landed += 1
        stamped = [{**row, "land_seq": landed} for row in rows]
        table.append(pa.Table.from_pylist(stamped, schema=arrow_schema_of(REJECTED_EVENTS.columns)))
        return pin(REJECTED_EVENTS.identifier, table.refresh().metadata_location, settings)

    return land_rows


def rejected(counts: list[RejectCount]) -> dict[tuple[str, str, str, str], tuple[int, int]]:
    return {(c.tenant, c.event_type, c.reason, c.field): (c.rejected, c.named) for c in counts}


def test_an_event_with_two_reasons_is_rejected_once_and_named_twice(land: Callable[..., Pinned]) -> None:
    both = json.dumps([PATTERN, UNKNOWN_FIELD])
    pinned = land(rejection(1), rejection(2, reasons=both), rejection(3, reasons=json.dumps([UNKNOWN_FIELD])))
    assert rejected(count(pinned, NOON, LABELS)) == {
        ("t", "purchase", "pattern", "/data/amount"): (2, 2),
        ("t", "purchase", "additionalProperties", "/data/(unknown)"): (1, 2),
    }


def test_the_same_rejection_landed_twice_is_counted_once(land: Callable[..., Pinned]) -> None:
    land(rejection(1), rejection(1))
    pinned = land(rejection(1), rejection(2))
    (counts,) = rejected(count(pinned, NOON, LABELS)).values()
    assert counts == (2, 2)


def test_a_rejection_belongs_to_the_hour_it_was_received_in(land: Callable[..., Pinned]) -> None:
    pinned = land(rejection(1, -0.001), rejection(2), rejection(3, 59.999), rejection(4, 60))
    hours = [NOON + timedelta(hours=n) for n in (-1, 0, 1, 2)]
    assert [sum(c.rejected for c in count(pinned, hour, LABELS)) for hour in hours] == [1, 2, 1, 0]


def test_whose_it_was_and_what_it_claimed_may_be_missing(land: Callable[..., Pinned]) -> None:
    pinned = land(rejection(1, tenant=None, event_type=None), rejection(2, event_type="no_such_type"))
    assert set(rejected(count(pinned, NOON, LABELS))) == {
        ("(none)", "(none)", "pattern", "/data/amount"),
        ("t", "(unknown)", "pattern", "/data/amount"),
    }


def test_they_are_counted_by_key_and_by_the_version_that_they_name(land: Callable[..., Pinned]) -> None:
    pinned = land(
        rejection(1, key_id="k_a", schema_version=1), rejection(2, key_id="k_a"), rejection(3, key_id="k_b"),
        rejection(4, key_id="k_a", schema_version=1), rejection(5, schema_version=4711), rejection(6, schema_version=0),
        rejection(7, event_type=None, schema_version=1),
    )  # fmt: skip
    land(rejection(1, key_id="k_a", schema_version=1))
    found = {(c.event_type, c.key_id, c.version): c.rejected for c in count(pinned, NOON, LABELS)}
    assert found == {
        ("purchase", "k_a", "v1"): 2, ("purchase", "k_a", "(none)"): 1, ("purchase", "k_b", "(none)"): 1,
        ("purchase", "(none)", "(unknown)"): 2, ("(none)", "(none)", "(unknown)"): 1,
    }  # fmt: skip


def test_a_lake_of_before_there_was_the_version_is_counted(tmp_path: Path) -> None:
    before = replace(REJECTED_EVENTS, columns=REJECTED_EVENTS.columns[:-1])
    catalog = SqlCatalog("lake", uri=f"sqlite:///{tmp_path}/catalog.db", warehouse=f"file://{tmp_path}/lake")
    table = ensure_table(catalog, before)
    table.append(pa.Table.from_pylist([{**rejection(1), "land_seq": 1}], schema=arrow_schema_of(before.columns)))
    settings = SparkSettings(lake_warehouse=f"file://{tmp_path}/lake", lake_catalog_uri="sqlite://")
    pinned = pin(before.identifier, table.refresh().metadata_location, settings)
    (one,) = count(pinned, NOON, LABELS)
    assert (one.version, one.rejected) == ("(none)", 1)


def test_rows_above_the_cursor_touch_their_hours(land: Callable[..., Pinned]) -> None:
    seen = land(rejection(1), rejection(2, 60))
    pinned = land(rejection(3, 61), rejection(4, 24 * 60))
    new = new_rejects(pinned, 1, seen.sequence_number)
    assert (new.hours, new.events, new.land_seq) == ({NOON + timedelta(hours=1), NOON + timedelta(days=1)}, 2, 2)
    again = new_rejects(pinned, new.land_seq, pinned.sequence_number)
    assert (again.hours, again.events, again.land_seq) == (frozenset(), 0, 2)


def test_a_message_that_a_lander_rejected_twice_is_counted_when_it_was_first(land: Callable[..., Pinned]) -> None:
    by_lander = {"stage": "lander", "reasons": json.dumps([{"pointer": "", "keyword": "parse", "message": "no JSON"}])}
    seen = land(rejection(1, 60, **by_lander), rejection(2, 61))
    pinned = land(rejection(1, 0, **by_lander), rejection(1, 120, **by_lander))
    hours = [NOON + timedelta(hours=n) for n in (0, 1, 2)]
    assert [sum(c.rejected for c in count(pinned, hour, LABELS)) for hour in hours] == [1, 1, 0]
    assert new_rejects(pinned, 1, seen.sequence_number).hours == set(hours), "the hour that loses it is counted anew"


def test_a_table_without_rows_has_nothing_to_count(land: Callable[..., Pinned]) -> None:
    pinned = land()
    assert count(pinned, NOON, LABELS) == []
    assert new_rejects(pinned, 0).events == 0
