"""Receipts come into the ledger once each, in the order of the topic, whoever reads them and how often."""

import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from confluent_kafka import Producer

from collector.land_db import Database
from collector.land_decode import Batch
from collector.land_receipts import ReceiptsLedger
from collector.land_topic import Brokers, TopicInfo

T0 = datetime(2026, 11, 23, tzinfo=UTC)
RETIRED = {"by": "ann", "reason": "the disk burnt", "lost": 2, "lost_ranges": [[3, 4]], "landed": 3}


class Kit:
    """The ledger, a topic id of the test's own, and a collector."""

    def __init__(self, env: Any) -> None:
        self.env, self.id = env, uuid.uuid4().hex[:16]
        self.info = TopicInfo(uuid.uuid4().hex, frozenset({0}))
        self.database = Database(env["LANDER_DSN"], 30)
        self.connection = {"bootstrap.servers": env["KAFKA_BOOTSTRAP_SERVERS"]}
        self.ledger = ReceiptsLedger(self.database, Brokers(self.connection), self.connection)
        self.offset = 0

    def receipt(self, assigned: int, durable: int, at: int, *, closed: bool = False, retired: Any = None) -> bytes:
        receipt = {
            "collector_id": self.id, "assigned": assigned, "acknowledged": assigned, "void": [], "in_doubt": [],
            "cells": [], "durable_through": (T0 + timedelta(seconds=durable)).isoformat(), "closed": closed,
            "at": (T0 + timedelta(seconds=at)).isoformat(), "retired": retired,
        }  # fmt: skip
        return json.dumps(receipt).encode()

    def add(self, *values: bytes, offset: int | None = None) -> None:
        first = self.offset if offset is None else offset
        self.ledger.add(self.info, Batch(list(values), [0] * len(values), [first + n for n in range(len(values))]))
        self.offset = max(self.offset, first + len(values))

    def row(self) -> tuple[int, int, bool, str | None]:
        with self.database.transaction() as connection:
            found = connection.execute(
                "select assigned, durable_through, closed, retired_by from ledger.collectors where collector_id = %s",
                (self.id,),
            ).fetchone()
        assert found is not None
        return found[0], (found[1] - T0).seconds, found[2], found[3]

    def close(self) -> None:
        self.add(self.receipt(0, 0, 10**6, closed=True))
        self.database.close()


@pytest.fixture
def kit(stack: Any) -> Any:
    made = Kit(stack.env)
    yield made
    made.close()


def test_the_newest_receipt_wins_whatever_the_clocks_say(kit: Any) -> None:
    kit.add(kit.receipt(5, 10, at=100), kit.receipt(9, 20, at=50))
    assert kit.row() == (9, 20, False, None)
    kit.add(kit.receipt(9, 30, at=20, closed=True))
    assert kit.row() == (9, 30, True, None)


def test_a_lander_that_wakes_up_folds_nothing_old_in(kit: Any) -> None:
    kit.add(kit.receipt(5, 10, 1), kit.receipt(7, 20, 2, closed=True, retired=RETIRED))
    kit.add(kit.receipt(5, 10, 1), offset=0)
    assert kit.row() == (7, 20, True, "ann")
    assert kit.ledger.known(kit.info.id).read == {0: 2}


def test_a_collector_that_speaks_after_it_was_retired_is_open_again(kit: Any) -> None:
    kit.add(kit.receipt(5, 10, 1), kit.receipt(5, 10, 2, closed=True, retired=RETIRED))
    assert kit.row() == (5, 10, True, "ann")
    kit.add(kit.receipt(6, 30, 3))
    assert kit.row() == (6, 30, False, None)


def test_a_process_that_closed_itself_stays_closed(kit: Any) -> None:
    kit.add(kit.receipt(5, 10, 2, closed=True), kit.receipt(5, 8, 1))
    assert kit.row() == (5, 10, True, None)
    kit.add(kit.receipt(5, 10, 2, closed=True, retired=RETIRED))
    assert kit.row() == (5, 10, True, None), "there was nothing to retire"


def test_poison_is_passed_over_and_counts_as_read(kit: Any) -> None:
    kit.add(b"rubbish", kit.receipt(5, 10, 1), b"{}")
    assert kit.row()[0] == 5
    assert kit.ledger.known(kit.info.id).read == {0: 3}


def test_a_ledger_made_anew_reads_again_what_has_landed(kit: Any) -> None:
    """The topic's real id, but nothing of it noted as read."""
    producer = Producer(kit.connection)
    producer.produce("collector_receipts", kit.receipt(5, 10, 1), partition=0)
    assert producer.flush(30) == 0
    brokers = Brokers(kit.connection)
    info = brokers.describe_one("collector_receipts")
    ends = brokers.end_offsets({"collector_receipts": info.partitions})["collector_receipts"]
    kit.info = TopicInfo(kit.info.id, info.partitions)
    kit.ledger.begin(kit.info, ends)
    assert kit.row() == (5, 10, False, None)
    assert kit.ledger.known(kit.info.id).read == ends
    kit.offset = max(ends.values())
