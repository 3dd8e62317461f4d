"""Rejected events of the lake become counts by reason, on the real lake and the real warehouse."""

import json
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import psycopg
import pyarrow as pa
import pytest

from books.reconcile import reconcile
from books.settings import BooksSettings
from collector.lake import LakeSettings, arrow_schema_of, ensure_table, open_catalog
from collector.land_quality import REJECTED_EVENTS
from contracts.registry import Registry
from spark_jobs.load_rejects import RejectsLoad, load_rejects
from spark_jobs.load_rollups import load_with_rejects
from spark_jobs.maintain_lake import Maintained, Summary, maintain
from spark_jobs.settings import LoadSettings
from warehouse import rejects, tenant_login
from warehouse.load_state import type_lock
from warehouse.tenants import ensure_tenant

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
REGISTRY = Registry.load()
PATTERN = {"pointer": "/data/amount", "keyword": "pattern", "message": "is not as described"}
REQUIRED = {"pointer": "/data", "keyword": "required", "message": "'jane@example.com' is missing"}
Land = Callable[..., None]


@dataclass
class Row:
    """A rejection of this test's tenant; equal ``number``: an equal id."""

    number: int
    minutes: float = 0
    event_type: str | None = "purchase"
    reasons: tuple[dict[str, str], ...] = (PATTERN,)
    key_id: str | None = None
    schema_version: int | None = None


@pytest.fixture
def land(stack: Any, tenant: str) -> Land:
    """Commits rows as the lander does, with the next ``land_seq``."""
    catalog = open_catalog(LakeSettings(**{n.lower(): v for n, v in stack.env.items()}))
    ensure_table(catalog, REJECTED_EVENTS)

    def land_rows(*rows: Row) -> None:
        table = catalog.load_table(REJECTED_EVENTS.identifier)
        land_seq = int(table.properties.get("watershed.land_seq", 0)) + 1
        stamped = [
            {
                "reject_id": str(uuid.uuid5(uuid.NAMESPACE_OID, f"{tenant}|{row.number}")),
                "tenant": tenant,
                "event_type": row.event_type,
                "key_id": row.key_id,
                "schema_version": row.schema_version,
                "received_at": NOON + timedelta(minutes=row.minutes),
                "collector_id": tenant.replace("-", "")[:16],
                "sequence": row.number,
                "stage": "collector",
                "reasons": json.dumps(row.reasons),
                "body": '{"email": "jane@example.com"}',
                "body_encoding": "utf-8",
                "kafka_partition": 0,
                "kafka_offset": row.number,
                "land_seq": land_seq,
            }
            for row in rows
        ]
        with table.transaction() as transaction:
            transaction.append(pa.Table.from_pylist(stamped, schema=arrow_schema_of(REJECTED_EVENTS.columns)))
            transaction.set_properties({"watershed.land_seq": str(land_seq)})

    return land_rows


@pytest.fixture
def warehouse(stack: Any) -> Iterator[psycopg.Connection]:
    with psycopg.connect(stack.env["WAREHOUSE_DSN"], autocommit=True, options="-c timezone=UTC") as connection:
        yield connection


@pytest.fixture
def run(load_settings: LoadSettings) -> Callable[..., RejectsLoad]:
    def run_once(**changes: Any) -> RejectsLoad:
        recount = changes.pop("recount", False)
        return load_rejects(REGISTRY, load_settings.model_copy(update=changes), recount=recount)

    return run_once


def counts(connection: psycopg.Connection, tenant: str) -> list[tuple[Any, ...]]:
    return connection.execute(
        """
        select period_start, event_type, reason, field, rejected, named from marts.rejects_hourly
        where tenant = %s order by 1, 2, 3, 4
        """,
        (tenant,),
    ).fetchall()


def test_what_landed_is_counted_by_reason_and_hour_and_nothing_twice(warehouse, land, run, tenant):
    land(Row(1), Row(2, reasons=(REQUIRED, PATTERN)), Row(3, 60), Row(4, event_type=None))
    run()
    land(Row(1), Row(5))
    expected = [
        (NOON, "(none)", "pattern", "/data/amount", 1, 1),
        (NOON, "purchase", "pattern", "/data/amount", 2, 3),
        (NOON, "purchase", "required", "/data", 1, 1),
        (NOON + timedelta(hours=1), "purchase", "pattern", "/data/amount", 1, 1),
    ]
    done = run()
    assert (done.events_read, done.hours_touched, done.hours_counted, done.hours_left) == (2, 1, 1, 0)
    assert counts(warehouse, tenant) == expected
    assert run() == RejectsLoad(), "nothing landed: nothing is read"
    assert counts(warehouse, tenant) == expected


