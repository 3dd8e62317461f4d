"""A broker is not started on a full disk, where it would empty its own logs."""

from pathlib import Path

import pytest

from stack import secrets
from stack.servers import kafka_broker
from stack.servers.with_room import EVERY, wait_for_room
from stack.settings import StackSettings


def test_it_is_waited_for_until_there_is_room_and_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    free, slept = iter([0, (64 << 20) - 1, 64 << 20]), []
    wait_for_room(Path("/disk"), 64, lambda path: next(free), slept.append)
    assert slept == [EVERY, EVERY]
    assert capsys.readouterr().err.count("/disk") == 1


def test_the_broker_is_started_by_who_waits(tmp_path: Path) -> None:
    settings = StackSettings(watershed_state=tmp_path)
    words = list(map(str, kafka_broker.program(settings, secrets.load(tmp_path / "secrets.json")).argv))
    assert "stack.servers.with_room" in words
    assert words.index(str(settings.data / "kafka")) < words.index("java")
