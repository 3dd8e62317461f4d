"""Maintenance beside loads: fewer files, the same numbers; what is gone from the lake stays in the books."""

import dataclasses
import os
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import boto3
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from collector.lake import arrow_schema
from collector.land_commit import State, commit
from contracts.registry import Registry
from spark_jobs import type_load
from spark_jobs.maintain_lake import AlreadyAtWork, maintain
from tests.faults.steps import Step
from warehouse import downsample as downsampling
from warehouse.marts import Mart

OLD = -400 * 24 * 60
"""A minute some thirteen months before the probe's noon."""


@pytest.fixture
def kept_for_a_year(probe: Any, arrival: Any, monkeypatch: pytest.MonkeyPatch) -> datetime:
    """The contract's retention is cut so that the floor lies between OLD and the probe's noon; gives that floor."""
    noon = probe.row("t", arrival())["occurred_at"]
    days = (datetime.now(UTC) - noon).days + 300
    probe.watershed.execute("delete from ledger.lake_floor where type = %s", (probe.contract.type,))
    monkeypatch.setattr(probe, "contract", dataclasses.replace(probe.contract, retention_days=days))
    found = datetime.now(UTC) - timedelta(days=days)
    return found.replace(hour=0, minute=0, second=0, microsecond=0)


def rows_of(probe: Any, tenant: str) -> list[tuple[str, int]]:
    """(event_id, sequence) of the tenant's rows in the lake, sorted."""
    table = probe.catalog.load_table(probe.contract.table)
    rows = table.scan(selected_fields=("tenant", "event_id", "sequence")).to_arrow().to_pylist()
    return sorted((r["event_id"], r["sequence"]) for r in rows if r["tenant"] == tenant)


def state_of(probe: Any) -> dict[str, str]:
    properties = probe.catalog.load_table(probe.contract.table).properties
    return {name: value for name, value in properties.items() if name.startswith("watershed.")}


def location_of(probe: Any) -> str:
    return str(probe.catalog.load_table(probe.contract.table).metadata_location)


def spread(arrival: Any, count: int, first: int = 0, minute: int = 0) -> list[Any]:
    """Arrivals over five minutes, some of them copies of one another."""
    return [
        arrival(
            event=first + i // 2 * 2 if i % 3 == 0 else first + i,
            sequence=first + i,
            minute=minute + i % 5,
            second=i,
            data={
                "region": "DE" if i % 2 else "FR",
                "amount": Decimal(i),
                "quantity": i,
                "visitor": f"v{i % 4}",
                "page": f"/{i % 6}",
            },
        )
        for i in range(count)
    ]


def test_many_small_files_become_one_and_nothing_else_changes(probe, tenant, arrival):
    for n in range(6):
        probe.arrive(tenant, *spread(arrival, 10, 100 * n))
    probe.load()
    before = (rows_of(probe, tenant), state_of(probe), probe.rollup(tenant), probe.cells(tenant))
    done = probe.maintain()
    assert done.files_rewritten >= 6
    assert done.files_written >= 1
    assert len(probe.catalog.load_table(probe.contract.table).inspect.files()) < 6
    assert (rows_of(probe, tenant), state_of(probe), probe.rollup(tenant), probe.cells(tenant)) == before
    probe.load()
    assert probe.load().loads == [], "a rewritten table is nothing new"
    probe.watershed.execute(
        "insert into ledger.touched (type, tenant, minute, cause, received_from)"
        " select distinct type, tenant, minute, 'reprocess', now() from ledger.cells where tenant = %s",
        (tenant,),
    )
    probe.load()
    assert (probe.rollup(tenant), probe.cells(tenant)) == before[2:], "recomputed from the rewritten files"


def test_files_are_written_sorted_and_what_no_reader_can_pin_any_more_is_deleted(probe, tenant, arrival):
    for n in range(4):
        probe.arrive(tenant, *reversed(spread(arrival, 10, 100 * n)))
    probe.load()
    before = (rows_of(probe, tenant), state_of(probe), probe.rollup(tenant), probe.cells(tenant))
    old = probe.catalog.load_table(probe.contract.table)
    files = {f["file_path"] for f in old.inspect.files().to_pylist()}
    lists = {s.manifest_list for s in old.snapshots()}
    kept = probe.maintain(maintain_min_files=2)
    assert (kept.files_rewritten, kept.snapshots_expired) == (len(files), 0), (
        "replaced this minute: a load may read them"
    )
    assert all(old.io.new_input(path).exists() for path in files | lists)
    done = probe.maintain(maintain_min_files=2, maintain_keep_hours=0)
    new = probe.catalog.load_table(probe.contract.table)
    assert done.snapshots_expired == len(lists)
    assert [s.snapshot_id for s in new.snapshots()] == [new.metadata.current_snapshot_id]
    assert not any(new.io.new_input(path).exists() for path in files | lists)
    for file in new.inspect.files().to_pylist():
        with new.io.new_input(file["file_path"]).open() as content:
            found = pq.read_table(content).select(["occurred_at", "received_at"]).to_pylist()
        order = [(row["occurred_at"], row["received_at"]) for row in found]
        assert order == sorted(order)
    assert (rows_of(probe, tenant), state_of(probe), probe.rollup(tenant), probe.cells(tenant)) == before
    probe.load()


