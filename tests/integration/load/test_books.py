"""Every acknowledged event is landed and accounted for, or its hour is red, on the real lake and the real warehouse."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from books import reconcile as reconciling
from books import show
from books.balance import due
from books.reconcile import reconcile
from collector.land_quality import REJECTED_EVENTS
from tests.integration.load.books_kit import HOUR, LATER, NOON, THROUGH


def test_what_was_acknowledged_is_landed_and_what_landed_is_counted_or_says_why_not(kit, probe, arrival):
    collector = kit.collector()
    first = collector.take(kit.row(arrival(event=1)))
    again = collector.take(kit.row(arrival(event=1, received_after=5)))
    other = collector.take(kit.row(arrival(event=1, received_after=9, data={"status": 500})))
    late = collector.take(kit.row(arrival(event=2, received_after=3600)))
    probe.land([first, again, other, late])
    probe.land([first])
    collector.say()
    probe.load()
    kit.reconcile()
    assert kit.state() == (
        "balances",
        {"acknowledged": 3, "landed": 3, "copies": 1, "counted": 1, "duplicates": 2, "collisions": 1},
    )
    assert kit.state(NOON + HOUR) == ("balances", {"acknowledged": 1, "landed": 1, "counted": 1})
    before = kit.books()
    table = probe.catalog.load_table(probe.contract.table)
    table.overwrite(table.scan().to_arrow())
    done = kit.reconcile(everything=True)
    assert done.files_read >= 1, "files rewritten, as by compaction"
    assert [_numbers(row) for row in kit.books().values()] == [_numbers(row) for row in before.values()]


def _numbers(row: Mapping[str, Any]) -> list[Any]:
    return [row[name] for name in (*show.NUMBERS, "balanced", "closed")]


def test_an_hour_of_which_not_everything_is_known_to_be_in_the_lake_is_open(kit, probe, arrival):
    collector = kit.collector()
    collector.take(kit.row(arrival(received_after=timedelta(days=1).total_seconds())))
    collector.say()
    kit.reconcile()
    assert kit.state(LATER) == ("open", {"acknowledged": 1, "unlanded": 1})
    assert kit.complete_through() == THROUGH, "an open hour holds nothing back"


def test_what_arrived_below_the_floor_is_quarantined_and_no_mistake(kit, probe, arrival):
    days = 30
    collector = kit.collector()
    old = arrival(event=2, minute=-days * 24 * 60, received_after=days * 24 * 3600)
    rows = [collector.take(kit.row(arrival(event=1))), collector.take(kit.row(old))]
    of_type = (probe.contract.type,)
    probe.watershed.execute("insert into ledger.lake_floor (type, floor) values (%s, %s)", (*of_type, NOON - 24 * HOUR))
    try:
        probe.land(rows)
        collector.say()
        probe.load()
        kit.reconcile()
    finally:
        probe.watershed.execute("delete from ledger.lake_floor where type = %s", of_type)
    assert kit.state() == ("balances", {"acknowledged": 2, "landed": 2, "counted": 1, "quarantined": 1})


def test_what_the_load_has_not_read_yet_is_not_loaded_and_no_mistake(kit, probe, landed):
    landed(load=False)
    kit.reconcile()
    assert kit.state() == ("balances", {"acknowledged": 3, "landed": 3, "not_loaded": 3})
    probe.load()
    kit.reconcile()
    assert kit.state() == ("balances", {"acknowledged": 3, "landed": 3, "counted": 3})


@pytest.mark.parametrize(
    ("tamper", "number"),
    [
        ("delete from ledger.cells where type = %(type)s and tenant = %(tenant)s and minute = %(noon)s", "unexplained"),
        (
            "update rollups.{rollup} set seen = seen + 1 where tenant = %(tenant)s and minute = %(noon)s",
            "charted_apart",
        ),
    ],
)
def test_a_number_that_the_lake_does_not_bear_out_is_red(kit, probe, landed, tamper, number):
    landed()
    kit.reconcile()
    assert kit.state()[0] == "balances"
    values = {"type": probe.contract.type, "tenant": kit.tenant, "noon": NOON}
    probe.watershed.execute(tamper.format(rollup=probe.contract.rollup_table).encode(), values)
    kit.reconcile(everything=True)
    state, numbers = kit.state()
    assert (state, numbers[number]) == ("red", 1)


def test_rows_of_a_minute_that_no_event_explains_turn_the_hour_they_are_shown_in_red(kit, probe, landed):
    landed()
    kit.reconcile()
    table = probe.contract.rollup_table
    probe.watershed.execute(
        f"""
        insert into rollups.{table}
            (tenant, minute, region, page, status, seen, bots, errors, quantity_spread, visitors)
        values (%s, %s, 'FR', '/', 200, 2, 0, 0, '{{}}', '{{}}')
        """.encode(),
        (kit.tenant, NOON + 7 * HOUR),
    )
    kit.reconcile(everything=True)
    hour = NOON + 7 * HOUR
    assert kit.state(hour) == ("red", {"charted_apart": 2}), "nothing was received in it, or occurred"
    assert kit.state()[0] == "balances"
    assert kit.complete_through() == hour
    probe.watershed.execute(
        f"delete from rollups.{table} where tenant = %s and minute >= %s".encode(), (kit.tenant, hour)
    )
    kit.reconcile()
    assert hour not in kit.books(), "without anybody's asking for every hour"
    assert kit.complete_through() == THROUGH


def test_what_retention_deleted_goes_on_counting_as_landed_and_a_hand_that_deletes_does_not(kit, probe, arrival):
    collector, day = kit.collector(), 24 * 60
    probe.land([collector.take(kit.row(arrival(event=1, minute=-3 * day)))])
    probe.land([collector.take(kit.row(arrival(event=2)))])
    collector.say()
    probe.load()
    kit.reconcile()
    whole = ("balances", {"acknowledged": 1, "landed": 1, "counted": 1})
    assert (kit.state(NOON - 3 * 24 * HOUR), kit.state()) == (whole, whole)
    floor = "insert into ledger.lake_floor (type, floor) values (%s, %s)"
    probe.watershed.execute(floor, (probe.contract.type, NOON.replace(hour=0) - 24 * HOUR))
    try:
        probe.catalog.load_table(probe.contract.table).delete(f"tenant = '{kit.tenant}'")
        kit.reconcile(everything=True)
        assert kit.state(NOON - 3 * 24 * HOUR) == whole
        assert kit.state()[0] == "red"
        assert kit.state()[1]["unlanded"] == 1, "nobody's retention reaches it"
    finally:
        probe.watershed.execute("delete from ledger.lake_floor where type = %s", (probe.contract.type,))


def test_a_load_ahead_of_the_files_that_are_known_has_them_looked_at_again(kit, probe, arrival, landed, monkeypatch):
    collector, landings = landed(), 0

    def meanwhile(*args: Any) -> Any:
        nonlocal landings
        landings += 1
        probe.land([collector.take(kit.row(arrival(event=8)))])
        collector.say()
        probe.load()
        return due(*args)

    monkeypatch.setattr(reconciling, "due", meanwhile)
    kit.reconcile()
    assert landings == 1
    assert kit.state() == ("balances", {"acknowledged": 4, "landed": 4, "counted": 4})


def test_hours_that_could_not_be_judged_are_due_until_they_are(kit, probe, landed, monkeypatch):
    landed()
    kit.reconcile()

    def away(*_: Any) -> Any:
        raise OSError("the store is away")

    probe.watershed.execute("insert into ledger.books_touched values (%s)", (NOON,))
    monkeypatch.setattr(reconciling, "index", away)
    assert set(reconcile([probe.contract], kit.settings).failed) == {probe.contract.table, REJECTED_EVENTS.identifier}
    monkeypatch.undo()
    waiting = probe.watershed.execute("select received_hour from ledger.books_touched").fetchall()
    assert {"received_hour": NOON} in waiting
    assert kit.state()[0] == "balances", "as they were"


def test_an_hour_whose_event_is_no_longer_the_winner_is_balanced_again(kit, probe, arrival):
    collector = kit.collector()
    early = collector.take(kit.row(arrival(event=1, received_after=2)))
    probe.land([collector.take(kit.row(arrival(event=1, received_after=3600)))])
    collector.say()
    probe.load()
    kit.reconcile()
    assert kit.state(NOON + HOUR)[1] == {"acknowledged": 1, "landed": 1, "counted": 1}
    probe.land([early])
    kit.reconcile()
    probe.load()
    kit.reconcile()
    assert kit.state(NOON + HOUR) == ("balances", {"acknowledged": 1, "landed": 1, "duplicates": 1})
    assert kit.state() == ("balances", {"acknowledged": 1, "landed": 1, "counted": 1})


def test_a_run_that_reads_part_of_the_files_judges_nothing_by_them(kit, probe, landed):
    landed()
    done = reconcile([probe.contract], kit.settings.model_copy(update={"books_budget_seconds": 1e-9}))
    assert done.files_left >= 1
    assert NOON not in kit.books()
    kit.reconcile()
    assert kit.state()[0] == "balances"
