"""A publication is seen by readers all at once or not at all, whatever happens on its way."""

import os
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from uuid import UUID

import psycopg
import pytest

from dbt_project.build import DbtFailed
from tests.integration.marts.warehouse_kit import MARTS, TOTALS, Warehouse, totals
from warehouse.publish import SupersededRun

HOUR = datetime(2026, 11, 18, 12, tzinfo=UTC)
DAY = datetime(2026, 11, 18, tzinfo=UTC)
WAITING = (
    "from pg_locks where not granted and database = (select oid from pg_database where datname = current_database())"
)


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


def test_a_later_run_waits_until_a_publication_has_all_it_is_to_publish(warehouse: Warehouse) -> None:
    """A publication that was left behind is still at work when the next run claims and builds."""
    warehouse.publish(warehouse.offer(["a"], HOUR, 1))
    old_run = warehouse.offer(["a"], HOUR, 5)
    later: list[UUID] = []
    with psycopg.connect(warehouse.dsns["WAREHOUSE"]) as blocker:
        blocker.execute("lock table marts.page_daily in exclusive mode")
        old = threading.Thread(target=warehouse.publish, args=(old_run,))
        old.start()
        warehouse.wait_until(f"select count(*) = 1 {WAITING}")
        new = threading.Thread(target=lambda: later.append(warehouse.offer(["a"], HOUR, 9)))
        new.start()
        # It waits, and with it the build: or it has changed the candidates of marts that are not copied yet.
        warehouse.wait_until(f"select count(*) = 2 {WAITING} or (select page_views = 9 from marts_build.page_daily)")
        with pytest.raises(DbtFailed, match="publication is running"):
            warehouse.build(old_run)
    old.join()
    assert totals(warehouse) == {5}
    new.join()
    warehouse.publish(later[0])
    assert totals(warehouse) == {9}


def test_a_publication_that_lost_its_claim_on_its_way_is_undone(warehouse: Warehouse) -> None:
    warehouse.publish(warehouse.offer(["a"], HOUR, 1))
    run_id = warehouse.offer(["a"], HOUR, 5)
    failed: list[str] = []

    def publish() -> None:
        with pytest.raises(SupersededRun) as raised:
            warehouse.publish(run_id)
        failed.append(str(raised.value))

    with psycopg.connect(warehouse.dsns["WAREHOUSE"]) as blocker:
        blocker.execute("lock table marts.page_daily in exclusive mode")
        thread = threading.Thread(target=publish)
        thread.start()
        warehouse.wait_until(f"select count(*) = 1 {WAITING}")
        warehouse.rows("update ledger.unpublished set claimed_by = gen_random_uuid()")  # by hand: a claim would wait
    thread.join()
    assert failed == [f"run {run_id} lost its claim on 1 of 1 hours while it published: nothing is published"]
    assert totals(warehouse) == {1}


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
