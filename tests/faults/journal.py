"""The journal: what a sender sent and what it was told, on disk before it goes on, outside every server under test.

A line before each request (``S first count occurred_at``, ``R`` when it is sent again) and one after its answer
(``A first kind why``). A request without a second line has no answer that anybody got: the sender was killed, or the
connection broke.
"""

import os
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import IntEnum
from pathlib import Path


class Answer(IntEnum):
    """What a sender knows of a request. A batch is answered as a whole, though not all of its events alike."""

    UNKNOWN = 1
    """No answer, or one that promises nothing (5xx): each event may be kept, once, or not."""
    TAKEN = 2
    """2xx: the good ones must land and count, the bad ones land as rejected."""
    REFUSED = 3
    """4xx of the whole: nothing was kept, so it must be nowhere."""


@dataclass
class Sending:
    """One request: a batch from number ``first`` on. ``again``: it was sent before, and what has no id is left out."""

    first: int
    count: int
    occurred_at: datetime
    again: bool = False
    answer: Answer = Answer.UNKNOWN


@dataclass
class Known:
    """What the journal says."""

    sendings: list[Sending] = field(default_factory=list)
    why: dict[str, int] = field(default_factory=dict)
    """How many requests were not answered with 2xx, by what was said instead."""

    @property
    def sent(self) -> int:
        """How many events were sent, however often."""
        return sum(sending.count for sending in self.sendings if not sending.again)

    @property
    def end(self) -> int:
        """All numbers are below this."""
        return max((sending.first + sending.count for sending in self.sendings), default=0)


class Journal:
    """The file of one load, open for writing; safe to use from several threads."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._mutex = threading.Lock()
        self._file = path.open("ab", buffering=0)

    def sending(self, first: int, count: int, occurred_at: datetime, *, again: bool = False) -> None:
        """Before a request. Of one batch there is one at a time."""
        self._write(f"{'R' if again else 'S'} {first} {count} {round(occurred_at.timestamp() * 1000)}\n")

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
    last: dict[int, Sending] = {}
    for line in path.read_bytes().split(b"\n")[:-1]:
        kind, first_, rest = line.decode().split(" ", 2)
        first = int(first_)
        if kind == "A":
            answer, _, why = rest.partition(" ")
            last[first].answer = Answer(int(answer))
            if last[first].answer is not Answer.TAKEN:
                known.why[why] = known.why.get(why, 0) + 1
        else:
            count, at_ms = map(int, rest.split())
            last[first] = Sending(first, count, datetime.fromtimestamp(at_ms / 1000, UTC), again=kind == "R")
            known.sendings.append(last[first])
    return known