def test_who_sent_them_and_by_which_contract_is_counted_apart(warehouse, land, run, tenant):
    land(Row(1, key_id="k_a", schema_version=1), Row(2, key_id="k_b", schema_version=1), Row(3, key_id="k_b"))
    run()
    found = warehouse.execute(
        "select key_id, schema_version, rejected from marts.rejects_hourly where tenant = %s order by 1, 2", (tenant,)
    ).fetchall()
    assert found == [("k_a", "v1", 1), ("k_b", "(none)", 1), ("k_b", "v1", 1)]


def test_counting_everything_anew_changes_nothing(warehouse, land, run, tenant):
    land(Row(1), Row(2, 60))
    run()
    before = counts(warehouse, tenant)
    warehouse.execute("update ledger.rejects set rejected = rejected + 1 where tenant = %s", (tenant,))
    assert counts(warehouse, tenant) != before
    run(recount=True)
    assert counts(warehouse, tenant) == before


def test_an_hour_that_the_lake_has_no_more_is_counted_anew_too(warehouse, run, tenant):
    warehouse.execute(
        "insert into ledger.rejects values (%s, 'purchase', %s, 'type', '', 1, 1)", (tenant, NOON - timedelta(days=1))
    )
    run(recount=True)
    assert counts(warehouse, tenant) == []


def test_a_run_that_is_stopped_leaves_the_rest_to_the_next(warehouse, land, run, tenant):
    run()
    land(Row(1, 60), Row(2, 120), Row(3, 180))
    done = run(load_budget_seconds=0.000001)
    assert (done.hours_counted, done.hours_left) == (1, 2)
    assert [row[0] for row in counts(warehouse, tenant)] == [NOON + timedelta(hours=3)], "newest first"
    assert run().hours_counted == 2
    assert len(counts(warehouse, tenant)) == 3


def test_a_run_that_broke_between_its_steps_is_made_good(warehouse, land, run, tenant, monkeypatch):
    land(Row(1))
    with monkeypatch.context() as broken:
        broken.setattr(rejects, "replace", _break)
        with pytest.raises(ZeroDivisionError):
            run()
    assert counts(warehouse, tenant) == []
    assert run().hours_counted == 1
    assert len(counts(warehouse, tenant)) == 1


def _break(*_: object, **__: object) -> None:
    raise ZeroDivisionError


def test_an_hour_touched_while_it_is_counted_is_counted_again(warehouse, land, run, tenant, monkeypatch):
    land(Row(1))
    replace = rejects.replace

    def touch_meanwhile(connection: psycopg.Connection, *args: Any) -> None:
        monkeypatch.setattr(rejects, "replace", replace)
        rejects.touch(connection, [NOON])
        replace(connection, *args)

    monkeypatch.setattr(rejects, "replace", touch_meanwhile)
    assert run().hours_counted == 2


def test_two_runs_do_not_count_at_the_same_time(warehouse, land, load_settings, tenant):
    land(Row(1))
    with type_lock(warehouse, rejects.CURSOR, 1):
        summary = load_with_rejects([], load_settings.model_copy(update={"load_budget_seconds": 0.05}))
    assert (summary.busy, summary.failed) == (["quality.rejected_events"], {})
    assert counts(warehouse, tenant) == []


def test_the_numbers_of_a_run_say_what_was_counted(land, load_settings, tenant):
    load_with_rejects([], load_settings)
    land(Row(1), Row(2, 60))
    said = load_with_rejects(REGISTRY, load_settings).as_json()
    assert (said["rejected"], said["reject_hours_counted"], said["reject_hours_left"]) == (2, 2, 0)
    assert said["failed"] == {}


def test_types_are_loaded_where_rejects_cannot_be_counted(load_settings, monkeypatch):
    monkeypatch.setattr("spark_jobs.load_rollups.load_rejects", _break)
    summary = load_with_rejects(REGISTRY, load_settings)
    assert summary.failed.keys() == {"quality.rejected_events"}
    assert summary.idle


