"""``watershed stack …`` as typed: it remembers what it was told, and an interrupted or second ``up`` says so."""

import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from stack.lifecycle import Stack
from stack.programs import StackError
from stack.rooms import WATERSHED
from stack.settings import REPO

ONLY = ("--only", "postgres-roles", "--only", "redis")


def silent(_part: str, _what: str) -> None:
    pass


def environment(stack: Stack, **more: object) -> dict[str, str]:
    """What a shell passes on: which stack is meant, and what is set for this command alone."""
    own = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    given = {name.upper(): str(value) for name, value in more.items()}
    return {**own, **given, "PYTHONPATH": str(REPO), "WATERSHED_STATE": str(stack.settings.watershed_state)}


def watershed(stack: Stack, *words: str, **more: object) -> subprocess.CompletedProcess[str]:
    argv = [WATERSHED, "stack", *words]
    return subprocess.run(argv, env=environment(stack, **more), capture_output=True, text=True, check=False)


@contextmanager
def coming_up(stack: Stack) -> Iterator["subprocess.Popen[str]"]:
    """An ``up`` as typed into a terminal, that has told of Redis and is still about Postgres's first start."""
    env = environment(stack, port_offset=stack.settings.port_offset, disk_needed_mb=10)
    argv = [WATERSHED, "stack", "up", *ONLY]
    with subprocess.Popen(
        argv, env=env, text=True, start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert next((line for line in process.stdout if "redis" in line), None), process.stderr
        yield process


def test_what_up_was_told_later_commands_need_not_be(small: Callable[[], Stack]) -> None:
    stack = small()
    stack.down(silent)
    offset, port = stack.settings.port_offset, stack.settings.port("redis") + 50 - stack.settings.port_offset
    up = watershed(stack, "up", *ONLY, port_offset=offset, redis_port=port, disk_needed_mb=10)
    assert up.returncode == 0, up.stderr
    assert f"PORT_OFFSET={offset} REDIS_PORT={port} DISK_NEEDED_MB=10 (kept for later commands)" in up.stdout
    status = watershed(stack, "status", "--json").stdout
    assert re.findall(r'"name": "(\w+)", "state": "RUNNING".*?"reason": (\w+)', status) == [
        ("postgres", "null"),
        ("redis", "null"),
    ]
    other = watershed(stack, "up", *ONLY, redis_port=port + 1)
    assert (other.returncode, "started with" in other.stderr, "Traceback" in other.stderr) == (1, True, False)
    stack.down(silent)


def test_an_interrupted_up_says_what_is_left_and_down_stops_it(fresh: Callable[[], Stack]) -> None:
    stack = fresh()
    with coming_up(stack) as process:
        os.killpg(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors == (
        "stack: interrupted: what has started keeps running; `make up` starts the rest, `make down` stops it\n"
    )
    assert fresh().down(silent)
    assert stack.supervisor.strays() == []
    fresh().up(silent)
    assert [row.reason for row in fresh().status()] == [None, None]


def test_a_second_up_says_that_one_is_at_work(fresh: Callable[[], Stack]) -> None:
    with coming_up(fresh()) as process:
        with pytest.raises(
            StackError, match=rf"another up, down or reset of .* is at work \(pid {process.pid}\): wait"
        ):
            fresh().up(silent)
        _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")
