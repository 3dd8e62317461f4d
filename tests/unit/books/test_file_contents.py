"""What the books keep of a data file is what a set of its rows would say."""

import json
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from books.contents import EVENT, REJECTED, SET_ASIDE, of_events, of_rejects
from contracts.registry import Registry

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
STAMP = pa.timestamp("us", tz="UTC")
REGISTRY = Registry.load()
TYPES = frozenset(c.type for c in REGISTRY)

arrivals = st.lists(
    st.tuples(
        st.sampled_from(["one", "two"]),
        st.integers(0, 3),  # quarter-hours of occurrence
        st.integers(50, 70),  # minutes of receipt: two hours
        st.sampled_from(["a" * 16, "b" * 16]),
        st.integers(1, 12),
    ),
    max_size=60,
)


def events(rows: list[tuple[str, int, int, str, int]]) -> pa.Table:
    return pa.table(
        {
            "tenant": pa.array([r[0] for r in rows], pa.string()),
            "occurred_at": pa.array([NOON + timedelta(minutes=15 * r[1], seconds=7) for r in rows], STAMP),
            "received_at": pa.array([NOON + timedelta(minutes=r[2], seconds=59) for r in rows], STAMP),
            "collector_id": pa.array([r[3] for r in rows], pa.string()),
            "sequence": pa.array([r[4] for r in rows], pa.int64()),
            "land_seq": pa.array(range(len(rows)), pa.int64()),
        }
    )


def numbers(multirange: str) -> list[int]:
    pairs = json.loads(f"[{multirange[1:-1]}]")
    return [n for first, last in pairs for n in range(first, last + 1)]


