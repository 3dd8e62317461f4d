"""The warehouse follows the contracts: additively, as often as one likes, or not at all."""

import json
import uuid
from decimal import Decimal

import psycopg
import pytest

from contracts.registry import Registry
from warehouse.ddl import BreakingChange
from warehouse.migrate import MigrationError, migrate


@pytest.fixture
def evolve(probe, tmp_path):
    """The probe's contract with its schema changed by a function."""

    def evolved(change):
        schema = json.loads(json.dumps(probe.contract.schema))
        change(schema)
        folder = tmp_path / uuid.uuid4().hex / probe.contract.type
        folder.mkdir(parents=True)
        (folder / "v1.schema.json").write_text(json.dumps(schema))
        return Registry.load(folder.parent).newest(probe.contract.type)

    return evolved


def add_spread(schema):
    schema["x-watershed"]["rollup"]["measures"] += [
        {"name": "amount_spread", "kind": "quantile", "field": "amount", "description": "The spread."},
        {"name": "statuses", "kind": "sum", "field": "status", "description": "A sum."},
    ]


def test_a_second_migration_finds_nothing_to_do(stack, probe):
    assert migrate(stack.env["WAREHOUSE_DSN"], [probe.contract]).changes == ()


def test_a_dry_run_changes_nothing(stack, probe, evolve):
    wider = evolve(add_spread)
    dry = migrate(stack.env["WAREHOUSE_DSN"], [wider], dry_run=True)
    assert dry.as_json()["columns_added"] == {wider.rollup_table: ["amount_spread", "statuses"]}
    assert migrate(stack.env["WAREHOUSE_DSN"], [probe.contract]).changes == ()


def test_a_dropped_measure_is_refused_and_the_table_stays(stack, probe, evolve):
    narrower = evolve(lambda schema: schema["x-watershed"]["rollup"]["measures"].pop())
    with pytest.raises(BreakingChange, match="visitors would vanish"):
        migrate(stack.env["WAREHOUSE_DSN"], [narrower])
    assert migrate(stack.env["WAREHOUSE_DSN"], [probe.contract]).changes == ()


def test_a_database_that_is_not_ours_says_so(stack):
    with pytest.raises(MigrationError, match="permission denied"):
        migrate(stack.env["READER_DSN"], [])


def test_a_new_measure_fills_itself_also_for_old_events(stack, probe, tenant, arrival, evolve):
    arrival_row = probe.row(tenant, arrival(event=1, data={"amount": Decimal(50), "status": 404}))
    probe.land([arrival_row])
    probe.load()
    (before,) = probe.query("select received_from from ledger.unpublished where tenant = %s", tenant)
    contract = probe.contract
    probe.contract = wider = evolve(add_spread)
    try:
        done = migrate(stack.env["WAREHOUSE_DSN"], [wider])
        assert done.minutes_to_recompute >= 1
        assert [t["cause"] for t in probe.touched(tenant)] == ["reprocess"]
        assert probe.touched(tenant)[0]["received_from"] > before["received_from"]
        probe.load()
        (row,) = probe.rollup(tenant)
        assert row["statuses"] == 404
        assert row["amount_spread"] == {"196": 1}
    finally:
        for column in ("amount_spread", "statuses"):
            probe.watershed.execute(f"alter table rollups.{contract.rollup_table} drop column {column}".encode())
        probe.contract = contract


def test_the_owner_waits_for_a_reader_but_not_for_ever(stack, probe, evolve, monkeypatch):
    monkeypatch.setattr("warehouse.migrate.LOCK_TIMEOUT", "100ms")
    with psycopg.connect(stack.env["LOADER_DSN"]) as reader:
        reader.execute(f"select from rollups.{probe.contract.rollup_table}".encode())
        with pytest.raises(MigrationError, match="lock timeout"):
            migrate(stack.env["WAREHOUSE_DSN"], [evolve(add_spread)])
