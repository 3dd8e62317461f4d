"""A collector that is started on a full disk waits for room, and does not end: its next try would come late."""

import asyncio
from pathlib import Path
from unittest.mock import Mock

import pytest

from collector import room, serve
from collector.room import EVERY, NEEDED, free, wait_for_room
from collector.settings import CollectorSettings


def test_it_is_waited_for_until_there_is_room_and_said_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found, slept = iter([0, NEEDED - 1, NEEDED]), []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    said = Mock()
    monkeypatch.setattr(room, "_log", said)
    asyncio.run(wait_for_room(tmp_path / "state", lambda _folder: next(found), sleep))
    assert slept == [EVERY, EVERY]
    assert (said.error.call_count, said.info.call_count) == (1, 1)
    assert (tmp_path / "state").is_dir()


def test_where_there_is_room_nothing_is_waited_for(tmp_path: Path) -> None:
    assert free(tmp_path) > NEEDED, "or these tests have no disk themselves"

    async def sleep(_seconds: float) -> None:
        raise AssertionError("it waits")

    asyncio.run(wait_for_room(tmp_path, sleep=sleep))


def test_no_counters_are_begun_before_there_is_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []

    async def waited(folder: Path) -> None:
        done.append(f"room in {folder}")

    def begun(*_given: object) -> None:
        raise OSError(*done)

    monkeypatch.setattr(serve, "wait_for_room", waited)
    monkeypatch.setattr(serve.ReceiptBook, "create", begun)
    settings = CollectorSettings(kafka_bootstrap_servers="127.0.0.1:1", collector_state_dir=tmp_path)
    with pytest.raises(OSError, match=f"room in {tmp_path}"):
        asyncio.run(serve.serve(settings))
