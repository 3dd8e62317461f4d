"""The journal: what a sender sent and what it was told, on disk before it goes on, outside every server under test.

A line before each request (``S first count occurred_at``) and one after its answer (``A first kind why``). A request
without a second line has no answer that anybody got: the sender was killed, or the connection broke.
"""

import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import IntEnum
from pathlib import Path


class Answer(IntEnum):
    """What a sender knows of an event."""

    NOT_SENT = 0
    UNKNOWN = 1
    """No answer, or one that promises nothing (5xx): it may be taken, once, or not."""
    TAKEN = 2
    """2xx: it must land and count, once."""
    REFUSED = 3
    """4xx: nothing was kept, so it must be nowhere."""


@dataclass
class Known:
    """What the journal says. ``answers[number]`` is an :class:`Answer`; ``minute_of`` has the minute by batch."""

    answers: bytearray = field(default_factory=bytearray)
    batches: list[tuple[int, int, datetime]] = field(default_factory=list)
    """First number, how many, and when they occurred."""
    why: dict[str, int] = field(default_factory=dict)
    """How many requests were not answered with 2xx, by what was said instead."""

    def count(self, answer: Answer) -> int:
        """How many events have this answer."""
        return self.answers.count(int(answer))

    @property
    def sent(self) -> int:
        """How many events were sent."""
        return len(self.answers) - self.count(Answer.NOT_SENT)

    def minutes(self) -> Iterator[tuple[int, datetime]]:
        """Each number that was sent, with the minute in which its event occurred."""
        for first, count, occurred_at in self.batches:
            minute = occurred_at.replace(second=0, microsecond=0)
            for number in range(first, first + count):
                yield number, minute


class Journal:
    """The file of one load, open for writing; safe to use from several threads."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._mutex = threading.Lock()
        self._file = path.open("ab", buffering=0)

    def sending(self, first: int, count: int, occurred_at: datetime) -> None:
        """Before a request."""
        self._write(f"S {first} {count} {round(occurred_at.timestamp() * 1000)}\n")

    def answered(self, first: int, answer: Answer, why: str = "") -> None:
        """After it."""
        self._write(f"A {first} {int(answer)} {why.replace(chr(10), ' ')[:200]}\n")

    def close(self) -> None:
        """Nothing more will be written."""
        self._file.close()

    def _write(self, line: str) -> None:
        with self._mutex:
            self._file.write(line.encode())
            os.fdatasync(self._file.fileno())


def read(path: Path) -> Known:
    """What the journal says; a last line that was cut short by a kill says nothing."""
    known = Known()
    sizes: dict[int, int] = {}
    for line in path.read_bytes().split(b"\n")[:-1]:
        kind, first_, rest = line.decode().split(" ", 2)
        first = int(first_)
        if kind == "S":
            count, at_ms = map(int, rest.split())
            sizes[first] = count
            known.answers.extend(bytes(max(0, first + count - len(known.answers))))
            known.answers[first : first + count] = bytes([Answer.UNKNOWN]) * count
            known.batches.append((first, count, datetime.fromtimestamp(at_ms / 1000, UTC)))
        else:
            answer, _, why = rest.partition(" ")
            known.answers[first : first + sizes[first]] = bytes([int(answer)]) * sizes[first]
            if int(answer) != Answer.TAKEN:
                known.why[why] = known.why.get(why, 0) + 1
    return known
