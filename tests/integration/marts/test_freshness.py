"""``complete_through`` promises no more than what is true: everything received before it is in the charts."""

import json
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from typer.testing import CliRunner

from books.show import NUMBERS
from tests.integration.marts.warehouse_kit import LOADED_THROUGH, Warehouse
from warehouse.marts_commands import app
from warehouse.publish import refresh_freshness

HOUR = datetime(2026, 11, 18, 12, tzinfo=UTC)


def through(warehouse: Warehouse, tenant: str = "a") -> datetime | None:
    ((found,),) = warehouse.rows("select complete_through from marts.freshness where tenant = %s", (tenant,))
    assert found is None or isinstance(found, datetime)
    return found


def test_with_nothing_pending_it_is_how_far_the_load_is(warehouse: Warehouse) -> None:
    warehouse.publish(warehouse.offer(["a"], HOUR, 1))
    assert warehouse.rows(
        """
        select
            tenant, event_type, complete_through, pending_minutes, pending_hours, newest_period_start, held_because
        from marts.freshness
        """
    ) == [("a", "page_view", LOADED_THROUGH, 0, 0, HOUR, None)]


def test_a_minute_to_recompute_holds_it_back_for_its_tenant(warehouse: Warehouse) -> None:
    received = LOADED_THROUGH - timedelta(minutes=7)
    warehouse.rows(
        """
        insert into ledger.touched (type, tenant, minute, cause, received_from)
        values ('page_view', 'a', %s, 'load', %s)
        """,
        (HOUR, received),
    )
    warehouse.publish(warehouse.offer(["a", "b"], HOUR, 1))
    assert (through(warehouse, "a"), through(warehouse, "b")) == (received, LOADED_THROUGH)
    assert warehouse.rows("select tenant, pending_minutes from marts.freshness order by 1") == [("a", 1), ("b", 0)]


def test_an_hour_that_is_not_published_holds_it_back(warehouse: Warehouse) -> None:
    run_id = warehouse.offer(["a"], HOUR, 1)
    received = LOADED_THROUGH - timedelta(minutes=3)
    warehouse.mark([("a", HOUR - timedelta(hours=1))], received_from=received)
    warehouse.publish(run_id)
    assert through(warehouse) == received
    assert warehouse.rows("select pending_hours from marts.freshness") == [(1,)]


def test_a_held_tenant_is_held_back_and_the_others_are_not(warehouse: Warehouse) -> None:
    received = LOADED_THROUGH - timedelta(minutes=3)
    warehouse.mark([("a", HOUR)], received_from=received)
    run_id = warehouse.offer(["a", "b"], HOUR, 1)
    warehouse.pass_gates(run_id, failing={"a": "impossible"})
    warehouse.publish(run_id)
    assert (through(warehouse, "a"), through(warehouse, "b")) == (received, LOADED_THROUGH)
    assert warehouse.rows("select held_because from marts.freshness where tenant = 'a'") == [
        ("suite.stop: impossible",)
    ]


def test_a_closed_hour_that_does_not_balance_holds_it_back_until_it_is_signed_off(warehouse: Warehouse) -> None:
    received = LOADED_THROUGH.replace(minute=0, second=0, microsecond=0) - timedelta(hours=2)
    unbalanced_book(warehouse, "a", received)
    unbalanced_book(warehouse, "b", received, closed=False)
    unbalanced_book(warehouse, "c", received, balanced=True)
    warehouse.publish(warehouse.offer(["a", "b", "c"], HOUR, 1))
    assert [through(warehouse, tenant) for tenant in "abc"] == [received, LOADED_THROUGH, LOADED_THROUGH]
    warehouse.rows("update ledger.books set signed_off_at = now(), signed_off_by = 'ann', signed_off_because = 'burnt'")
    refresh_freshness(warehouse.dsns["PUBLISHER"])
    assert through(warehouse) == LOADED_THROUGH


def unbalanced_book(warehouse: Warehouse, tenant: str, hour: datetime, **changes: object) -> None:
    row = dict.fromkeys(NUMBERS, 0) | {
        "tenant": tenant, "type": "page_view", "received_hour": hour.isoformat(), "acknowledged": 2, "landed": 1,
        "unlanded": 1, "reasons": {}, "closed": True, "balanced": False, "checked_at": hour.isoformat(),
    } | changes  # fmt: skip
    warehouse.rows(
        "insert into ledger.books select (jsonb_populate_record(null::ledger.books, %s)).*", (json.dumps(row),)
    )


def test_an_open_collector_holds_it_back_until_its_spool_is_in_kafka(warehouse: Warehouse) -> None:
    durable = LOADED_THROUGH - timedelta(minutes=20)
    warehouse.rows(
        "insert into ledger.collectors (collector_id, assigned, acknowledged, durable_through) values ('c', 1, 1, %s)",
        (durable,),
    )
    warehouse.publish(warehouse.offer(["a"], HOUR, 1))
    assert through(warehouse) == durable
    warehouse.rows("update ledger.collectors set closed = true")
    refresh_freshness(warehouse.dsns["PUBLISHER"])
    assert through(warehouse) == LOADED_THROUGH


def test_an_hour_that_changes_in_every_run_does_not_hold_it_back_for_ever(warehouse: Warehouse) -> None:
    """The running hour always changes between claim and publication; what came before the claim is published."""
    for minute in range(1, 4):
        claimed_at = LOADED_THROUGH + timedelta(minutes=minute)
        warehouse.loaded_through(claimed_at)
        run_id = warehouse.offer(["a"], HOUR, minute)
        warehouse.loaded_through(claimed_at + timedelta(seconds=40))
        warehouse.mark([("a", HOUR)], received_from=claimed_at + timedelta(seconds=5))
        warehouse.publish(run_id)
        assert through(warehouse) == claimed_at


def test_it_is_unknown_before_the_first_load_has_finished(warehouse: Warehouse) -> None:
    warehouse.rows("delete from ledger.cursors")
    warehouse.publish(warehouse.offer(["a"], HOUR, 1))
    assert through(warehouse) is None


@pytest.mark.parametrize("everything", [False, True])
def test_a_rebuild_does_not_put_it_back(warehouse: Warehouse, everything: bool) -> None:
    warehouse.publish(warehouse.offer(["a"], HOUR, 1))
    warehouse.claim(everything=everything)
    refresh_freshness(warehouse.dsns["PUBLISHER"])
    assert through(warehouse) == LOADED_THROUGH


def test_a_claim_that_finds_nothing_brings_it_up_to_date(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    warehouse.publish(warehouse.offer(["a"], HOUR, 1))
    later = LOADED_THROUGH + timedelta(hours=1)
    warehouse.loaded_through(later)
    monkeypatch.setenv("PUBLISHER_DSN", warehouse.dsns["PUBLISHER"])
    said = CliRunner().invoke(app, ["claim", "--run-id", str(uuid4()), "--json"])
    assert said.exit_code == 0
    assert json.loads(said.stdout.splitlines()[-1])["hours"] == 0
    assert through(warehouse) == later
