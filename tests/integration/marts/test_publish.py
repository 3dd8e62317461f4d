"""Publish replaces what was claimed, built and passed, and leaves the rest for the next run."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from tests.integration.marts.warehouse_kit import LOADED_THROUGH, MARTS, Minute, Warehouse, totals
from warehouse.publish import NotGated, SupersededRun

HOUR = datetime(2026, 11, 18, 12, tzinfo=UTC)


@contextmanager
def reading(warehouse: Warehouse, query: str, seen: set[tuple[str, int]]) -> Iterator[None]:
    """Read again and again, as a dashboard would, while the block runs."""
    stop = threading.Event()

    def read() -> None:
        with psycopg.connect(warehouse.dsns["READER"], autocommit=True) as connection:
            while not stop.is_set():
                seen.update((str(name), int(value)) for name, value in connection.execute(query.encode()))

    reader = threading.Thread(target=read)
    reader.start()
    try:
        yield
    finally:
        stop.set()
        reader.join()


def test_a_tenant_that_a_gate_stops_keeps_its_old_numbers_while_the_others_are_published(warehouse: Warehouse) -> None:
    warehouse.load([Minute("a", HOUR), Minute("b", HOUR)])
    warehouse.run()
    # A row that no book counts: the first gate must see it, for this tenant only.
    warehouse.load([Minute("a", HOUR, views=10), Minute("b", HOUR, views=10)])
    warehouse.rows("update ledger.cells set counted = counted + 1, landed = landed + 1 where tenant = 'b'")
    done = warehouse.run()
    assert set(done.rows) == {"a"}
    assert done.held == {"b": "rollups.page_view_minute.stop: every_counted_event_is_in_a_row"}
    for name in MARTS:
        views = {tenant: numbers[0] for (tenant, *_), numbers in warehouse.mart(name).items()}
        assert views == {"a": 10, "b": 1}, name
    assert warehouse.rows("select tenant, held_because is not null from marts.freshness order by 1") == [
        ("a", False),
        ("b", True),
    ]
    # Mended, the next run publishes it, from the claim that was left.
    warehouse.rows("update ledger.cells set counted = counted - 1, landed = landed - 1 where tenant = 'b'")
    assert set(warehouse.run().rows) == {"b"}
    assert totals(warehouse) == {20}
    assert warehouse.rows("select count(*) from ledger.unpublished") == [(0,)]
    assert warehouse.rows("select held_because from marts.freshness where tenant = 'b'") == [(None,)]


def test_a_candidate_that_the_second_gate_stops_is_never_seen(warehouse: Warehouse) -> None:
    warehouse.load([Minute("a", HOUR), Minute("b", HOUR)])
    warehouse.run()
    warehouse.load([Minute("a", HOUR, views=10), Minute("b", HOUR, views=10)])
    run_id = warehouse.claim().run_id
    warehouse.gate("rollups", run_id)
    warehouse.build(run_id)
    warehouse.rows("update marts_build.region_daily set page_views = 9 where tenant = 'b'", role="DBT")
    seen: set[tuple[str, int]] = set()
    with reading(warehouse, "select tenant, page_views from marts.region_daily", seen):
        held = warehouse.gate("marts", run_id).failures("stop")
        done = warehouse.publish(run_id)
    assert set(held) == {"b"}
    assert "marts_build.region_daily.stop: levels_sum" in held["b"]
    assert set(done.held) == {"b"}
    assert {views for tenant, views in seen if tenant == "b"} == {1}
    assert totals(warehouse) == {11}


def test_a_failure_that_names_no_tenant_holds_everyone(warehouse: Warehouse) -> None:
    run_id = warehouse.offer(["a", "b"], HOUR, 3)
    warehouse.pass_gates(run_id, failing={"*": "broken"})
    assert set(warehouse.publish(run_id).held) == {"a", "b"}
    assert totals(warehouse) == {0}


def test_a_change_between_claim_and_publication_is_left_for_the_next_run(warehouse: Warehouse) -> None:
    warehouse.load([Minute("a", HOUR, views=1)])
    run_id = warehouse.claim().run_id
    warehouse.build(run_id)
    warehouse.load([Minute("a", HOUR, views=2)])
    warehouse.pass_gates(run_id)
    warehouse.publish(run_id)
    assert totals(warehouse) == {1}
    assert warehouse.rows("select tenant, hour, claimed_by from ledger.unpublished") == [("a", HOUR, None)]
    warehouse.run()
    assert totals(warehouse) == {2}
    assert warehouse.rows("select count(*) from ledger.unpublished") == [(0,)]


def test_an_hour_claimed_after_the_build_is_not_published_by_it(warehouse: Warehouse) -> None:
    warehouse.load([Minute("a", HOUR)])
    run_id = warehouse.claim().run_id
    warehouse.build(run_id)
    warehouse.load([Minute("a", HOUR + timedelta(hours=1))])
    warehouse.claim(run_id)
    warehouse.pass_gates(run_id)
    warehouse.publish(run_id)
    assert warehouse.rows("select hour from ledger.unpublished") == [(HOUR + timedelta(hours=1),)]
    assert totals(warehouse) == {1}
    warehouse.run()
    assert totals(warehouse) == {2}


def test_a_claim_takes_over_what_a_failed_run_left(warehouse: Warehouse) -> None:
    warehouse.load([Minute("a", HOUR)])
    failed = warehouse.claim()
    warehouse.load([Minute("a", HOUR + timedelta(hours=1))])
    assert (failed.hours, warehouse.claim().hours) == (1, 2)


def test_a_run_that_lost_its_claim_publishes_nothing(warehouse: Warehouse) -> None:
    run_id = warehouse.offer(["a"], HOUR, 3)
    warehouse.claim()
    with pytest.raises(SupersededRun):
        warehouse.publish(run_id)
    assert totals(warehouse) == {0}


@pytest.mark.parametrize("stage", ["rollups", "marts"])
def test_what_a_gate_has_not_seen_is_not_published(warehouse: Warehouse, stage: str) -> None:
    run_id = warehouse.offer(["a"], HOUR, 3)
    warehouse.rows("delete from ledger.gate_results where stage = %s", (stage,))
    with pytest.raises(NotGated, match=stage):
        warehouse.publish(run_id)
    assert totals(warehouse) == {0}


def test_gate_results_older_than_the_claim_do_not_count(warehouse: Warehouse) -> None:
    run_id = warehouse.offer(["a"], HOUR, 3)
    warehouse.claim(run_id)
    with pytest.raises(NotGated, match="rollups"):
        warehouse.publish(run_id)


def test_gate_results_older_than_the_build_do_not_count(warehouse: Warehouse) -> None:
    run_id = warehouse.offer(["a"], HOUR, 3)
    warehouse.rows("update intermediate.int_claimed_hours set built_at = clock_timestamp()", role="DBT")
    with pytest.raises(NotGated, match="marts"):
        warehouse.publish(run_id)


def test_an_empty_claim_publishes_nothing_and_brings_freshness_up_to_date(warehouse: Warehouse) -> None:
    warehouse.publish(warehouse.offer(["a"], HOUR, 1))
    later = LOADED_THROUGH + timedelta(hours=1)
    warehouse.loaded_through(later)
    done = warehouse.publish(warehouse.claim().run_id)
    assert (done.rows, done.held) == ({}, {})
    assert warehouse.rows("select complete_through from marts.freshness") == [(later,)]