def test_what_landed_and_was_not_loaded_before_a_compaction_is_loaded_after_it(probe, tenant, arrival):
    for n in range(6):
        probe.arrive(tenant, *spread(arrival, 10, 100 * n))
    assert probe.maintain().files_rewritten >= 6
    assert probe.load().loads[0].events_read >= 60
    assert sum(c["landed"] for c in probe.cells(tenant)) == 60


def test_landings_and_loads_during_maintenance_give_what_they_give_without_it(probe, tenant, arrival):
    """Two tenants get the same events; all of the second's are there before, those of the first come meanwhile."""
    other = f"{tenant}-model"
    batches = [spread(arrival, 8, 100 * n, minute=n % 3) for n in range(9)]
    for batch in batches[:3]:
        probe.arrive(tenant, *batch)
    probe.load()
    stop = threading.Event()
    failures: list[BaseException] = []

    def maintain_for_ever() -> None:
        try:
            while not stop.is_set():
                probe.maintain(maintain_min_files=2)
        except BaseException as error:
            failures.append(error)

    maintenance = threading.Thread(target=maintain_for_ever)
    maintenance.start()
    try:
        for batch in batches[3:]:
            _land_as_the_lander_would(probe, [probe.row(tenant, a) for a in batch])
            probe.load()
    finally:
        stop.set()
        maintenance.join()
    assert failures == []
    probe.load()
    probe.arrive(other, *(a for batch in batches for a in batch))
    probe.load()
    assert len(rows_of(probe, tenant)) == 9 * 8
    for read in (probe.rollup, probe.cells):
        # A hash of a visitor is the tenant's own, so only their number can be equal.
        mine, model = (
            [{**row, "tenant": "", "visitor_last": "", "visitors": len(row.get("visitors", ()))} for row in read(who)]
            for who in (tenant, other)
        )
        assert mine == model


def _land_as_the_lander_would(probe: Any, rows: list[dict[str, Any]]) -> None:
    """The fenced commit: it reads the table again when maintenance was faster, and lands the rows once."""
    table = probe.catalog.load_table(probe.contract.table)
    base = State.of(table.properties)
    schema = arrow_schema(probe.contract)
    without = pa.schema([f for f in schema if f.name != "land_seq"])
    offset = base.offsets.get(0, 0)
    probe.land_seq += 1
    after = base.moved("topic", {0: offset + len(rows)})
    commit(probe.catalog, table, pa.Table.from_pylist(rows, schema=without), base, after)


def test_a_load_that_pinned_before_maintenance_reads_its_snapshot_to_the_end(probe, tenant, arrival, monkeypatch):
    for n in range(6):
        probe.arrive(tenant, *spread(arrival, 10, 100 * n))
    real = type_load.recompute

    def maintain_first(*arguments: object) -> object:
        done = probe.maintain(maintain_wait_seconds=0.1)
        assert done.files_rewritten >= 6
        return real(*arguments)

    monkeypatch.setattr(type_load, "recompute", maintain_first)
    probe.load()
    assert sum(c["landed"] for c in probe.cells(tenant)) == 60


def test_a_dry_run_says_what_it_would_do_and_changes_nothing(probe, tenant, arrival, kept_for_a_year):
    for n in range(6):
        probe.arrive(tenant, *spread(arrival, 10, 100 * n))
    probe.arrive(tenant, *spread(arrival, 10, 900, minute=OLD))
    probe.load()
    before = (location_of(probe), probe.rollup(tenant), probe.cells(tenant))
    done = probe.maintain(dry_run=True)
    assert done.files_rewritten >= 6
    assert done.rows_deleted >= 10
    assert (location_of(probe), probe.rollup(tenant), probe.cells(tenant)) == before
    assert probe.query("select * from ledger.lake_floor where type = %s", probe.contract.type) == []


