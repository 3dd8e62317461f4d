"""What a reprocessing leaves to others: newer minutes, those that wait, are held, or lie below the floor."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from books.reconcile import reconcile
from books.settings import BooksSettings
from tests.integration.load.reprocess_kit import NOON, loaded, seen, spoil, told


def test_events_that_arrive_meanwhile_are_kept(probe, tenant, arrival):
    """One is loaded after its minute was compared, one has only landed, one waits in ``touched``."""
    loaded(probe, tenant, arrival)
    numbers = seen(probe, tenant)
    first, second, third, *_ = sorted(numbers)
    spoil(probe, tenant, *numbers)
    table = probe.contract.type

    def minute_of(moment: datetime) -> int:
        return int((moment - NOON) / timedelta(minutes=1))

    probe.watershed.execute(
        "insert into ledger.touched (type, tenant, minute, cause, received_from) values (%s, %s, %s, 'repair', now())",
        (table, tenant, third),
    )

    def while_it_works(_step: Any) -> None:
        probe.arrive(tenant, arrival(event=1001, sequence=1001, minute=minute_of(first), data={"page": "/new"}))
        probe.load()
        probe.arrive(tenant, arrival(event=1002, sequence=1002, minute=minute_of(second), data={"page": "/new"}))

    outcome = probe.reprocess(tenant, say=while_it_works)
    assert outcome.as_json()["minutes_waiting"] == 1
    assert outcome.outcomes == {"replaced": len(numbers) - 2, "newer": 1}
    now = seen(probe, tenant)
    assert now == {**numbers, first: numbers[first] + 1}
    probe.load()
    assert seen(probe, tenant) == {**now, second: numbers[second] + 1}
    assert probe.reprocess(tenant, dry_run=True).differing == 0


def test_a_dry_run_does_not_tell_of_what_is_left_alone_by_now(probe, tenant, arrival):
    """A load mended one minute since it was compared; another waits for the load."""
    loaded(probe, tenant, arrival)
    first, second, third, *_ = sorted(seen(probe, tenant))
    spoil(probe, tenant, first, second, third)

    def while_it_works(_step: Any) -> None:
        probe.arrive(tenant, arrival(event=1001, sequence=1001, minute=int((first - NOON) / timedelta(minutes=1))))
        probe.load()
        probe.watershed.execute(
            "insert into ledger.touched (type, tenant, minute, cause, received_from)"
            " values (%s, %s, %s, 'erasure', now())",
            (probe.contract.type, tenant, second),
        )

    outcome = probe.reprocess(tenant, dry_run=True, say=while_it_works, grain="hour")
    assert outcome.differing == 1
    assert outcome.as_json()["left_as_they_are"] == {"newer": 1, "waiting": 1}
    (_, _, rows) = told(outcome)["rollup", "seen"]
    assert rows == len([r for r in probe.rollup(tenant) if r["minute"] == third])
    assert (outcome.as_json()["reads"], outcome.as_json()["replaced"]) == ([], 0)
    probe.load()


@pytest.mark.parametrize("known", [True, False], ids=["read before", "never read"])
def test_next_to_a_missing_file_its_minutes_are_left_alone(probe, tenant, arrival, stack, known):
    """Where it is known what the file held, the other minutes are mended; else its day waits until it is back."""
    table = probe.catalog.load_table(probe.contract.table)
    before = set(table.inspect.files()["file_path"].to_pylist())
    probe.arrive(tenant, arrival(event=1, sequence=1), arrival(event=2, sequence=2, minute=59))
    table.refresh()
    (gone,) = set(table.inspect.files()["file_path"].to_pylist()) - before
    probe.arrive(tenant, arrival(event=3, sequence=3, minute=30))
    probe.load()
    numbers = seen(probe, tenant)
    spoil(probe, tenant, *numbers)
    spoiled = seen(probe, tenant)
    own = stack.own("books")
    books = BooksSettings(**{n: own[n.upper()] for n in BooksSettings.model_fields if n.upper() in own})
    if known:
        assert reconcile([probe.contract], books).failed == {}
    with table.io.new_input(gone).open() as file:
        held = file.read()
    table.io.delete(gone)
    try:
        assert reconcile([probe.contract], books).files_missing == 1
        outcome = probe.reprocess(tenant)
        between = NOON + timedelta(minutes=30)
        assert outcome.as_json()["minutes_waiting"] == (2 if known else 3)
        assert outcome.outcomes == ({"replaced": 1} if known else {})
        assert seen(probe, tenant) == ({**spoiled, between: numbers[between]} if known else spoiled)
    finally:
        with table.io.new_output(gone).create() as file:
            file.write(held)
        assert reconcile([probe.contract], books).files_missing == 0
    probe.load()
    assert probe.touched(tenant) == []
    assert probe.reprocess(tenant).outcomes == ({} if known else {"replaced": 1}), "the file's minutes the load mended"
    assert seen(probe, tenant) == numbers


def test_minutes_with_quarantined_rows_or_of_a_file_that_goes_missing_meanwhile_are_left(probe, tenant, arrival):
    """Of the one the lake has more than was ever to be counted, of the other nobody knows what it would give."""
    loaded(probe, tenant, arrival)
    numbers = seen(probe, tenant)
    first, *_, last = sorted(numbers)
    spoil(probe, tenant, *numbers)
    spoiled = seen(probe, tenant)
    probe.watershed.execute(
        "update ledger.cells set landed = landed + 1, quarantined = 1 where type = %s and tenant = %s and minute = %s",
        (probe.contract.type, tenant, first),
    )

    def lose(_step: Any) -> None:
        probe.watershed.execute(
            """
            with lost as (
                insert into ledger.lake_files (type, path, manifest, rows, read, state)
                values (%(type)s, %(tenant)s, 'none', 1, true, 'missing') returning file_id
            )
            insert into ledger.held_minutes (type, tenant, minute, file_id)
            select %(type)s, %(tenant)s, %(minute)s, file_id from lost
            """,
            {"type": probe.contract.type, "tenant": tenant, "minute": last},
        )

    try:
        outcome = probe.reprocess(tenant, say=lose)
    finally:
        probe.watershed.execute("delete from ledger.lake_files where path = %s", (tenant,))
    assert outcome.as_json()["minutes_quarantined"] == 1
    assert outcome.outcomes == {"replaced": len(numbers) - 2, "waiting": 1}
    assert seen(probe, tenant) == {**numbers, first: spoiled[first], last: spoiled[last]}


def test_nothing_below_the_floor_is_computed_and_how_much_that_was_is_told(probe, tenant, arrival):
    loaded(probe, tenant, arrival)
    numbers = seen(probe, tenant)
    floor = NOON + timedelta(hours=1)
    below = [m for m in numbers if m < floor]
    spoil(probe, tenant, *numbers)
    probe.watershed.execute("insert into ledger.lake_floor (type, floor) values (%s, %s)", (probe.contract.type, floor))
    try:
        outcome = probe.reprocess(tenant)
    finally:
        probe.watershed.execute("delete from ledger.lake_floor where type = %s", (probe.contract.type,))
    assert outcome.as_json()["minutes_below_floor"] == len(below) > 0
    assert outcome.outcomes == {"replaced": len(numbers) - len(below)}
    now = seen(probe, tenant)
    assert all(now[m] > numbers[m] for m in below)
    assert all(now[m] == numbers[m] for m in set(numbers) - set(below))


def test_a_floor_that_rises_before_the_end_is_respected_too(probe, tenant, arrival):
    loaded(probe, tenant, arrival)
    numbers = seen(probe, tenant)
    spoil(probe, tenant, *numbers)

    def raise_floor(_step: Any) -> None:
        probe.watershed.execute(
            "insert into ledger.lake_floor (type, floor) values (%s, %s)", (probe.contract.type, max(numbers))
        )

    try:
        outcome = probe.reprocess(tenant, say=raise_floor)
    finally:
        probe.watershed.execute("delete from ledger.lake_floor where type = %s", (probe.contract.type,))
    assert outcome.outcomes == {"replaced": 1, "below the floor": len(numbers) - 1}
