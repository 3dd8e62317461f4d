"""Every acknowledged event is landed and accounted for, or its hour is red, on the real lake and the real warehouse."""

import json
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from psycopg import sql

from books import reconcile as reconciling
from books import show
from books.balance import due
from books.reconcile import Reconciled, reconcile
from books.settings import BooksSettings
from collector.lake import arrow_schema_of, ensure_table
from collector.land_db import Database
from collector.land_decode import Batch
from collector.land_quality import COLLECTOR_RECEIPTS, REJECTED_EVENTS
from collector.land_receipts import ReceiptsLedger
from collector.land_topic import Brokers, TopicInfo
from collector.receipts import rfc3339
from spark_jobs import type_load
from spark_jobs.load_rejects import load_rejects
from spark_jobs.load_rollups import load
from warehouse import rejects, touched
from warehouse.claims import COMPLETE_IN_ROLLUPS
from warehouse.touched import newest

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
LATER = NOON + timedelta(days=1)
THROUGH = LATER + timedelta(minutes=30)
"""What the lander says: everything received before is in the lake."""
REASONS = [{"pointer": "/data/status", "keyword": "type", "message": "is no number"}]
Row = dict[str, Any]


class Collector:
    """A collector process that only this test knows: it counts what it takes, and says so in receipts."""

    def __init__(self, ledger: ReceiptsLedger, type_: str, tenant: str) -> None:
        self.id, self._ledger, self._type, self._tenant = uuid.uuid4().hex[:16], ledger, type_, tenant
        self._topic = TopicInfo(uuid.uuid4().hex, frozenset({0}))
        self._cells: Counter[datetime] = Counter()
        self._said = 0
        self.assigned = 0

    def take(self, row: Row, *, answered: bool = True) -> Row:
        """Hand out the next number; ``answered``: with 2xx."""
        self.assigned += 1
        if answered:
            self._cells[row["received_at"].replace(minute=0, second=0, microsecond=0)] += 1
        return row | {"collector_id": self.id, "sequence": self.assigned}

    def settle(self, row: Row) -> None:
        """Answer an event that was taken without one."""
        self._cells[row["received_at"].replace(minute=0, second=0, microsecond=0)] += 1

    def say(self, *, rejected: int = 0, **changes: Any) -> None:
        """Its last receipt, read by the lander."""
        self._said += 1
        value = json.dumps(self.receipt(rejected=rejected) | changes).encode()
        self._ledger.add(self._topic, Batch([value], [0], [self._said]))

    def receipt(self, *, rejected: int = 0) -> Row:
        cells = [
            {"tenant": self._tenant, "event_type": self._type, "accepted": n, "rejected": rejected, "minted": 0}
            | {"received_hour": _stamp(hour)}
            for hour, n in self._cells.items()
        ]
        return {
            "collector_id": self.id, "assigned": self.assigned, "acknowledged": self._cells.total() + rejected,
            "void": [], "in_doubt": [], "cells": cells, "durable_through": _stamp(LATER), "closed": True,
            "at": _stamp(LATER),
        }  # fmt: skip


def _stamp(instant: datetime) -> str:
    return rfc3339(round(instant.timestamp() * 1e6))


