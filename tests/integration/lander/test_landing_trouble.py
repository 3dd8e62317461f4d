"""What cannot land is set aside, waits, or stops its table: loudly, and never by losing anything."""

import json
from typing import Any


def test_poison_goes_to_the_rejects_first_and_the_partition_moves_on(world: Any) -> None:
    world.produce(10)
    bad = [b"\xffnot even text", b"{", json.dumps(world.message(event_type="unheard_of")).encode(), b'{"data": 1}']
    for value in bad:
        world.raw(value, partition=1)
    world.raw(None, partition=1)
    world.produce(10)
    lander = world.start()
    world.assert_landed_once()
    found = world.rejections()
    assert sorted((r["stage"], r["partition"], r["offset"]) for r in found) == [("lander", 1, 5 + n) for n in range(5)]
    by_offset = {r["offset"]: r for r in found}
    assert by_offset[5]["body_encoding"] == "base64"
    assert by_offset[6]["body"] == "{"
    assert by_offset[7]["sequence"] is not None, "its number is known, so the books can settle it"
    assert lander.metric("lander_poison_total", world.table) == 5


def test_poison_alone_moves_the_partition_on_too(world: Any) -> None:
    world.raw(b"rubbish")
    lander = world.start()
    world.wait_for("it moved on", lambda: lander.metric("lander_commits_total", world.table) == 1)
    world.produce(5)
    world.assert_landed_once()
    assert len(world.rejections()) == 1


def test_a_newer_version_pauses_the_topic_until_its_contract_is_there(world: Any) -> None:
    lander = world.start()
    world.produce(10)
    world.assert_landed_once()
    data = {"region": "DE", "page_name": "/", "colour": "red"}
    newer = world.message(schema_version=2, data=data)
    world.raw(json.dumps(newer).encode(), partition=0)
    world.wait_for("it says why", lambda: "newer" in (lander.reasons() or {}).get(world.table, ""))
    assert lander.metric("lander_paused", world.table) == 1
    assert len(world.landed()) == 10
    assert world.rejections() == [], "it is no poison"
    assert '"level": "error"' in lander.words()
    colour = {"type": "string", "maxLength": 20, "pattern": "^[a-z]+$", "description": "Its colour."}
    world.write_contract(version=2, colour=colour)
    world.sent.append((newer["collector_id"], newer["sequence"]))
    world.assert_landed_once()
    world.wait_for("it is ready again", lambda: lander.reasons() == {})
    rows = world.catalog.load_table(world.table).scan(selected_fields=("colour",)).to_arrow()
    assert rows["colour"].to_pylist().count("red") == 1


def test_a_contract_that_grows_in_place_grows_the_table_without_a_new_start(world: Any) -> None:
    lander = world.start()
    world.produce(5)
    world.assert_landed_once()
    colour = {"type": "string", "maxLength": 20, "pattern": "^[a-z]+$", "description": "Its colour."}
    world.write_contract(colour=colour)
    message = world.message(data={"region": "DE", "page_name": "/", "colour": "blue"})
    world.sent.append((message["collector_id"], message["sequence"]))
    world.raw(json.dumps(message).encode())
    world.assert_landed_once()
    assert world.rejections() == []
    rows = world.catalog.load_table(world.table).scan(selected_fields=("colour",)).to_arrow()
    assert rows["colour"].to_pylist().count("blue") == 1
    assert lander.metric("lander_trouble_total", world.table) == 0
    assert '"level": "error"' not in lander.words(), "the first commit after the growth was a good one"


def test_a_topic_made_anew_stops_its_table_until_someone_decides(world: Any, run_watershed: Any) -> None:
    lander = world.start()
    world.produce(10)
    world.assert_landed_once()
    world.delete_topic()
    world.make_topic()
    world.produce(30)  # more than there were: the old offsets exist again, and mean other messages
    world.wait_for("it is stopped", lambda: "stopped" in (lander.reasons() or {}).get(world.table, ""))
    assert lander.metric("lander_stopped", world.table) == 1
    assert len(world.landed()) == 10
    run_watershed(world, "lake", "adopt-topic", world.topic, "--yes")
    world.assert_landed_once()


def test_messages_deleted_before_they_landed_stop_the_table(world: Any) -> None:
    world.produce(10)
    lander = world.start()
    world.assert_landed_once()
    lander.kill()
    world.produce(10)
    world.delete_messages()
    lander = world.start()
    world.wait_for("it is stopped", lambda: "were deleted" in (lander.reasons() or {}).get(world.table, ""))
    assert len(world.landed()) == 10


def test_a_missing_topic_is_waited_for(world: Any) -> None:
    world.delete_topic()
    lander = world.start()
    world.wait_for("it says why", lambda: "does not exist" in (lander.reasons() or {}).get(world.table, ""))
    world.make_topic()
    world.produce(5)
    world.assert_landed_once()