def test_what_is_past_its_retention_leaves_the_lake_and_stays_in_rollups_and_books(
    probe, tenant, arrival, kept_for_a_year
):
    probe.arrive(tenant, *spread(arrival, 10, minute=OLD), *spread(arrival, 10, 100))
    probe.load()
    before = (probe.rollup(tenant), probe.cells(tenant))
    done = probe.maintain()
    assert done.floor == kept_for_a_year
    assert done.rows_deleted >= 10
    assert {sequence for _, sequence in rows_of(probe, tenant)} == set(range(100, 110))
    probe.load()
    assert (probe.rollup(tenant), probe.cells(tenant)) == before


def test_nothing_below_the_floor_is_recomputed_whoever_touches_it(probe, tenant, arrival, kept_for_a_year):
    probe.arrive(tenant, *spread(arrival, 10, minute=OLD))
    probe.load()
    probe.maintain()
    before = (probe.rollup(tenant), probe.cells(tenant))
    assert before[0]
    probe.watershed.execute(
        "insert into ledger.touched (type, tenant, minute, cause, received_from)"
        " select distinct type, tenant, minute, 'reprocess', now() from ledger.cells where tenant = %s",
        (tenant,),
    )
    probe.load()
    assert (probe.rollup(tenant), probe.cells(tenant)) == before
    assert probe.touched(tenant) == [], "and it does not wait for ever"


def test_what_arrives_below_the_floor_is_quarantined_and_booked_once(probe, tenant, arrival, kept_for_a_year):
    probe.arrive(tenant, *spread(arrival, 10, minute=OLD))
    probe.load()
    probe.maintain()
    charted = probe.rollup(tenant)
    for n in (1, 2):
        probe.arrive(tenant, arrival(event=500 + n, sequence=500 + n, minute=OLD, received_after=4000))
        load = probe.load().loads[0]
        assert (load.quarantined, load.minutes_touched) == (1, 0)
        probe.maintain()
    probe.load()
    assert probe.rollup(tenant) == charted
    cells = probe.cells(tenant)
    assert sum(c["landed"] for c in cells) == 12
    assert sum(c["quarantined"] for c in cells) == 2
    assert all(c["landed"] == c["counted"] + c["duplicates"] + c["collisions"] + c["quarantined"] for c in cells)
    assert rows_of(probe, tenant) == [], "booked, then deleted"


def test_what_nobody_has_booked_is_not_deleted_however_old(probe, tenant, arrival, kept_for_a_year):
    probe.arrive(tenant, *spread(arrival, 10, minute=OLD))
    assert probe.maintain().rows_deleted == 0
    assert len(rows_of(probe, tenant)) == 10
    probe.load()
    assert sum(c["landed"] for c in probe.cells(tenant)) == 10
    probe.maintain()
    assert rows_of(probe, tenant) == []


def test_a_floor_is_not_raised_over_minutes_that_wait(probe, tenant, arrival, kept_for_a_year):
    waiting = kept_for_a_year - timedelta(days=30, hours=-7)
    probe.watershed.execute(
        "insert into ledger.touched (type, tenant, minute, cause, received_from) values (%s, %s, %s, 'load', now())",
        (probe.contract.type, tenant, waiting),
    )
    try:
        done = probe.maintain()
        day = waiting.replace(hour=0, minute=0, second=0, microsecond=0)
        assert done.floor == day
    finally:
        probe.watershed.execute("delete from ledger.touched where tenant = %s", (tenant,))


def test_old_minutes_become_quarter_hours_that_add_up_to_the_same(probe, tenant, arrival, kept_for_a_year, monkeypatch):
    monkeypatch.setattr(downsampling, "MARTS", (Mart("some_hourly", (probe.contract.type,), "hour", ("region",)),))
    for n in range(4):
        probe.arrive(tenant, *spread(arrival, 10, 100 * n, minute=OLD + 20 * n), *spread(arrival, 10, 900 + 100 * n))
    probe.load()
    held = probe.maintain()
    assert held.minutes_kept_because is not None
    assert "not published" in held.minutes_kept_because
    probe.watershed.execute("delete from ledger.unpublished where type = %s", (probe.contract.type,))
    before = probe.rollup(tenant)
    dry = probe.maintain(dry_run=True)
    assert probe.rollup(tenant) == before
    done = probe.maintain()
    assert done.rollup_rows_merged == dry.rollup_rows_merged > done.rollup_rows_made
    after = probe.rollup(tenant)
    old = [row for row in after if row["minute"] < kept_for_a_year]
    assert {row["minute"].minute % 15 for row in old} == {0}
    assert len(old) < len([row for row in before if row["minute"] < kept_for_a_year])
    assert [r for r in after if r["minute"] >= kept_for_a_year] == [r for r in before if r["minute"] >= kept_for_a_year]
    assert hours(before) == hours(after)
    assert probe.maintain().rollup_rows_merged == 0, "once is enough"
    assert hours(probe.rollup(tenant)) == hours(after)


