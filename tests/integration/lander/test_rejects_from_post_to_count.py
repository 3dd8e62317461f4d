"""Events that are known to be bad, posted to a real collector and landed by a real lander, are counted by reason."""

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from collector.keys import KeyFile, KeyKind
from contracts.registry import Registry
from spark_jobs.load_rejects import load_rejects
from spark_jobs.settings import LoadSettings
from tests.integration.collector.harness import CollectorProcess, view
from tests.integration.lander.world import World

TENANT = f"rejects-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def collector(stack: Any, tmp_path: Path) -> Iterator[CollectorProcess]:
    folder = tmp_path / "collector"
    folder.mkdir()
    made = CollectorProcess(stack.own("collector"), folder)
    key = "key-" + uuid.uuid4().hex * 2
    KeyFile(made.keys_file).create(TENANT, KeyKind.SERVER, secret=key)
    made.http.headers["Authorization"] = f"Bearer {key}"
    made.start()
    yield made
    if made.process is not None and made.process.poll() is None:
        made.kill()
    made.http.close()


def count(stack: Any) -> None:
    own = stack.own("load")
    given = {name: own[name.upper()] for name in LoadSettings.model_fields if name.upper() in own}
    load_rejects(Registry.load(), LoadSettings(**given))


def counted(world: World) -> dict[tuple[str, str, str], tuple[int, int]]:
    rows = world.ledger(
        """
        select event_type, reason, field, sum(rejected)::int, sum(named)::int from marts.rejects_hourly
        where tenant = %s group by event_type, reason, field
        """,
        TENANT,
    )
    return {(event_type, reason, field): (rejected, named) for event_type, reason, field, rejected, named in rows}


def test_bad_events_are_counted_by_type_reason_and_field(stack: Any, world: World, collector: CollectorProcess) -> None:
    unknown_field = [view(n, **{f"jane-{n}@example.com": 1}) for n in (1, 2)]
    two_wrongs = view(3, region="nowhere", page_name=5)
    unknown_type = view(4) | {"event_type": "page_vieww"}
    answer = collector.send(view(5), *unknown_field, two_wrongs, unknown_type)
    assert answer.json()["accepted"] == 1
    assert answer.json()["rejected"] == 4
    assert collector.http.post(f"{collector.url}/events", content=b'{"event_id": ').status_code == 400
    reasons = [r for result in answer.json()["results"] if result["index"] == 3 for r in result["reasons"]]
    assert collector.stop() == 0
    world.start()
    world.wait_for("the rejections have landed", lambda: len(_landed(world)) == 5)
    count(stack)
    found = counted(world)
    assert found["page_view", "additionalProperties", "/data/(unknown)"] == (2, 2)
    assert found["(unknown)", "enum", "/event_type"] == (1, 1)
    of_the_two = {key: n for key, n in found.items() if key[0] == "page_view" and key[1] != "additionalProperties"}
    assert of_the_two.keys() == {("page_view", r["keyword"], r["pointer"]) for r in reasons}
    assert {field for _, _, field in of_the_two} == {"/data/region", "/data/page_name"}
    assert sum(rejected for rejected, _ in of_the_two.values()) == 1, "one event, for its first reason"
    assert {named for _, named in of_the_two.values()} == {1}
    assert sum(rejected for rejected, _ in found.values()) == 5
    assert "jane" not in str(found)
    count(stack)
    assert counted(world) == found


def _landed(world: World) -> list[uuid.UUID]:
    if not world.catalog.table_exists("quality.rejected_events"):
        return []
    table = world.catalog.load_table("quality.rejected_events")
    rows = table.scan(f"tenant = '{TENANT}'", selected_fields=("reject_id",)).to_arrow()
    return [uuid.UUID(value) for value in rows["reject_id"].to_pylist()]
