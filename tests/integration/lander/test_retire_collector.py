"""A collector lost with its state holds the promise back until an operator closes it, knowing what is lost."""

import json
import shutil
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.integration.collector.harness import CollectorProcess

LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


@pytest.fixture
def collector(world: Any, tmp_path: Path) -> Iterator[CollectorProcess]:
    """A real collector of the world's type, not started yet."""
    folder = tmp_path / "collector"
    made = CollectorProcess({"KAFKA_BOOTSTRAP_SERVERS": world.servers}, folder, {"CONTRACTS_DIR": str(world.contracts)})
    yield made
    if made.process is not None and made.process.poll() is None:
        made.kill()
    made.http.close()


def last_line(output: str) -> dict[str, Any]:
    return dict(json.loads(output.splitlines()[-1]))


def receipt(world: Any, **changes: Any) -> None:
    now = datetime.now(UTC) - timedelta(hours=1)
    said = {
        "collector_id": world.collector_id, "assigned": 9, "acknowledged": 7, "void": [[8, 8]], "in_doubt": [[9, 9]],
        "cells": [], "durable_through": now.isoformat(), "closed": False, "at": now.isoformat(), "retired": None,
    } | changes  # fmt: skip
    world.raw(json.dumps(said).encode(), topic="collector_receipts")


def row(world: Any, collector_id: str | None = None) -> Any:
    columns = "closed, assigned, acknowledged, retired_by, retired_because"
    rows = world.ledger(
        f"select {columns} from ledger.collectors where collector_id = %s", collector_id or world.collector_id
    )
    return rows[0] if rows else None


def test_what_is_lost_is_counted_first_and_booked_with_a_name_and_a_reason(
    world: Any, run_watershed: Any, tmp_path: Path
) -> None:
    world.env["COLLECTOR_STATE_DIR"], lost = str(tmp_path / "gone"), world.collector_id
    world.start()
    world.produce(5)
    world.raw(json.dumps(world.message(sequence=12)).encode())
    receipt(world)
    world.wait_for("it is known", lambda: row(world))

    shown = last_line(run_watershed(world, "collectors", "list", "--json"))["collectors"]
    assert [c["state"] for c in shown if c["collector_id"] == lost] == ["silent"]
    held = last_line(run_watershed(world, "lake", "status", "--json"))["held_back"]
    assert any(lost in line and "silent since" in line for line in held)

    found = last_line(run_watershed(world, "collectors", "retire", lost, "--json"))
    assert (found["assigned"], found["acknowledged"], found["landed"]) == (9, 7, 6)
    assert (found["lost"], found["lost_ranges"]) == (2, [[6, 7]])
    assert (found["in_doubt"], found["landed_beyond"], found["retired"]) == (1, 1, False)
    assert row(world)[0] is False, "only shown"

    why = "disk of host 7 burnt"
    run_watershed(world, "collectors", "retire", lost, "--yes", code=2)
    run_watershed(world, "collectors", "retire", lost, "--yes", "--reason", why, "--by", "ann")
    world.wait_for("the lander has learnt of it", lambda: row(world)[0])
    assert row(world) == (True, 12, 7, "ann", why)
    assert "closed already" in run_watershed(world, "collectors", "retire", lost, code=1)

    table = world.catalog.load_table("quality.collector_receipts")

    def landed() -> list[Any]:
        scan = table.refresh().scan(
            row_filter=f"collector_id == '{lost}'", selected_fields=("retired", "void", "closed")
        )
        return [r for r in scan.to_arrow().to_pylist() if r["retired"] and why in r["retired"]]

    (kept,) = world.wait_for("its receipt is in the lake", landed)
    assert json.loads(kept["retired"]) == {"by": "ann", "reason": why, "lost": 2, "lost_ranges": [[6, 7]], "landed": 6}
    assert json.loads(kept["void"]) == [[8, 8]], "what was acknowledged is not made void"

    receipt(world, assigned=13)
    world.wait_for("it speaks after all, and counts again", lambda: not row(world)[0])
    receipt(world, assigned=13, closed=True)
    world.wait_for("closed by itself", lambda: row(world)[0])


def test_a_collector_deleted_with_its_folder_holds_the_promise_until_it_is_retired(
    world: Any, collector: CollectorProcess, run_watershed: Any
) -> None:
    world.env["COLLECTOR_STATE_DIR"] = str(collector.state)
    world.start()
    collector.start()
    collector_id = next(line["collector_id"] for line in collector.logged() if line["event"] == "collecting")
    data = {"region": "DE", "page_name": "/"}
    sent = collector.send(*[{"event_type": world.type, "data": data} for _ in range(3)])
    assert sent.status_code == 200
    world.wait_for("they land", lambda: len(world.landed()) == 3)
    world.wait_for("it is known", lambda: (row(world, collector_id) or [0, 0])[1] == 3)
    words = ("collectors", "retire", collector_id, "--yes", "--reason", "test", "--silent-seconds")
    assert "alive" in run_watershed(world, *words, "60", code=1)
    collector.kill()
    assert "its state is there" in run_watershed(world, *words, "0", code=1), "a start on it loses nothing"
    shutil.rmtree(collector.state)
    dead = datetime.now(UTC)
    time.sleep(5)
    assert (world.through() or LONG_AGO) < dead, "who knows what it took"
    run_watershed(world, *words, "1")
    world.wait_for("the lander has learnt of it", lambda: row(world, collector_id)[0])
    assert world.ledger("select collector_id from ledger.collectors where not closed") == [], "left by another test"
    world.wait_for("the promise goes on", lambda: (world.through() or LONG_AGO) > dead, 30)
