"""The lines of a pipe as they come, until it ends or somebody asks for the end."""

import io
import select
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import IO

from collector.import_access_log import read_lines
from collector.import_rows import GZIP

TICK_S = 1.0
"""Seconds after which one who waits looks up."""
CHUNK = 65_536
"""Bytes of a pipe read at once; more than a reader's own buffer, in which nothing may stay unseen."""
LAST_CHUNKS = 16
"""What is still read of a pipe when the end was asked for: as much as a pipe holds."""


class Stop:
    """Whether the end was asked for."""

    def __init__(self) -> None:
        self.told = False

    def wait(self, seconds: float) -> bool:
        """Sleep, but not on when the end is asked for; whether it was."""
        until = time.monotonic() + seconds
        while not self.told and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, TICK_S))
        return self.told


@contextmanager
def told_to_stop() -> Iterator[Stop]:
    """Take the first SIGTERM or SIGINT for a request; a second one does what it always does."""
    stop = Stop()

    def tell(_number: int, _frame: FrameType | None) -> None:
        stop.told = True
        restore()

    def restore() -> None:
        for number, before in found.items():
            signal.signal(number, before)

    found = {number: signal.signal(number, tell) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop
    finally:
        restore()


def live_lines(stream: IO[bytes], stop: Stop) -> Iterator[bytes | None]:
    """The lines of a plain or gzip stream, without their line breaks; None when none has come for a moment.

    When the end is asked for, what a plain pipe holds just then comes first.
    """
    if not isinstance(stream, io.BufferedReader) or stream.seekable():
        yield from _until(stop, read_lines(stream))  # all of it is there: nobody waits for more
        return
    while not _ready(stream, TICK_S):
        if stop.told:
            return
        yield None
    if stream.peek(2)[:2] == GZIP:
        yield from _until(stop, read_lines(stream))
        return
    rest = b""
    for chunk in _chunks(stream, stop):
        if chunk is None:
            yield None
            continue
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield line.rstrip(b"\r")
    if rest:
        yield rest


def _chunks(stream: io.BufferedReader, stop: Stop) -> Iterator[bytes | None]:
    left = LAST_CHUNKS
    while left and (chunk := stream.read1(CHUNK)):  # the first is there: it was looked at
        yield chunk
        while not _ready(stream, 0 if stop.told else TICK_S):
            if stop.told:
                return
            yield None
        left -= stop.told


def _ready(stream: io.BufferedReader, seconds: float) -> bool:
    return bool(select.select([stream], [], [], seconds)[0])


def _until(stop: Stop, lines: Iterator[bytes]) -> Iterator[bytes]:
    for line in lines:
        yield line
        if stop.told:
            return
