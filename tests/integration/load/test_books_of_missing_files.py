"""A file of the lake that is gone, or is another, turns its hours red and makes no chart smaller."""

from typing import Any

from books import show
from collector.land_quality import REJECTED_EVENTS
from spark_jobs import type_load
from spark_jobs.load_rejects import load_rejects
from spark_jobs.load_rollups import load
from tests.integration.load.books_kit import HOUR, NOON, REASONS
from warehouse import rejects, touched
from warehouse.touched import newest


def test_a_lake_object_deleted_by_hand_turns_its_hours_red_by_exactly_its_events(kit, probe, arrival):
    collector, before = kit.collector(), kit.files()
    probe.land([collector.take(kit.row(arrival(event=1))), collector.take(kit.row(arrival(event=2, minute=59)))])
    (gone,) = kit.files() - before
    probe.land([collector.take(kit.row(arrival(event=3, minute=30)))])
    collector.say()
    probe.load()
    kit.reconcile()
    assert kit.state()[0] == "balances"
    rollup = probe.rollup(kit.tenant)

    held = kit.delete(gone)
    done = kit.reconcile()
    assert done.files_missing == 1
    assert kit.state() == ("red", {"acknowledged": 3, "landed": 1, "unlanded": 2, "missing": 2, "counted": 3})
    assert probe.rollup(kit.tenant) == rollup, "nothing shrinks"
    (lost,) = show.lost(probe.watershed, show.Asked(kit.tenant, probe.contract.type))
    assert (lost["collector_id"], lost["events"], lost["sequences"]) == (collector.id, 2, [[1, 2]])

    # Minutes of the file, and one between them: its bounds hold all three.
    probe.land([collector.take(kit.row(arrival(event=n, minute=minute))) for n, minute in ((4, 0), (5, 30), (6, 40))])
    collector.say()
    probe.load()
    assert {r["minute"].minute: r["seen"] for r in probe.rollup(kit.tenant)} == {0: 1, 30: 2, 40: 1, 59: 1}
    assert [t["minute"] for t in probe.touched(kit.tenant)] == [NOON], "it waits for the file"
    kit.reconcile()
    state, numbers = kit.state()
    assert (state, numbers["unlanded"], numbers["missing"], numbers["not_loaded"]) == ("red", 2, 2, 1)

    kit.put_back(gone, held)
    assert kit.reconcile().files_missing == 0
    assert kit.state()[0] == "balances"
    probe.load()
    kit.reconcile()
    assert kit.state() == ("balances", {"acknowledged": 6, "landed": 6, "counted": 6})
    assert {r["minute"].minute: r["seen"] for r in probe.rollup(kit.tenant)} == {0: 2, 30: 2, 40: 1, 59: 1}
    assert probe.touched(kit.tenant) == []


def test_a_lake_object_cut_short_or_overwritten_by_hand_is_a_missing_one(kit, probe, arrival):
    collector, before = kit.collector(), kit.files()
    probe.land([collector.take(kit.row(arrival(event=1))), collector.take(kit.row(arrival(event=2, minute=59)))])
    (other,) = kit.files() - before
    collector.say()
    probe.load()
    kit.reconcile()
    held = kit.delete(other)
    for content in (held[:-100], held + b"more"):
        kit.put_back(other, content)
        assert kit.reconcile().files_missing == 1
        (file,) = [file for file in show.missing_files(probe.watershed) if file["path"] == other]
        assert (file["size"], file["found_size"]) == (len(held), len(content))
        assert kit.state() == ("red", {"acknowledged": 2, "unlanded": 2, "missing": 2, "counted": 2})
        kit.delete(other)
    kit.put_back(other, content)
    probe.land([collector.take(kit.row(arrival(event=n, minute=minute))) for n, minute in ((3, 0), (4, 1))])
    collector.say()
    probe.load()
    assert {r["minute"].minute: r["seen"] for r in probe.rollup(kit.tenant)} == {0: 1, 1: 1, 59: 1}, (
        "held, and not smaller"
    )
    kit.delete(other)
    kit.put_back(other, held)
    assert kit.reconcile().files_missing == 0
    probe.load()
    kit.reconcile()
    assert kit.state() == ("balances", {"acknowledged": 4, "landed": 4, "counted": 4})


def test_sizes_that_were_not_noted_are_read_from_the_lakes_metadata(kit, probe, landed):
    landed()
    kit.reconcile()
    sizes = "select path, size from ledger.lake_files where type = %s order by path"
    noted = probe.query(sizes, probe.contract.type)
    probe.watershed.execute("update ledger.lake_files set size = null where type = %s", (probe.contract.type,))
    assert kit.reconcile().files_missing == 0
    assert probe.query(sizes, probe.contract.type) == noted


