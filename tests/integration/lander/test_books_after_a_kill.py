"""A collector killed before its receipt: its counters still tell, and the books count what it took."""

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from books.reconcile import reconcile
from books.settings import BooksSettings
from collector.keys import KeyFile, KeyKind
from contracts.registry import Registry
from tests.integration.collector.harness import CollectorProcess
from tests.integration.lander.world import World

TENANT = f"killed-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def collector(world: World, tmp_path: Path) -> Iterator[CollectorProcess]:
    """A real collector of the world's type that says nothing between its first receipt and its last.

    Closed at the end, and its dead predecessor with it: an open collector holds the promises of later tests back.
    """
    made = CollectorProcess(
        {"KAFKA_BOOTSTRAP_SERVERS": world.servers},
        tmp_path / "collector",
        {"CONTRACTS_DIR": str(world.contracts), "COLLECTOR_RECEIPT_SECONDS": "3600"},
    )
    key = "key-" + uuid.uuid4().hex * 2
    KeyFile(made.keys_file).create(TENANT, KeyKind.SERVER, secret=key)
    made.http.headers["Authorization"] = f"Bearer {key}"
    yield made
    if made.process is None or made.process.poll() is not None:
        made.start(COLLECTOR_RECEIPT_SECONDS="0.5")
    ids = [line["collector_id"] for line in made.logged() if line["event"] == "collecting"]
    closed = "select 1 from ledger.collectors where collector_id = any(%s) and closed"
    world.wait_for("dead ones are settled", lambda: len(world.ledger(closed, ids)) >= len(ids) - 1)
    assert made.stop() == 0
    made.http.close()
    world.wait_for("all are closed", lambda: len(world.ledger(closed, ids)) == len(ids))


def balanced(stack: Any, world: World) -> dict[str, dict[str, int]]:
    """The numbers of the books by type, after a reconciliation."""
    own = stack.own("books")
    settings = BooksSettings(**{n: own[n.upper()] for n in BooksSettings.model_fields if n.upper() in own})
    assert reconcile([*Registry.load(world.contracts)], settings).failed == {}
    names = ("acknowledged", "landed", "unlanded", "rejected", "rejected_unlanded", "foreign", "minted")
    rows = world.ledger(
        f"select type, {', '.join(f'sum({n})::int' for n in names)} from ledger.books".replace("foreign", '"foreign"')
        + " where tenant = %s and type = any(%s) group by type",
        TENANT,
        [world.type, ""],
    )
    return {row[0]: {name: n for name, n in zip(names, row[1:], strict=True) if n} for row in rows}


def test_what_a_killed_collector_took_is_acknowledged_by_its_counters(
    stack: Any, world: World, collector: CollectorProcess
) -> None:
    world.start()
    collector.start()
    first = next(line["collector_id"] for line in collector.logged() if line["event"] == "collecting")
    world.wait_for("it is known", lambda: told(world, first) is not None)
    data = {"region": "DE", "page_name": f"/{uuid.uuid4()}"}
    good = [{"event_type": world.type, "data": data} for _ in range(5)]
    answer = collector.send(*good, {"event_type": world.type, "data": {"region": 1}}, {"event_type": "nothing"})
    assert (answer.json()["accepted"], answer.json()["rejected"]) == (5, 2)
    wrong = {"Authorization": "Bearer nobody", "X-Forwarded-For": "192.0.2.1"}
    assert collector.send(*good, headers=wrong).status_code == 401
    collector.kill()
    world.wait_for("they land", lambda: len(world.landed()) == 5)
    world.wait_for("the rejections land", lambda: len(rejected(world, first)) == 2)
    before = balanced(stack, world)
    assert told(world, first) == 0, "it was killed before it said so"
    assert before[world.type] == {"landed": 5, "foreign": 6}, "nobody acknowledged them yet, which is shown, not hidden"

    collector.start(COLLECTOR_RECEIPT_SECONDS="0.5")
    world.wait_for("its successor tells what its counters say", lambda: told(world, first) == 7, 60)
    after = balanced(stack, world)
    assert after == {world.type: {"acknowledged": 5, "landed": 5, "minted": 5, "rejected": 1}, "": {"rejected": 1}}
    # Refused as a whole, the request of nobody is booked as one; it has no number, and nothing of it is to land.
    of_nobody = world.ledger("select rejected, rejected_unlanded from ledger.books where tenant = '' and rejected > 0")
    assert of_nobody
    assert {unlanded for _, unlanded in of_nobody} == {0}


def told(world: World, collector_id: str) -> int | None:
    rows = world.ledger("select acknowledged from ledger.collectors where collector_id = %s", collector_id)
    return rows[0][0] if rows else None


def rejected(world: World, collector_id: str) -> list[Any]:
    if not world.catalog.table_exists("quality.rejected_events"):
        return []
    table = world.catalog.load_table("quality.rejected_events")
    rows = table.scan(f"collector_id = '{collector_id}'", selected_fields=("reject_id",)).to_arrow()
    return list(rows["reject_id"].to_pylist())
