"""What a load takes on, and that nothing is lost or counted twice when it is cut short or meets another."""

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import psycopg
import pyarrow as pa
import pytest

from spark_jobs import type_load
from spark_jobs.load_rollups import load


def test_the_newest_minutes_come_first_and_the_rest_is_left_for_later(probe, tenant, arrival):
    probe.arrive(tenant, *(arrival(event=i, sequence=i, minute=-i * 60) for i in range(40)))
    summary = probe.load(load_budget_seconds=0.001, load_chunk_minutes=5)
    assert [r["minute"].hour for r in probe.rollup(tenant)] == [8, 9, 10, 11, 12]
    assert summary.loads[0].minutes_left == 35
    probe.arrive(tenant, arrival(event=99, sequence=99, minute=5))
    probe.load(load_budget_seconds=0.001, load_chunk_minutes=5)
    newest = probe.rollup(tenant)[-1]["minute"]
    assert (newest.hour, newest.minute) == (12, 5), "a backlog must not hold up what is new"
    probe.load()
    assert len(probe.rollup(tenant)) == 41
    assert probe.touched(tenant) == []


def test_nothing_new_means_no_call_to_spark(probe, tenant, arrival, monkeypatch):
    probe.arrive(tenant, arrival(event=1))
    probe.load()

    def called(*_: object) -> None:
        raise AssertionError("Spark was called")

    monkeypatch.setattr(type_load, "open_session", called)
    summary = probe.load()
    assert (summary.loads, summary.idle) == ([], [probe.contract.type])


def test_completeness_moves_on_with_the_lander_when_nothing_is_new(probe, tenant, arrival):
    def landed(through: datetime) -> None:
        probe.watershed.execute(
            "insert into ledger.landed (type, land_seq, through) values (%s, 1, %s)"
            " on conflict (type) do update set through = excluded.through",
            (probe.contract.type, through),
        )

    def loaded_through() -> datetime:
        (row,) = probe.query("select loaded_through from ledger.cursors where type = %s", probe.contract.type)
        return row["loaded_through"]

    first, second = datetime(2026, 3, 1, 13, tzinfo=UTC), datetime(2026, 3, 1, 14, tzinfo=UTC)
    landed(first)
    probe.arrive(tenant, arrival(event=1))
    probe.load()
    assert loaded_through() == first
    landed(second)
    probe.load()
    assert loaded_through() == second


def test_completeness_does_not_pass_a_commit_that_was_not_looked_at(probe, tenant, arrival, monkeypatch):
    """The lander commits and reports between our reading of its report and our pinning: still no promise."""
    probe.arrive(tenant, arrival(event=1))
    probe.load()
    before = datetime(2026, 3, 2, tzinfo=UTC)
    probe.watershed.execute("update ledger.landed set through = %s where type = %s", (before, probe.contract.type))
    real_pin = type_load.pin

    def late_pin(*arguments: object) -> object:
        pinned = real_pin(*arguments)
        probe.watershed.execute(
            "update ledger.landed set through = %s where type = %s", (before + timedelta(days=1), probe.contract.type)
        )
        return pinned

    monkeypatch.setattr(type_load, "pin", late_pin)
    probe.arrive(tenant, arrival(event=2, sequence=2))
    probe.load()
    (row,) = probe.query("select loaded_through from ledger.cursors where type = %s", probe.contract.type)
    assert row["loaded_through"] in (None, before)


def test_a_load_that_dies_between_its_steps_loses_nothing(probe, tenant, arrival, monkeypatch):
    probe.arrive(tenant, arrival(event=1))

    def broken(*_: object) -> None:
        raise ConnectionError("Spark went away")

    with monkeypatch.context() as patch:
        patch.setattr(type_load, "recompute", broken)
        with pytest.raises(AssertionError, match="Spark went away"):
            probe.load()
    assert probe.rollup(tenant) == []
    assert len(probe.touched(tenant)) == 1
    probe.load()
    assert len(probe.rollup(tenant)) == 1
    assert probe.touched(tenant) == []


def test_a_load_that_dies_while_writing_leaves_the_old_minute_whole(probe, tenant, arrival, monkeypatch):
    probe.arrive(tenant, arrival(event=1))
    probe.load()
    old = (probe.rollup(tenant), probe.cells(tenant))
    probe.arrive(tenant, arrival(event=2, sequence=2))
    real = type_load.recompute

    def halved(*arguments: object) -> object:
        rollup, cells = real(*arguments)
        at = cells.column_names.index("landed")
        return rollup, cells.set_column(at, "landed", pa.nulls(cells.num_rows, pa.int64()))

    with monkeypatch.context() as patch:
        patch.setattr(type_load, "recompute", halved)
        with pytest.raises(AssertionError, match="NotNullViolation"):
            probe.load()
    assert (probe.rollup(tenant), probe.cells(tenant)) == old
    probe.load()
    assert [r["seen"] for r in probe.rollup(tenant)] == [2]


