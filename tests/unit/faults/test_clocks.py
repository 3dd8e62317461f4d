"""A process's clock is set while it works, and only that process's, and only the clock that can be set."""

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from stack.settings import StackSettings
from tests.faults.clocks import ROOMS, Clocks, why_not

TELLS = """\
import sys, time
for _ in sys.stdin:
    print(time.time(), time.monotonic(), flush=True)
"""
WAITS = """\
from confluent_kafka import Consumer
Consumer({"bootstrap.servers": "", "group.id": "nobody"}).poll(0.5)
"""


def test_a_clock_jumps_under_a_process_that_works(tmp_path: Path) -> None:
    if reason := why_not():
        pytest.skip(reason)
    clocks = Clocks(StackSettings(watershed_state=tmp_path))
    argv = [sys.executable, "-c", TELLS]
    with (
        subprocess.Popen(
            argv, env={**os.environ, **clocks.own("load", {})}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as set_,
        subprocess.Popen(
            argv,
            env={**os.environ, **clocks.own("books", {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as other,
    ):

        def differ() -> tuple[int, int]:
            (a, a_on), (b, b_on) = _tells(set_), _tells(other)
            return round((a - b) / 60), round((a_on - b_on) / 60)

        assert differ() == (0, 0)
        clocks.set("load", timedelta(hours=1))
        assert differ() == (60, 0)
        clocks.set("load", -timedelta(hours=1))
        assert differ() == (-60, 0)
        clocks.set("load", timedelta())
        assert differ() == (0, 0)


def test_who_waits_through_librdkafka_waits_as_long_as_it_said(tmp_path: Path) -> None:
    """A wait that libfaketime does not know of would be an hour longer."""
    if reason := why_not():
        pytest.skip(reason)
    clocks = Clocks(StackSettings(watershed_state=tmp_path))
    clocks.set("load", timedelta(hours=1))
    env = {**os.environ, **clocks.own("load", {})}
    subprocess.run([sys.executable, "-c", WAITS], env=env, check=True, timeout=30)


def test_who_has_no_clock_of_its_own_is_told_of_none(tmp_path: Path) -> None:
    if reason := why_not():
        pytest.skip(reason)
    clocks = Clocks(StackSettings(watershed_state=tmp_path))
    assert clocks.own("books", {"A": "b"}) == {"A": "b"}
    assert "books" not in ROOMS


def _tells(process: "subprocess.Popen[str]") -> tuple[float, float]:
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write("\n")
    process.stdin.flush()
    now, on = process.stdout.readline().split()
    return float(now), float(on)
