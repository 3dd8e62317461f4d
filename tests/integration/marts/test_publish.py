"""Publish replaces what was built and passed, all of it at once or nothing, and writes down what it restated."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from tests.integration.marts.warehouse_kit import LOADED_THROUGH, MARTS, Minute, Warehouse
from warehouse.publish import NotGated, SupersededRun

HOUR = datetime(2026, 11, 18, 12, tzinfo=UTC)
DAY = datetime(2026, 11, 18, tzinfo=UTC)
TOTALS = " union all ".join(f"select '{name}', coalesce(sum(page_views), 0) from marts.{name}" for name in MARTS)

WAITING = (
    "from pg_locks where not granted and database = (select oid from pg_database where datname = current_database())"
)


def totals(warehouse: Warehouse) -> set[int]:
    return {int(total) for _, total in warehouse.rows(TOTALS, role="READER")}


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


def test_a_reader_never_sees_one_mart_new_beside_another_old(warehouse: Warehouse) -> None:
    """In one statement over all marts, and in one repeatable-read transaction of a statement for each mart."""
    seen: list[frozenset[int]] = []
    stop = threading.Event()

    def one_statement() -> None:
        with psycopg.connect(warehouse.dsns["READER"], autocommit=True) as connection:
            while not stop.is_set():
                seen.append(frozenset(int(total) for _, total in connection.execute(TOTALS.encode())))

    def one_transaction() -> None:
        with psycopg.connect(warehouse.dsns["READER"]) as connection:
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            while not stop.is_set():
                found = set()
                for name in MARTS:
                    row = connection.execute(
                        f"select coalesce(sum(page_views), 0) from marts.{name}".encode()
                    ).fetchone()
                    assert row is not None
                    found.add(int(row[0]))
                seen.append(frozenset(found))
                connection.commit()

    readers = [threading.Thread(target=one_statement), threading.Thread(target=one_transaction)]
    for reader in readers:
        reader.start()
    try:
        for views in range(1, 21):
            warehouse.publish(warehouse.offer(["a"], HOUR, views))
    finally:
        stop.set()
        for reader in readers:
            reader.join()
    assert all(len(totals_seen) == 1 for totals_seen in seen), [s for s in seen if len(s) > 1][:3]
    assert len(set(seen)) > 2, "the readers saw no publication happen"


def test_a_reader_in_mid_query_goes_on_seeing_the_old_numbers(warehouse: Warehouse) -> None:
    for hour in range(4):
        warehouse.publish(warehouse.offer(["a"], HOUR + timedelta(hours=hour), 1))
    with psycopg.connect(warehouse.dsns["READER"]) as connection, connection.cursor("half") as cursor:
        cursor.itersize = 1
        cursor.execute("select page_views from marts.region_hourly order by period_start")
        first = cursor.fetchone()
        for hour in range(4):
            warehouse.publish(warehouse.offer(["a"], HOUR + timedelta(hours=hour), 7))
        assert [first, *cursor.fetchall()] == [(1,)] * 4
    assert totals(warehouse) >= {28}


def test_publishing_twice_is_publishing_once(warehouse: Warehouse) -> None:
    run_id = warehouse.offer(["a"], HOUR, 3)
    first = warehouse.publish(run_id)
    before = warehouse.rows("select * from marts.freshness"), warehouse.rows("select * from ledger.publications")
    second = warehouse.publish(run_id)
    assert (second.rows, second.repeated) == (first.rows, True)
    assert before == (
        warehouse.rows("select * from marts.freshness"),
        warehouse.rows("select * from ledger.publications"),
    )


def test_of_two_publications_at_once_the_second_does_nothing(warehouse: Warehouse) -> None:
    warehouse.publish(warehouse.offer(["a"], HOUR, 1))
    warehouse.loaded_through(DAY + timedelta(days=40))
    warehouse.publish(warehouse.offer(["a"], HOUR, 2))
    run_id = warehouse.offer(["a"], HOUR, 3)
    with psycopg.connect(warehouse.dsns["WAREHOUSE"]) as blocker:
        blocker.execute("lock table ledger.publications in access exclusive mode")
        done: list[bool] = []
        threads = [threading.Thread(target=lambda: done.append(warehouse.publish(run_id).repeated)) for _ in range(2)]
        for thread in threads:
            thread.start()
        warehouse.wait_until(f"select count(*) = 2 {WAITING}")
        blocker.rollback()
    for thread in threads:
        thread.join()
    assert sorted(done) == [False, True]
    assert warehouse.rows("select count(*) from ledger.restatements where run_id = %s", (run_id,)) == [(len(MARTS),)]


@pytest.mark.parametrize("table", ["ledger.restatements", "marts.page_daily", "marts.freshness", "ledger.publications"])
def test_a_publication_killed_on_its_way_leaves_the_old_numbers_and_can_be_repeated(
    warehouse: Warehouse, table: str
) -> None:
    warehouse.publish(warehouse.offer(["a"], HOUR, 1))
    run_id = warehouse.offer(["a"], HOUR, 5)
    with psycopg.connect(warehouse.dsns["WAREHOUSE"]) as blocker:
        blocker.execute(f"lock table {table} in exclusive mode".encode())
        command = [sys.executable, "-c", "from cli.main import main; main()", "publish", "--run-id", str(run_id)]
        environment = {**os.environ, "PUBLISHER_DSN": warehouse.dsns["PUBLISHER"]}
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        warehouse.wait_until(f"select count(*) = 1 {WAITING}")
        process.send_signal(signal.SIGKILL)
        process.wait()
    warehouse.wait_until(
        "select count(*) = 0 from pg_stat_activity where usename = 'publisher' and datname = current_database()",
    )
    assert totals(warehouse) == {1}
    assert warehouse.rows("select count(*) from ledger.publications where run_id = %s", (run_id,)) == [(0,)]
    assert warehouse.publish(run_id).rows == {"a": len(MARTS)}
    assert totals(warehouse) == {5}


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


def test_a_changed_row_of_a_closed_period_is_restated_with_old_new_and_cause(warehouse: Warehouse) -> None:
    warehouse.load([Minute("a", HOUR, "DE", views=1, visitors=(1,)), Minute("a", HOUR, "FR"), Minute("b", HOUR)])
    assert warehouse.run(gates=False).restatements == 0
    warehouse.load(
        [Minute("a", HOUR, "DE", views=3, visitors=(1, 2)), Minute("a", HOUR, "IT"), Minute("b", HOUR)], cause="late"
    )
    warehouse.run(gates=False)
    restated = warehouse.rows(
        """
        select mart, tenant, period_start, key, old, new, cause from ledger.restatements order by mart, key::text
        """
    )

    def numbers(views: int, visitors: int) -> dict[str, int]:
        return {"page_views": views, "visitors": visitors, "bot_page_views": 0}

    # Complete through noon of the 20th: hour and day were closed, week and month were not. Tenant b did not change.
    assert restated == [
        ("page_daily", "a", DAY, {"page_name": "home"}, numbers(2, 1), numbers(4, 2), "late"),
        ("region_daily", "a", DAY, {"region": "DE"}, numbers(1, 1), numbers(3, 2), "late"),
        ("region_daily", "a", DAY, {"region": "FR"}, numbers(1, 0), None, "late"),
        ("region_daily", "a", DAY, {"region": "IT"}, None, numbers(1, 0), "late"),
        ("region_hourly", "a", HOUR, {"region": "DE"}, numbers(1, 1), numbers(3, 2), "late"),
        ("region_hourly", "a", HOUR, {"region": "FR"}, numbers(1, 0), None, "late"),
        ("region_hourly", "a", HOUR, {"region": "IT"}, None, numbers(1, 0), "late"),
    ]


def test_an_open_period_is_not_restated(warehouse: Warehouse) -> None:
    now = LOADED_THROUGH.replace(minute=30)
    warehouse.load([Minute("a", now)])
    warehouse.run(gates=False)
    warehouse.load([Minute("a", now, views=5)])
    assert warehouse.run(gates=False).restatements == 0