def test_a_minute_touched_again_while_it_is_loaded_stays_touched(probe, tenant, arrival, monkeypatch):
    probe.arrive(tenant, arrival(event=1))
    real = type_load.recompute

    def touch_meanwhile(*arguments: object) -> object:
        result = real(*arguments)
        probe.watershed.execute(
            "update ledger.touched set change_id = nextval('ledger.change_seq'), cause = 'repair' where tenant = %s",
            (tenant,),
        )
        return result

    with monkeypatch.context() as patch:
        patch.setattr(type_load, "recompute", touch_meanwhile)
        probe.load(load_budget_seconds=0.001)
    assert [t["cause"] for t in probe.touched(tenant)] == ["repair"]
    assert len(probe.rollup(tenant)) == 1


def test_a_touch_of_a_later_commit_is_not_taken_for_the_pinned_one(probe, tenant, arrival, monkeypatch):
    """Erasure commits to the lake and then touches; a load that pinned before must leave that touch to the next."""
    probe.arrive(tenant, arrival(event=1), arrival(event=2, sequence=2, minute=1))
    real_horizon = type_load.change_horizon

    def horizon_then_touch(connection: psycopg.Connection) -> int:
        horizon = real_horizon(connection)
        probe.watershed.execute(
            "insert into ledger.touched (type, tenant, minute, cause, received_from)"
            " values (%s, %s, '2026-03-01 12:07+00', 'erasure', now())"
            " on conflict (type, tenant, minute) do update set change_id = excluded.change_id",
            (probe.contract.type, tenant),
        )
        return horizon

    with monkeypatch.context() as patch:
        patch.setattr(type_load, "change_horizon", horizon_then_touch)
        probe.load(load_budget_seconds=0.001)
    assert [t["cause"] for t in probe.touched(tenant)] == ["erasure"]
    probe.load()
    assert probe.touched(tenant) == []


def test_what_lands_during_a_load_is_booked_by_the_next(probe, tenant, arrival, monkeypatch):
    """So that of every row it can be said whether it is loaded: those up to the cursor are, the others are not."""
    probe.arrive(tenant, arrival(event=1))
    real_horizon = type_load.change_horizon
    arriving = [arrival(event=2, sequence=2)]

    def land_then_horizon(connection: psycopg.Connection) -> int:
        if arriving:
            probe.arrive(tenant, arriving.pop())
        return real_horizon(connection)

    with monkeypatch.context() as patch:
        patch.setattr(type_load, "change_horizon", land_then_horizon)
        probe.load()
    assert [c["landed"] for c in probe.cells(tenant)] == [1]
    (cursor,) = probe.query("select land_seq from ledger.cursors where type = %s", probe.contract.type)
    assert cursor["land_seq"] == probe.land_seq - 1
    probe.load()
    assert [c["landed"] for c in probe.cells(tenant)] == [2]


def test_two_loads_of_a_type_take_turns(probe, tenant, arrival):
    probe.arrive(tenant, *(arrival(event=i, sequence=i, minute=i) for i in range(6)))
    with ThreadPoolExecutor(3) as pool:
        runs = list(pool.map(lambda _: probe.load(load_chunk_minutes=2), range(3)))
    assert sum(load.minutes_recomputed for run in runs for load in run.loads) == 6
    assert [r["seen"] for r in probe.rollup(tenant)] == [1] * 6


def test_a_load_says_so_when_another_keeps_the_type(probe, tenant, arrival):
    probe.arrive(tenant, arrival(event=1))
    with psycopg.connect(probe.settings.loader_dsn, autocommit=True) as other:
        other.execute("select pg_advisory_lock(hashtextextended('load:' || %s, 0))", (probe.contract.type,))
        summary = probe.load(load_budget_seconds=0.2)
    assert (summary.busy, summary.loads) == ([probe.contract.type], [])
    probe.load()
    assert len(probe.rollup(tenant)) == 1


def test_one_type_that_fails_does_not_keep_the_others(probe, tenant, arrival, monkeypatch):
    broken = dataclasses.replace(probe.contract, type="no_such_rollup")
    real = type_load.metadata_locations

    def locations(connection: psycopg.Connection, tables: list[str]) -> object:
        if tables == [broken.table]:
            raise OSError("this table is broken")
        return real(connection, tables)

    monkeypatch.setattr(type_load, "metadata_locations", locations)
    probe.arrive(tenant, arrival(event=1))
    probe.watershed.execute(
        "insert into ledger.touched (type, tenant, minute, cause, received_from)"
        " values ('no_such_rollup', %s, '2026-03-01 12:00+00', 'load', now())",
        (tenant,),
    )
    try:
        summary = load([broken, probe.contract], probe.settings)
    finally:
        for table in ("touched", "loads"):
            probe.watershed.execute(f"delete from ledger.{table} where type = 'no_such_rollup'".encode())
    assert summary.failed == {"no_such_rollup": "OSError: this table is broken"}
    assert len(probe.rollup(tenant)) == 1