class Kit:
    """The books of the probe's type and one tenant."""

    def __init__(self, stack: Any, probe: Any, tenant: str) -> None:
        self.probe, self.tenant = probe, tenant
        own = stack.own("books")
        self.settings = BooksSettings(
            **{name: own[name.upper()] for name in BooksSettings.model_fields if name.upper() in own}
        )
        self._database = Database(stack.own("lander")["LANDER_DSN"], 30)
        connection = {"bootstrap.servers": stack.env["KAFKA_BOOTSTRAP_SERVERS"]}
        self._ledger = ReceiptsLedger(self._database, Brokers(connection), connection)
        for type_ in (probe.contract.type, "rejected_events"):
            self.all_landed(type_)

    def all_landed(self, type_: str) -> None:
        """As the lander says it: everything received in these hours is in the lake."""
        self.probe.watershed.execute(
            """
            insert into ledger.landed as l (type, land_seq, through) values (%s, 0, %s)
            on conflict (type) do update set through = greatest(l.through, excluded.through)
            """,
            (type_, THROUGH),
        )

    def collector(self) -> Collector:
        return Collector(self._ledger, self.probe.contract.type, self.tenant)

    def row(self, arrival: Any) -> Row:
        return dict(self.probe.row(self.tenant, arrival))

    def reconcile(self, *, everything: bool = False) -> Reconciled:
        done = reconcile([self.probe.contract], self.settings, everything=everything)
        assert done.failed == {}
        return done

    def books(self) -> dict[datetime, Row]:
        rows = show.books(self.probe.watershed, show.Asked(tenant=self.tenant, type=self.probe.contract.type))
        return {row["received_hour"]: row for row in rows}

    def state(self, hour: datetime = NOON) -> tuple[str, dict[str, int]]:
        """Whether an hour balances, and every number of it that is not 0."""
        row = self.books()[hour]
        state = "open" if not row["closed"] else "balances" if row["balanced"] else "red"
        return state, {name: row[name] for name in show.NUMBERS if row[name]}

    def complete_through(self) -> datetime | None:
        query = sql.SQL("select ({}) as through").format(
            COMPLETE_IN_ROLLUPS.format(type=sql.Literal(self.probe.contract.type), tenant=sql.Literal(self.tenant))
        )
        return self.probe.watershed.execute(query).fetchone()["through"]

    def rejection(self, row: Row, reasons: list[dict[str, str]], **changes: Any) -> Row:
        return {
            "reject_id": str(uuid.uuid4()), "tenant": self.tenant, "event_type": self.probe.contract.type,
            "stage": "collector", "received_at": row["received_at"], "collector_id": row["collector_id"],
            "sequence": row["sequence"], "reasons": json.dumps(reasons), "body": "{}", "body_encoding": "utf-8",
            "kafka_partition": 0, "kafka_offset": row["sequence"],
        } | changes  # fmt: skip

    def reject(self, *rejections: Row) -> None:
        """One commit of the lander of rejected events."""
        table = ensure_table(self.probe.catalog, REJECTED_EVENTS)
        land_seq = int(table.properties.get("watershed.land_seq", 0)) + 1
        rows = [row | {"land_seq": land_seq} for row in rejections]
        with table.transaction() as transaction:
            transaction.append(pa.Table.from_pylist(rows, schema=arrow_schema_of(REJECTED_EVENTS.columns)))
            transaction.set_properties({"watershed.land_seq": str(land_seq)})

    def files(self, table: str | None = None) -> set[str]:
        """The data files that the table names."""
        found = self.probe.catalog.load_table(table or self.probe.contract.table)
        return set(found.inspect.files()["file_path"].to_pylist())

    def delete(self, path: str) -> bytes:
        """Delete a lake object by hand; gives what it held."""
        io = self.probe.catalog.load_table(self.probe.contract.table).io
        with io.new_input(path).open() as file:
            held = file.read()
        io.delete(path)
        return held

    def put_back(self, path: str, held: bytes) -> None:
        io = self.probe.catalog.load_table(self.probe.contract.table).io
        with io.new_output(path).create() as file:
            file.write(held)

    def close(self) -> None:
        self._database.close()
        self.probe.watershed.execute("delete from ledger.books where tenant = %s", (self.tenant,))


@pytest.fixture
def kit(stack: Any, probe: Any, tenant: str) -> Iterator[Kit]:
    made = Kit(stack, probe, tenant)
    yield made
    made.close()


@pytest.fixture
def landed(kit: Kit, probe: Any, arrival: Any) -> Callable[..., Collector]:
    """Three events at 12:00, 12:01 and 12:02, taken, landed and said; as far as ``load``, loaded too."""

    def land(*, load: bool = True, **said: Any) -> Collector:
        collector = kit.collector()
        probe.land([collector.take(kit.row(arrival(event=n, minute=n))) for n in range(3)])
        collector.say(**said)
        if load:
            probe.load()
        return collector

    return land


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


def test_an_acknowledged_event_that_is_nowhere_is_red_until_someone_signs_it_off(kit, probe, arrival, landed):
    collector = landed()
    collector.take(kit.row(arrival(event=7)))
    collector.say()
    assert kit.reconcile().red >= 1
    assert kit.state() == ("red", {"acknowledged": 4, "landed": 3, "unlanded": 1, "counted": 3})
    assert kit.complete_through() == NOON, "everything received before it is in the charts, and not beyond"
    asked = show.Asked(kit.tenant, probe.contract.type, NOON, NOON + HOUR, red=True)
    (lost,) = show.lost(probe.watershed, asked)
    assert (lost["collector_id"], lost["events"], lost["sequences"]) == (collector.id, 1, [[4, 4]])
    assert len(show.sign_off(probe.watershed, asked, "ann", "the disk of host 7 burnt")) == 1
    assert kit.complete_through() == THROUGH
    kit.reconcile(everything=True)
    assert kit.books()[NOON]["signed_off_because"] == "the disk of host 7 burnt"
    assert kit.complete_through() == THROUGH, "nothing else went wrong"
    collector.take(kit.row(arrival(event=8)))
    collector.say()
    kit.reconcile()
    assert kit.complete_through() == NOON, "one more is lost, which nobody has looked at"


def test_an_hour_of_which_not_everything_is_known_to_be_in_the_lake_is_open(kit, probe, arrival):
    collector = kit.collector()
    collector.take(kit.row(arrival(received_after=timedelta(days=1).total_seconds())))
    collector.say()
    kit.reconcile()
    assert kit.state(LATER) == ("open", {"acknowledged": 1, "unlanded": 1})
    assert kit.complete_through() == THROUGH, "an open hour holds nothing back"


