"""What stands in a stack's way is said with the way out, and what does not is no obstacle."""

import re
import socket
from collections.abc import Callable

import pytest

from stack.lifecycle import Stack
from stack.programs import StackError


def silent(_part: str, _what: str) -> None:
    pass


def test_a_port_in_use_is_named_with_its_holder_and_its_setting(fresh: Callable[[], Stack]) -> None:
    stack = fresh()
    port = stack.settings.port("redis")
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        with pytest.raises(StackError, match=rf"port {port} is in use by .*pid.*REDIS_PORT"):
            stack.up(silent)
    assert not (stack.settings.watershed_state / "env").exists(), "nothing runs at the endpoints it would name"


def test_a_half_initialised_data_folder_is_refused_with_the_way_out(fresh: Callable[[], Stack]) -> None:
    stack = fresh()
    (stack.settings.data / "postgres").mkdir(parents=True)
    with pytest.raises(StackError, match=r"not a whole Postgres data folder.*make reset"):
        stack.up(silent)


def test_what_an_interrupted_start_left_is_no_obstacle(fresh: Callable[[], Stack]) -> None:
    stack = fresh()
    draft = stack.settings.data / "postgres.new"
    draft.mkdir(parents=True)
    (draft / "half").write_text("written before the power went")
    stack.settings.run.mkdir(parents=True)
    (stack.settings.run / "supervisord.pid").write_text("1\n")
    stack.up(silent)
    assert not draft.exists()
    assert [row.reason for row in stack.status()] == [None, None]


def test_too_little_disk_is_said_before_anything_starts(fresh: Callable[[], Stack]) -> None:
    stack = fresh()
    starved = Stack(stack.settings.model_copy(update={"disk_needed_mb": 10**9}))
    with pytest.raises(StackError, match=r"MiB free.*DISK_NEEDED_MB"):
        starved.up(silent)
    assert not starved.supervisor.alive()


def test_reset_deletes_only_after_saying_what(fresh: Callable[[], Stack]) -> None:
    stack = fresh()
    stack.up(silent)
    doomed = stack.doomed()
    assert stack.settings.data in doomed
    assert {"settings.json", "secrets.json", "env"} <= {path.name for path in doomed}
    told: list[str] = []
    stack.reset(lambda _part, what: told.append(what))
    assert [re.sub("^deleted ", "", what) for what in told if what.startswith("deleted")] == [str(p) for p in doomed]
    assert stack.doomed() == []
    assert stack.supervisor.strays() == []
