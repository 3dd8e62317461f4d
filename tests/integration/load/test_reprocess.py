"""Reprocessing: what differs from the lake is found, put in place at once, and can be taken back."""

import dataclasses
import json
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest
from typer.testing import CliRunner

from contracts.registry import Registry
from spark_jobs import reprocess_commands
from tests.integration.load.reprocess_kit import (
    NOON,
    loaded,
    published,
    seen,
    spoil,
    told,
    waiting_hours,
)
from warehouse import reprocess_runs


def test_unchanged_code_and_data_give_equal_checksums_and_change_nothing(probe, tenant, arrival):
    loaded(probe, tenant, arrival)
    published(probe, tenant)
    before = probe.checksum(tenant)
    outcome = probe.reprocess(tenant)
    assert outcome.differing == 0
    assert outcome.as_json()["minutes_compared"] == len(seen(probe, tenant))
    assert probe.checksum(tenant) == before
    assert waiting_hours(probe, tenant) == []
    assert before[f"rollups.{probe.contract.rollup_table}"].rows == len(probe.rollup(tenant))


def test_what_was_changed_by_hand_is_found_exactly_mended_and_can_be_taken_back(probe, tenant, arrival):
    loaded(probe, tenant, arrival)
    published(probe, tenant)
    whole, numbers = probe.checksum(tenant), seen(probe, tenant)
    table, (first, second, *_, last) = probe.contract.rollup_table, sorted(numbers)
    spoil(probe, tenant, first)
    probe.watershed.execute(f"delete from rollups.{table} where tenant = %s and minute = %s", (tenant, second))
    nothing = NOON + timedelta(hours=3)  # no event occurred there
    probe.watershed.execute(
        f"insert into rollups.{table}"
        " (tenant, minute, region, page, status, seen, bots, errors, quantity_spread, visitors)"
        " values (%s, %s, 'FR', '/', 200, 70, 0, 0, '{}', '{}')",
        (tenant, nothing),
    )
    probe.watershed.execute(
        "update ledger.cells set counted = counted + 1 where tenant = %s and minute = %s", (tenant, last)
    )
    probe.watershed.execute("delete from ledger.books_touched")
    spoiled, total = probe.checksum(tenant), sum(numbers.values())
    in_first = len([r for r in probe.rollup(tenant) if r["minute"] == first])
    off = 5 * in_first - numbers[second] + 70

    dry = probe.reprocess(tenant, dry_run=True)
    found = told(dry)
    assert dry.differing == 4
    in_second = found["rollup", "quantity_sum"][2]
    assert found["rollup", "seen"] == (str(total + off), str(total), in_first + in_second + 1)
    counted = sum(c["counted"] for c in probe.cells(tenant))
    assert found["cells", "counted"] == (str(counted), str(counted - 1), 1)
    assert found["rollup", "visitors"][:2] == (None, None), "visitors cannot be summed"
    assert ("cells", "landed") not in found
    assert probe.checksum(tenant) == spoiled, "a dry run changes nothing"
    assert waiting_hours(probe, tenant) == []

    applied = probe.reprocess(tenant)
    assert applied.outcomes == {"replaced": 4}
    assert told(applied) == found
    assert probe.checksum(tenant) == whole
    hours = {m.replace(minute=0) for m in (first, second, last, nothing)}
    assert waiting_hours(probe, tenant) == [(hour, "reprocess") for hour in sorted(hours)]
    marks = probe.query("select distinct reprocessed_by from ledger.unpublished where tenant = %s", tenant)
    assert [row["reprocessed_by"] for row in marks] == [applied.run_id]
    received = {c["received_hour"] for c in probe.cells(tenant) if c["minute"] in (first, second, last)}
    assert received <= {row["received_hour"] for row in probe.query("select received_hour from ledger.books_touched")}

    undone = probe.undo(applied.run_id)
    assert undone.outcomes == {"replaced": 4}
    assert probe.checksum(tenant) == spoiled
    assert probe.undo(undone.run_id).outcomes == {"replaced": 4}, "an undo is a run like others"
    assert probe.checksum(tenant) == whole


def test_a_changed_rollup_of_the_contract_is_found_and_put_in_place(probe, tenant, arrival):
    loaded(probe, tenant, arrival)
    whole = probe.checksum(tenant)
    tighter = dataclasses.replace(probe.contract, rollup=dataclasses.replace(probe.contract.rollup, cap=1))
    assert probe.reprocess(tenant, contract=tighter, dry_run=True).differing > 0
    outcome = probe.reprocess(tenant, contract=tighter)
    assert outcome.outcomes == {"replaced": outcome.differing}
    pages: dict[datetime, set[str]] = {}
    for row in probe.rollup(tenant):
        pages.setdefault(row["minute"], set()).add(row["page"])
    assert all(len(names - {"(other)"}) == 1 for names in pages.values())
    assert any("(other)" in names for names in pages.values())
    assert probe.reprocess(tenant).differing == outcome.differing, "the contract as it was differs as much"
    assert probe.checksum(tenant) == whole


def test_a_load_after_it_does_not_hide_the_cause(probe, tenant, arrival):
    loaded(probe, tenant, arrival)
    published(probe, tenant)
    first, *_ = sorted(seen(probe, tenant))
    spoil(probe, tenant, first)
    probe.reprocess(tenant)
    probe.arrive(tenant, arrival(event=1001, sequence=1001, minute=int((first - NOON) / timedelta(minutes=1))))
    probe.load()
    assert waiting_hours(probe, tenant) == [(first.replace(minute=0), "reprocess")]


def test_the_command_says_by_its_exit_code_whether_anything_differs(probe, tenant, arrival, monkeypatch, stack):
    loaded(probe, tenant, arrival)
    known = Registry.load(probe.folder)
    monkeypatch.setattr(reprocess_commands.Registry, "load", lambda: known)
    words = ["--from", "2026-03-01", "--to", "2026-03-02", "--tenant", tenant, "--json"]

    def run(*more: str) -> Any:
        return CliRunner().invoke(reprocess_commands.app, [*words, *more], env=stack.own("load"))

    same = run("--dry-run")
    assert same.exit_code == 0, same.output
    spoil(probe, tenant, *seen(probe, tenant))
    differing = run("--dry-run", "--by", "hour")
    assert differing.exit_code == reprocess_commands.DIFFERS
    result = json.loads(differing.stdout.strip().splitlines()[-1])
    assert {d["measure"] for d in result["differences"]} == {"seen"}
    assert len({d["period"] for d in result["differences"]}) == 3
    assert result["replaced"] == 0
    assert "100 %" in differing.stderr
    applied = run()
    assert applied.exit_code == 0
    assert json.loads(applied.stdout.strip().splitlines()[-1])["replaced"] == result["differing"]


def test_two_at_a_time_are_refused_and_a_dry_run_beside_another_is_not(probe, tenant, load_settings):
    with psycopg.connect(load_settings.loader_dsn, autocommit=True) as other:
        with reprocess_runs.alone(other):
            with pytest.raises(reprocess_runs.AlreadyAtWork):
                probe.reprocess(tenant)
            assert probe.reprocess(tenant, dry_run=True).differing == 0
        with reprocess_runs.alone(other, dry_run=True), pytest.raises(reprocess_runs.AlreadyAtWork):
            probe.reprocess(tenant, dry_run=True)