@settings(deadline=None)
@given(arrivals)
def test_ranges_hold_the_set_of_sequences_of_each_hour_and_collector_and_no_other(
    rows: list[tuple[str, int, int, str, int]],
) -> None:
    wanted: dict[tuple[str, datetime, str], list[int]] = defaultdict(list)
    minutes: dict[tuple[str, datetime, datetime], int] = defaultdict(int)
    for tenant, quarter, received, collector, sequence in rows:
        hour = NOON + timedelta(hours=received // 60)
        wanted[tenant, hour, collector].append(sequence)
        minutes[tenant, NOON + timedelta(minutes=15 * quarter), hour] += 1
    found = of_events("page_view", events(rows))
    assert {(r.tenant, r.received_hour, r.collector_id): numbers(r.sequences) for r in found.ranges} == {
        key: sorted(set(sequences)) for key, sequences in wanted.items()
    }
    assert {(r.tenant, r.received_hour, r.collector_id): r.rows for r in found.ranges} == {
        key: len(sequences) for key, sequences in wanted.items()
    }
    assert {(m.tenant, m.minute, m.received_hour): m.rows for m in found.minutes} == dict(minutes)
    assert {(r.kind, r.type) for r in found.ranges} <= {(EVENT, "page_view")}
    assert found.land_seq == max(0, len(rows) - 1)


def test_neighbours_are_one_range_and_a_repetition_none_of_its_own() -> None:
    (found,) = of_events("page_view", events([("one", 0, 0, "a" * 16, n) for n in (3, 1, 2, 2, 7)])).ranges
    assert (found.sequences, found.rows) == ("{[1,3],[7,7]}", 5)


def rejects(*rows: dict[str, Any]) -> pa.Table:
    whole = {
        "tenant": "one", "event_type": "purchase", "received_at": NOON, "collector_id": "a" * 16, "sequence": 1,
        "stage": "collector", "reasons": "[]", "land_seq": 4,
    }  # fmt: skip
    schema = pa.schema(
        [
            (name, {"received_at": STAMP, "sequence": pa.int64(), "land_seq": pa.int64()}.get(name, pa.string()))
            for name in whole
        ]
    )
    return pa.Table.from_pylist([whole | row for row in rows], schema=schema)


NO_TYPE = json.dumps([{"pointer": "/event_type", "keyword": "enum", "message": "is no event type"}])


@pytest.mark.parametrize(
    ("row", "type_"),
    [
        ({}, "purchase"),
        ({"event_type": None}, ""),
        ({"event_type": "purchaze", "reasons": NO_TYPE}, ""),
        # A contract that came later: the collector knew none, and counted it under no type.
        ({"event_type": "purchase", "reasons": NO_TYPE}, ""),
    ],
)
def test_a_rejection_is_of_the_type_that_its_collector_counted_it_under(row: dict[str, Any], type_: str) -> None:
    (found,) = of_rejects(rejects(row), [None], TYPES).ranges
    assert (found.kind, found.type, found.tenant, found.received_hour) == (REJECTED, type_, "one", NOON)


def test_what_a_lander_set_aside_is_of_the_hour_in_which_the_collector_received_it() -> None:
    body = json.dumps({"received_at": (NOON - timedelta(minutes=5)).isoformat()})
    (found,) = of_rejects(rejects({"stage": "lander", "sequence": 9}), [body], TYPES).ranges
    assert (found.kind, found.type, found.sequences) == (SET_ASIDE, "purchase", "{[9,9]}")
    assert found.received_hour == NOON - timedelta(hours=1)


def test_poison_that_says_nothing_of_itself_is_in_no_set() -> None:
    assert of_rejects(rejects({"stage": "lander", "collector_id": None}), ["rubbish"], TYPES).ranges == ()


@pytest.mark.parametrize(
    "cut",
    [
        '{"event_id":"x","schema_version":1,"received_at":"2026-03-01T11:55:00.000000Z","minted":false,"data":{"a":"b',
        '{"received_at":"2026-03-01T11:55:00.000000Z","data":' + "[" * 100_000,
    ],
)
def test_of_a_message_that_cannot_be_read_whole_the_hour_is_known_by_its_envelope(cut: str) -> None:
    (found,) = of_rejects(rejects({"stage": "lander"}), [cut], TYPES).ranges
    assert found.received_hour == NOON - timedelta(hours=1)


@pytest.mark.parametrize(
    "body",
    [
        '{"received_at": "0001-01-01T00:00:00+09:00"}',
        '{"received_at": 5}',
        '{"received_at": "2026-03-01T11:00:00"}',
        "[" * 100_000,
        '{"event_id":"x","data":{"received_at":"2026-03-01T11:55:00Z"',
        None,
    ],
)
def test_a_body_that_says_no_time_leaves_the_hour_in_which_it_was_set_aside(body: str | None) -> None:
    (found,) = of_rejects(rejects({"stage": "lander"}), [body], TYPES).ranges
    assert found.received_hour == NOON


def test_what_postgres_cannot_hold_is_booked_as_nobodys_and_stops_nothing() -> None:
    rows = events([("one", 0, 0, "a" * 16, 1), ("t\0", 0, 0, "b\0", 2**63 - 1)])
    far = pa.array([NOON, None], STAMP).fill_null(pa.scalar(2**62, pa.int64()).cast(STAMP))
    rows = rows.set_column(rows.column_names.index("received_at"), "received_at", far)
    found = of_events("page_view", rows)
    assert {(r.tenant, r.collector_id, r.sequences, r.received_hour.year) for r in found.ranges} == {
        ("one", "a" * 16, "{[1,1]}", 2026),
        ("t\ufffd", "b\ufffd", f"{{[{2**63 - 2},{2**63 - 2}]}}", 9998),
    }
    assert {m.tenant for m in found.minutes} == {"one", "t\ufffd"}
    (rejected,) = of_rejects(rejects({"tenant": "t\0", "sequence": 2**63 - 1}), [None], TYPES).ranges
    assert (rejected.tenant, rejected.sequences) == ("t\ufffd", f"{{[{2**63 - 2},{2**63 - 2}]}}")


def test_a_file_without_rows_holds_nothing() -> None:
    assert of_events("page_view", events([])).ranges == ()