def test_what_nobody_acknowledged_is_told_apart_by_why(kit, probe, arrival):
    known, unknown = kit.collector(), kit.collector()
    rows = [known.take(kit.row(arrival(event=n)), answered=n == 0) for n in range(4)]
    beyond = known.take(kit.row(arrival(event=4)), answered=False)
    probe.land([*rows, beyond, unknown.take(kit.row(arrival(event=5)))])
    known.say(assigned=4, void=[[2, 2]], in_doubt=[[3, 4]])
    probe.load()
    kit.reconcile()
    state, numbers = kit.state()
    assert (numbers["acknowledged"], numbers["landed"], numbers["counted"]) == (1, 6, 6)
    assert (numbers["void"], numbers["in_doubt"], numbers["foreign"]) == (1, 2, 2)
    assert "unlanded" not in numbers
    assert state == "red", "of the two that are nobody's"


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


def test_receipts_that_were_read_before_cells_were_kept_are_found_in_the_lake(kit, probe, landed):
    collector = landed()
    probe.watershed.execute("delete from ledger.receipt_cells where collector_id = %s", (collector.id,))
    kit.reconcile()
    assert kit.state()[1]["foreign"] == 3, "the lake has no receipt of it either"
    table = ensure_table(probe.catalog, COLLECTOR_RECEIPTS)
    receipt = collector.receipt()
    row = (
        receipt
        | {name: json.dumps(receipt[name]) for name in ("void", "in_doubt", "cells")}
        | {name: datetime.fromisoformat(receipt[name]) for name in ("durable_through", "at")}
    )
    places = {"kafka_partition": 0, "kafka_offset": 1, "land_seq": 1}
    table.append(pa.Table.from_pylist([row | places], schema=arrow_schema_of(COLLECTOR_RECEIPTS.columns)))
    kit.reconcile()
    assert kit.state()[0] == "red", "a collector is asked for once a day"
    kit.reconcile(everything=True)
    assert kit.state() == ("balances", {"acknowledged": 3, "landed": 3, "counted": 3})
    # Of a ledger that was made anew, too.
    probe.watershed.execute("delete from ledger.receipt_cells where collector_id = %s", (collector.id,))
    probe.watershed.execute("delete from ledger.collectors where collector_id = %s", (collector.id,))
    kit.reconcile(everything=True)
    assert kit.state()[0] == "balances"


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


def test_an_older_receipt_that_is_said_again_brings_back_no_doubt(kit, probe, arrival):
    collector = kit.collector()
    row = collector.take(kit.row(arrival(event=1)), answered=False)
    collector.say(in_doubt=[[1, 1]], closed=False)
    older = collector.receipt() | {"in_doubt": [[1, 1]], "closed": False}
    probe.land([row, collector.take(kit.row(arrival(event=2)))])
    collector.settle(row)
    collector.say()
    collector.say(**older)
    probe.load()
    kit.reconcile()
    assert kit.state() == ("balances", {"acknowledged": 2, "landed": 2, "counted": 2})


def test_what_no_collector_says_in_the_lakes_receipts_stops_nothing(kit, probe, landed):
    collector = landed()
    probe.watershed.execute("delete from ledger.receipt_cells where collector_id = %s", (collector.id,))
    table = ensure_table(probe.catalog, COLLECTOR_RECEIPTS)
    rows = [
        {"collector_id": collector.id, "assigned": 3, "acknowledged": 3, "void": "[]", "in_doubt": "[]", "closed": True}
        | {
            "durable_through": LATER,
            "at": LATER,
            "kafka_partition": 0,
            "kafka_offset": 9,
            "land_seq": 1,
            "cells": cells,
        }
        for cells in ("5", "[" * 5_000, json.dumps(collector.receipt()["cells"]))
    ]
    table.append(pa.Table.from_pylist(rows, schema=arrow_schema_of(COLLECTOR_RECEIPTS.columns)))
    kit.reconcile(everything=True)
    assert kit.state() == ("balances", {"acknowledged": 3, "landed": 3, "counted": 3})


def test_rejections_are_booked_by_the_collectors_count_and_by_reason(stack, kit, probe, arrival):
    collector = kit.collector()
    accepted = [collector.take(kit.row(arrival(event=n))) for n in range(2)]
    refused = [collector.take(kit.row(arrival()), answered=False) for _ in range(3)]
    probe.land(accepted[:1])
    poison = {"received_at": accepted[1]["received_at"].isoformat()}
    kit.reject(
        *(kit.rejection(row, REASONS) for row in refused[:2]),
        # Set aside by a lander, hours later.
        kit.rejection(accepted[1], REASONS, stage="lander", received_at=NOON + 5 * HOUR, body=json.dumps(poison)),
    )
    collector.say(rejected=3)
    probe.load()
    load_rejects([probe.contract], probe.settings)
    kit.reconcile()
    assert kit.state() == (
        "red",
        {"acknowledged": 2, "landed": 1, "set_aside": 1, "counted": 1, "rejected": 3, "rejected_unlanded": 1},
    )
    assert kit.books()[NOON]["reasons"] == {"type": 2}


def test_a_run_that_reads_part_of_the_files_judges_nothing_by_them(kit, probe, landed):
    landed()
    done = reconcile([probe.contract], kit.settings.model_copy(update={"books_budget_seconds": 1e-9}))
    assert done.files_left >= 1
    assert NOON not in kit.books()
    kit.reconcile()
    assert kit.state()[0] == "balances"


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
