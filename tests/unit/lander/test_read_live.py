"""What is read of a pipe when there is nothing, and when the end was asked for."""

import os
from collections.abc import Iterator
from typing import IO

import pytest

from collector.read_live import Stop, live_lines

Pipe = tuple[IO[bytes], int]


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as stream:
        yield stream, writing
    os.close(writing)


def test_a_pipe_that_is_silent_gives_nothing_and_goes_on(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("collector.read_live.TICK_S", 0.0)
    stream, writing = pipe
    lines = live_lines(stream, Stop())
    assert (next(lines), next(lines)) == (None, None)
    os.write(writing, b"one\r\ntwo")
    assert (next(lines), next(lines)) == (b"one", None)
    os.write(writing, b" and a half\n")
    assert (next(lines), next(lines)) == (b"two and a half", None)


def test_who_is_told_to_stop_reads_what_the_pipe_holds_and_waits_for_no_more(pipe: Pipe) -> None:
    stream, writing = pipe
    stop = Stop()
    lines = live_lines(stream, stop)
    os.write(writing, b"one\ntwo\n")
    assert next(lines) == b"one"
    stop.told = True
    os.write(writing, b"three\nfour")
    assert list(lines) == [b"two", b"three", b"four"]


def test_who_is_told_to_stop_does_though_more_comes_all_the_time(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("collector.read_live.CHUNK", 2)
    stream, writing = pipe
    stop = Stop()
    lines = live_lines(stream, stop)
    os.write(writing, b"x\n")
    read = [next(lines)]
    stop.told = True
    for line in lines:
        read.append(line)
        os.write(writing, b"x\n")
        assert len(read) < 100
    assert set(read) == {b"x"}


def test_a_silent_pipe_ends_when_told(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("collector.read_live.TICK_S", 0.0)
    stop = Stop()
    lines = live_lines(pipe[0], stop)
    assert next(lines) is None
    stop.told = True
    assert list(lines) == []
    assert stop.wait(1e9)
