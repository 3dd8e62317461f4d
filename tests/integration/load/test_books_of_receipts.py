"""What collectors say they took and refused, however late or wrongly it is said."""

import json
from datetime import datetime

import pyarrow as pa

from collector.lake import arrow_schema_of, ensure_table
from collector.land_quality import COLLECTOR_RECEIPTS
from spark_jobs.load_rejects import load_rejects
from tests.integration.load.books_kit import HOUR, LATER, NOON, REASONS


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
