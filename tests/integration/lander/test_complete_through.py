"""What the lander promises to hold through an instant covers every collector that Kafka has heard of by then."""

import json
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest


@pytest.fixture
def collector(world: Any) -> Iterator[Any]:
    """Publishes receipts of a collector that exists nowhere else; closed at the end, so that it holds back nobody."""
    collector_id = uuid.uuid4().hex[:16]

    def publish(durable: datetime, *, closed: bool = False) -> str:
        stamps = {"durable_through": durable.isoformat(), "at": datetime.now(UTC).isoformat()}
        receipt = {
            "collector_id": collector_id, "assigned": 7, "acknowledged": 7, "void": [], "in_doubt": [], "cells": [],
            "closed": closed, **stamps,
        }  # fmt: skip
        world.raw(json.dumps(receipt).encode(), topic="collector_receipts")
        return collector_id

    yield publish
    publish(datetime.now(UTC), closed=True)
    closed = "select 1 from ledger.collectors where collector_id = %s and closed"
    world.wait_for("the ledger knows that it is closed", lambda: world.ledger(closed, collector_id))


@contextmanager
def nobody_reads_receipts(world: Any) -> Iterator[None]:
    """As a lander that holds the table of receipts and does not come round to reading them."""
    with psycopg.connect(world.env["LANDER_DSN"], autocommit=True) as holder:
        holder.execute("select pg_advisory_lock(hashtextextended('land:quality.collector_receipts', 0))")
        yield


def test_a_collector_whose_receipt_nobody_has_read_yet_holds_the_promise_back(world: Any, collector: Any) -> None:
    with nobody_reads_receipts(world):
        lander = world.start()
        world.wait_for("it lands", lambda: world.leads(lander))
        spooled_since = datetime.now(UTC)
        collector(spooled_since - timedelta(seconds=1))
        announced = datetime.now(UTC)
        until = time.monotonic() + 6  # a dozen heartbeats
        while time.monotonic() < until:
            assert (world.through() or spooled_since) <= announced, "what it took since is in its spool only"
            time.sleep(0.1)
    world.wait_for(
        "it is read", lambda: world.ledger("select 1 from ledger.collectors where assigned = 7 and not closed")
    )
    time.sleep(3)
    assert (world.through() or spooled_since) <= announced
    now = datetime.now(UTC)
    collector(now)
    world.wait_for("the promise goes on", lambda: (world.through() or spooled_since) > announced, 30)
