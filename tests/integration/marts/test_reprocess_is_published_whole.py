"""What a reprocessing replaced reaches the marts in one publication, whatever build run is under way."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from uuid import UUID

import psycopg
import pyarrow as pa
import pytest

from contracts.registry import Registry
from tests.integration.marts.warehouse_kit import LOADED_THROUGH, Minute, Warehouse, totals
from warehouse import reprocess_apply
from warehouse import reprocess_runs as runs
from warehouse.load_state import SESSION
from warehouse.publish import SupersededRun
from warehouse.reprocess_apply import BuildAtWork, Patience, apply
from warehouse.reprocess_compare import Span, compare

HOUR = datetime(2026, 11, 18, 12, tzinfo=UTC)
LATER = HOUR + timedelta(hours=1)
DAY = HOUR.replace(hour=0)
PAGE_VIEW = Registry.load().newest("page_view")


@pytest.fixture
def shown(warehouse: Warehouse) -> Warehouse:
    """Two hours of one day with a view each, published; the lake has three and four."""
    warehouse.load([Minute("a", HOUR), Minute("a", LATER)])
    warehouse.run(gates=False)
    return warehouse


@contextmanager
def loader(warehouse: Warehouse) -> Iterator[psycopg.Connection]:
    with psycopg.connect(warehouse.dsns["LOADER"], autocommit=True, options=SESSION) as connection:
        yield connection


def found(warehouse: Warehouse, views: Mapping[datetime, int]) -> UUID:
    """A run that has compared the day with a lake of so many views by minute, and has yet to put them in place."""
    rollup = pa.table(
        {
            "tenant": ["a"] * len(views),
            "minute": pa.array(list(views), pa.timestamp("us", tz="UTC")),
            "region": ["DE"] * len(views),
            "page_name": ["home"] * len(views),
            "page_views": list(views.values()),
            "bot_page_views": [0] * len(views),
            "visitors": ["{}"] * len(views),
        }
    )
    counts = {name: [0] * len(views) for name in ("duplicates", "collisions", "copies", "minted", "over_cap", "erased")}
    cells = pa.table(
        {
            "type": ["page_view"] * len(views),
            "tenant": rollup["tenant"],
            "minute": rollup["minute"],
            "received_hour": pa.array([LOADED_THROUGH] * len(views), pa.timestamp("us", tz="UTC")),
            "landed": list(views.values()),
            "counted": list(views.values()),
            **counts,
        }
    )
    with loader(warehouse) as connection:
        run = runs.begin(connection, runs.Asked("apply", DAY, DAY + timedelta(days=1), ("page_view",), None, "code"))
        with connection.transaction():
            connection.execute("set transaction isolation level repeatable read")
            span = Span(DAY, DAY + timedelta(days=1))
            assert compare(connection, run.run_id, PAGE_VIEW, span, (rollup, cells)).differing == len(views)
        runs.finish(connection, run.run_id, "compared")
        return run.run_id


def put_in_place(warehouse: Warehouse, run_id: UUID, seconds: float, *, supersede: bool = False) -> Mapping[str, int]:
    with loader(warehouse) as connection:
        return apply(connection, run_id, [PAGE_VIEW], Patience(seconds, supersede))


def test_a_build_in_the_middle_does_not_publish_half_of_it(shown: Warehouse) -> None:
    """Built before and published before; or claimed after. One of the two hours alone is never shown."""
    shown.mark([("a", HOUR)])
    run_id = shown.claim().run_id  # has the first hour in hand: what it builds of the day holds both
    reprocess = found(shown, {HOUR: 3, LATER: 4})
    outcomes: list[Mapping[str, int]] = []
    thread = threading.Thread(target=lambda: outcomes.append(put_in_place(shown, reprocess, 120)))
    thread.start()
    shown.wait_until(
        "select count(*) = 1 from pg_stat_activity where usename = 'loader' and datname = current_database()"
        " and query like '%pg_advisory_unlock%'"  # it has looked, and looks again
    )
    shown.build(run_id)
    shown.pass_gates(run_id)
    assert outcomes == []
    assert shown.rows("select sum(page_views) from rollups.page_view_minute") == [(2,)]
    shown.publish(run_id)
    assert totals(shown) == {2}
    thread.join(120)
    assert outcomes == [{"replaced": 2}]
    assert totals(shown) == {2}
    done = shown.run(gates=False)
    assert totals(shown) == {7}
    restated = shown.rows(
        """
        select run_id, mart, period_start, old ->> 'page_views', new ->> 'page_views', cause, reprocessed_by
        from ledger.restatements order by mart, period_start
        """
    )
    marts = {
        "page_daily": {DAY: ("2", "7")},
        "page_region_daily": {DAY: ("2", "7")},
        "page_region_hourly": {HOUR: ("1", "3"), LATER: ("1", "4")},
        "page_views_daily": {DAY: ("2", "7")},
        "page_views_hourly": {HOUR: ("1", "3"), LATER: ("1", "4")},
        "region_daily": {DAY: ("2", "7")},
        "region_hourly": {HOUR: ("1", "3"), LATER: ("1", "4")},
    }
    assert restated == [
        (done.run_id, mart, period, old, new, "reprocess", [reprocess])
        for mart, periods in marts.items()
        for period, (old, new) in periods.items()
    ]


def test_a_build_run_that_does_not_end_stops_it_and_nothing_is_lost(warehouse: Warehouse) -> None:
    warehouse.load([Minute("a", HOUR), Minute("a", LATER)])
    left_behind = warehouse.offer(["a"], HOUR, 1)
    reprocess = found(warehouse, {HOUR: 3, LATER: 4})
    before = warehouse.rows("select * from rollups.page_view_minute order by minute")
    with pytest.raises(BuildAtWork, match=str(left_behind)):
        put_in_place(warehouse, reprocess, 0.5)
    assert warehouse.rows("select * from rollups.page_view_minute order by minute") == before
    # Told to, it takes the claim away: what that run has built of the day must not be published any more.
    assert put_in_place(warehouse, reprocess, 0.5, supersede=True) == {"replaced": 2}
    with pytest.raises(SupersededRun):
        warehouse.publish(left_behind)
    assert warehouse.rows("select sum(page_views) from rollups.page_view_minute") == [(7,)]
    assert warehouse.claim().hours == 2


def test_a_tenant_that_a_gate_holds_keeps_nobody_waiting(warehouse: Warehouse) -> None:
    """Its claim stays until the next run; the run that had it is over."""
    warehouse.load([Minute("a", HOUR), Minute("a", LATER)])
    run_id = warehouse.offer(["a"], HOUR, 1)
    warehouse.pass_gates(run_id, failing={"a": "is well"})
    assert warehouse.publish(run_id).held
    assert put_in_place(warehouse, found(warehouse, {HOUR: 3, LATER: 4}), 0.5) == {"replaced": 2}


def test_no_run_claims_before_it_is_through(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the look at the claims and the commit: such a run would have the hours' old marks, and build the new."""
    warehouse.load([Minute("a", HOUR), Minute("a", LATER)])
    reprocess = found(warehouse, {HOUR: 3, LATER: 4})
    blocked: list[bool] = []
    mark = reprocess_apply._mark

    def look(connection: psycopg.Connection, run_id: UUID) -> None:
        with pytest.raises(psycopg.errors.LockNotAvailable):
            _claim_at_once(warehouse)
        blocked.append(True)
        mark(connection, run_id)

    monkeypatch.setattr(reprocess_apply, "_mark", look)
    assert put_in_place(warehouse, reprocess, 30) == {"replaced": 2}
    assert blocked == [True]
    assert warehouse.claim().hours == 2


def _claim_at_once(warehouse: Warehouse) -> None:
    with psycopg.connect(warehouse.dsns["PUBLISHER"], options="-c lock_timeout=100ms") as connection:
        connection.execute("select pg_advisory_xact_lock(hashtextextended('publish', 0))")