def hours(rollup: list[dict[str, Any]]) -> dict[Any, Any]:
    """What a mart by the hour makes of a rollup: sums, unions, extremes and the latest."""
    found: dict[Any, Any] = {}
    for row in rollup:
        key = (row["minute"].replace(minute=0), row["region"], row["page"], row["status"])
        hour = found.setdefault(key, {"sums": Counter(), "spread": Counter(), "visitors": set(), "extremes": []})
        for name in ("seen", "bots", "errors", "amount_sum", "quantity_sum"):
            hour["sums"][name] += row[name] or 0
        hour["spread"].update({bucket: int(n) for bucket, n in row["quantity_spread"].items()})
        hour["visitors"] |= set(row["visitors"])
        if row["amount_min"] is not None:
            hour["extremes"].append((row["amount_min"], row["amount_max"], row["amount_last_at"], row["amount_last"]))
    for hour in found.values():
        low, high, at, last = zip(*hour["extremes"], strict=True)
        hour["extremes"] = (min(low), max(high), max(zip(at, last, strict=True)))
    return found


def test_minutes_that_a_finer_mart_is_made_of_or_that_no_mart_holds_stay(probe, tenant, arrival, kept_for_a_year):
    probe.arrive(tenant, *spread(arrival, 10, minute=OLD))
    probe.load()
    assert probe.maintain().minutes_kept_because == "no mart holds them"


def test_old_files_that_no_table_knows_go_and_young_ones_stay(stack, probe, tenant, arrival):
    """A young one may belong to a commit that is under way."""
    probe.arrive(tenant, arrival(event=1))
    probe.load()
    s3 = boto3.client(
        "s3",
        endpoint_url=stack.env["S3_ENDPOINT"],
        aws_access_key_id=stack.env["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=stack.env["AWS_SECRET_ACCESS_KEY"],
        region_name=stack.env["AWS_REGION"],
    )
    prefix = probe.catalog.load_table(probe.contract.table).location().removeprefix("s3://lake/")
    for name in ("old", "young"):
        s3.put_object(Bucket="lake", Key=f"{prefix}/data/{name}.parquet", Body=b"left behind")
    file = Path(stack.env["WATERSHED_STATE"]) / "data" / "s3" / "lake" / prefix / "data" / "old.parquet"
    long_ago = (datetime.now(UTC) - timedelta(days=4)).timestamp()
    os.utime(file, (long_ago, long_ago))
    assert probe.maintain(dry_run=True).orphans_removed == 1
    assert file.exists()
    assert probe.maintain().orphans_removed == 1
    keys = [
        o["Key"].rsplit("/", 1)[-1] for o in s3.list_objects_v2(Bucket="lake", Prefix=f"{prefix}/data/")["Contents"]
    ]
    assert "old.parquet" not in keys
    assert "young.parquet" in keys
    assert rows_of(probe, tenant)


def test_a_session_that_postgres_ends_costs_the_table_at_work_and_not_the_next(stack, probe, tenant, arrival):
    """As a restart of Postgres does, which would break other tests' connections too."""
    probe.arrive(tenant, arrival(event=1))
    probe.load()
    probe.watershed.execute("delete from ledger.lake_floor where type = %s", (probe.contract.type,))
    tables = [probe.contract, Registry.load().newest("page_view")]
    with Step(stack.env["WAREHOUSE_DSN"], "ledger.lake_floor") as failpoint, ThreadPoolExecutor(1) as pool:
        running = pool.submit(maintain, tables, probe.maintainer, quality=False)
        failpoint.reached()
        with psycopg.connect(probe.maintainer.maintainer_dsn, autocommit=True) as same:  # whose sessions it may end
            ended = same.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where usename = current_user and wait_event_type = 'Lock'"
            ).fetchall()
        failpoint.release()
        summary = running.result(120)
    assert len(ended) == 1
    assert list(summary.failed) == [probe.contract.table]
    assert [one.table for one in summary.tables] == ["events.page_view"]


def test_two_maintenances_do_not_meet(probe):
    with psycopg.connect(probe.maintainer.maintainer_dsn, autocommit=True) as other:
        other.execute("select pg_advisory_lock(hashtextextended('maintain', 0))")
        with pytest.raises(AlreadyAtWork):
            probe.maintain()