def test_a_file_found_missing_while_a_load_is_at_its_minutes_makes_none_of_them_smaller(
    kit, probe, arrival, monkeypatch
):
    collector, before = kit.collector(), kit.files()
    probe.land([collector.take(kit.row(arrival(event=1)))])
    (gone,) = kit.files() - before
    probe.load()
    collector.say()
    kit.reconcile()
    probe.land([collector.take(kit.row(arrival(event=2, second=1)))])
    collector.say()
    held: list[bytes] = []
    around: list[Any] = []

    def claim(*args: Any, **options: Any) -> Any:
        claimed = newest(*args, **options)
        held.append(kit.delete(gone))
        assert kit.reconcile().files_missing == 1
        return claimed

    def read(*given: Any) -> Any:
        # As Spark says it in the end, after two minutes of trying anew.
        around.append(given[-1])
        raise FileNotFoundError("an object is gone")

    monkeypatch.setattr(touched, "newest", claim)
    monkeypatch.setattr(type_load, "recompute", read)
    assert load([probe.contract], probe.settings).failed
    monkeypatch.undo()
    assert around == [frozenset()], "it has claimed the minute, and so must read all of it"
    assert [r["seen"] for r in probe.rollup(kit.tenant)] == [1]
    kit.put_back(gone, held[0])
    kit.reconcile()
    probe.load()
    assert [r["seen"] for r in probe.rollup(kit.tenant)] == [2]


def test_rejections_of_a_missing_file_are_not_counted_anew_until_it_is_back(kit, probe, arrival):
    collector, before = kit.collector(), kit.files(REJECTED_EVENTS.identifier)
    kit.reject(kit.rejection(collector.take(kit.row(arrival()), answered=False), REASONS))
    (gone,) = kit.files(REJECTED_EVENTS.identifier) - before
    kit.reconcile()
    count = "select sum(rejected)::int as n from ledger.rejects where tenant = %s"
    assert load_rejects([probe.contract], probe.settings).hours_left == 0
    held = kit.delete(gone)
    assert kit.reconcile().files_missing == 1
    rejects.touch(probe.watershed, [NOON, NOON + 30 * HOUR])
    assert load_rejects([probe.contract], probe.settings).hours_left == 1, "the other day's hour is counted"
    assert probe.query(count, kit.tenant) == [{"n": 1}], "not counted too small"
    kit.put_back(gone, held)
    kit.reconcile()
    assert load_rejects([probe.contract], probe.settings).hours_left == 0
    assert probe.query(count, kit.tenant) == [{"n": 1}]


def test_a_file_that_was_loaded_and_gone_before_the_books_read_it_shrinks_no_minute(kit, probe, arrival):
    collector, before = kit.collector(), kit.files()
    probe.land([collector.take(kit.row(arrival(event=1)))])
    (gone,) = kit.files() - before
    probe.load()
    held = kit.delete(gone)
    collector.say()
    kit.reconcile()
    assert kit.state()[0] == "red"
    probe.land([collector.take(kit.row(arrival(event=n, minute=minute))) for n, minute in ((2, 0), (3, 1))])
    collector.say()
    probe.load()
    assert {r["minute"].minute: r["seen"] for r in probe.rollup(kit.tenant)} == {0: 1, 1: 1}
    kit.put_back(gone, held)
    kit.reconcile()
    probe.load()
    assert {r["minute"].minute: r["seen"] for r in probe.rollup(kit.tenant)} == {0: 2, 1: 1}
    kit.reconcile()
    assert kit.state() == ("balances", {"acknowledged": 3, "landed": 3, "counted": 3})


def test_a_file_that_was_gone_before_anyone_read_it_is_loaded_when_it_is_back(kit, probe, arrival, landed):
    landed()
    collector = kit.collector()
    probe.land([collector.take(kit.row(arrival(event=10, minute=6)))])
    before = kit.files()
    probe.land([collector.take(kit.row(arrival(event=9, minute=5)))])
    (gone,) = kit.files() - before
    held = kit.delete(gone)
    collector.say()
    kit.reconcile()
    assert kit.state()[1]["unlanded"] == 1
    # Nothing lands after it: the cursor has to pass its commit all the same.
    probe.load()
    assert [r["minute"].minute for r in probe.rollup(kit.tenant)] == [0, 1, 2, 6], "other minutes go on"
    kit.put_back(gone, held)
    kit.reconcile()
    probe.load()
    assert [r["minute"].minute for r in probe.rollup(kit.tenant)] == [0, 1, 2, 5, 6]
    kit.reconcile()
    assert kit.state() == ("balances", {"acknowledged": 5, "landed": 5, "counted": 5})