def test_what_comes_in_is_what_landed_and_what_was_rejected(warehouse, land, run, tenant):
    warehouse.execute(
        """
        insert into ledger.cells (
            type, tenant, minute, received_hour, landed, counted, duplicates, collisions, copies, minted, over_cap
        )
        values ('purchase', %(t)s, %(h)s, %(h)s, 9, 7, 2, 0, 0, 0, 0),
            ('purchase', %(t)s, %(h)s - interval '5 minutes', %(h)s, 1, 1, 0, 0, 0, 0, 0)
        """,
        {"t": tenant, "h": NOON},
    )
    land(Row(1), Row(2), Row(3, event_type="no_such_type"))
    run()
    found = warehouse.execute(
        """
        select event_type, landed, counted, duplicates, rejected from marts.arrivals_hourly
        where tenant = %s order by 1
        """,
        (tenant,),
    ).fetchall()
    assert found == [("(unknown)", 0, 0, 0, 1), ("purchase", 10, 8, 2, 2)]
    warehouse.execute("delete from ledger.cells where tenant = %s", (tenant,))


def test_a_tenant_sees_its_own_rejects_and_no_text_that_was_sent(stack, warehouse, land, run, tenant):
    land(Row(1, reasons=(REQUIRED,)))
    run()
    key, other = "k" * 64, f"{tenant}-other"
    for name in (tenant, other):
        ensure_tenant(stack.env["WAREHOUSE_DSN"], key, name)
    for view in ("rejects_hourly", "arrivals_hourly"):
        seen = {name: _as_tenant(stack, key, name, f"select * from marts.{view}") for name in (tenant, other)}
        assert (len(seen[tenant]), seen[other]) == (1, []), view
        assert "jane" not in str(seen)


def _as_tenant(stack: Any, key: str, tenant: str, query: str) -> list[tuple[Any, ...]]:
    at = urlsplit(stack.env["WAREHOUSE_DSN"])
    who = f"{quote(tenant_login.role(tenant))}:{tenant_login.password(key, tenant)}"
    with psycopg.connect(urlunsplit(at._replace(netloc=f"{who}@{at.hostname}:{at.port}"))) as connection:
        return connection.execute(query.encode()).fetchall()


def test_rejected_events_past_their_days_go_and_their_counts_stay(  # noqa: PLR0917 - fixtures
    warehouse, land, run, tenant, probe, stack
):
    old, kept = NOON - timedelta(days=200), (datetime.now(UTC) - NOON).days + 100
    land(Row(1, -200 * 24 * 60, key_id="k_a"), Row(2))
    run()
    before = counts(warehouse, tenant)
    assert [row[0] for row in before] == [old, NOON]
    reconcile([], _books(stack))
    ranges = "select kind, received_hour, sequences from ledger.file_ranges where tenant = %s order by 1, 2"
    landed = warehouse.execute(ranges, (tenant,)).fetchall()
    assert len(landed) == 2
    try:
        rejects.touch(warehouse, [old])
        (waits,) = _rejected(maintain([], _keeping(probe, kept)))
        assert waits.floor <= old, "an hour that waits to be counted is not passed"
        run()
        (dry,) = _rejected(maintain([], _keeping(probe, kept), dry_run=True))
        (done,) = _rejected(maintain([], _keeping(probe, kept)))
        assert old < done.floor == dry.floor < NOON
        assert min(done.rows_deleted, dry.rows_deleted) >= 1
        assert _landed(probe, tenant) == [NOON]
        for again in (lambda: rejects.touch(warehouse, [old]), lambda: rejects.forget_cursor(warehouse)):
            again()
            assert run().hours_left == 0
            assert counts(warehouse, tenant) == before
        reconcile([], _books(stack))
        assert warehouse.execute(ranges, (tenant,)).fetchall() == landed, "for the books they have landed"
    finally:
        warehouse.execute("delete from ledger.lake_floor where type = %s", (rejects.CURSOR,))


def _keeping(probe: Any, days: int) -> Any:
    return probe.maintainer.model_copy(update={"maintain_rejects_days": days})


def _rejected(summary: Summary) -> list[Maintained]:
    assert summary.failed == {}
    return [table for table in summary.tables if table.table == REJECTED_EVENTS.identifier]


def _landed(probe: Any, tenant: str) -> list[datetime]:
    scan = probe.catalog.load_table(REJECTED_EVENTS.identifier).scan(f"tenant = '{tenant}'")
    return sorted(scan.to_arrow()["received_at"].to_pylist())


def _books(stack: Any) -> BooksSettings:
    own = stack.own("books")
    return BooksSettings(**{n: own[n.upper()] for n in BooksSettings.model_fields if n.upper() in own})
