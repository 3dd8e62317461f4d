"""The collector's own word on what it took: counters in a memory-mapped file that outlive a ``kill -9``.

Layout, little-endian 64-bit words: a header of 512 words (magic, collector_id, started, assigned, acknowledged, closed,
number of voids, number of cells, the flight that is being settled and ``acknowledged`` after it);
:data:`FLIGHTS` pairs (first sequence, count) of requests at work, 0 when free; :data:`VOIDS` pairs (from, to);
:data:`CELLS` cells of 32 words (tenant, type, received hour, three counters, the same three as last published, and the
flight that last raised them with the three after it). A word is stored by one machine instruction, so a kill leaves old
or new, never half.

The order of the stores is the contract: ``assigned`` is raised and the flight noted before a message goes out;
cells, voids and ``acknowledged`` are raised before the answer; the flight is freed last. What all of them will be is
written down first, and one store says that it holds: a kill in between leaves a request that is in doubt and not
counted, or counted and not in doubt once the file is opened again, and never both, which would be a loss that is none.
What a killed process had in flight is therefore known exactly: ``in_doubt``, never answered, perhaps in Kafka. A lost
machine (not only a lost process) may set the counters back to the last published receipt, since pages are written out
only then.
"""

import fcntl
import mmap
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from collector.ranges import Ranges, united

MAGIC = int.from_bytes(b"WSRCPT01", "little")
HEADER_WORDS = 512
FLIGHTS, VOIDS, CELLS, CELL_WORDS = 4096, 65_536, 16_384, 32
NAME_BYTES = 64
"""Most bytes of a tenant's or a type's name in a cell."""
_ID, _STARTED, _ASSIGNED, _ACKNOWLEDGED, _CLOSED, _N_VOIDS, _N_CELLS, _SETTLING, _AFTER = 1, 3, 4, 5, 6, 7, 8, 9, 10
_FLIGHT_AT = HEADER_WORDS
_VOID_AT = _FLIGHT_AT + 2 * FLIGHTS
_CELL_AT = _VOID_AT + 2 * VOIDS
SIZE = 8 * (_CELL_AT + CELLS * CELL_WORDS)
_HOUR_US = 3_600_000_000
_TENANT, _TYPE, _HOUR, _COUNTS, _PUBLISHED, _RAISED_BY, _RAISED = 0, 8, 16, 17, 20, 23, 24
SUFFIX = ".receipts"

CellKey = tuple[str, str, int]
"""Tenant, event type (each empty where it is not known), received hour (microseconds since 1970)."""
Published = list[tuple[int, int, int, int]]
"""Cells as a receipt showed them: position, accepted, rejected, minted."""


class ReceiptsFull(Exception):
    """There is no room left for another void or cell: the collector must be restarted, which starts a new file."""


class ReceiptsDamaged(Exception):
    """The file is no file of counters, or one cut short."""


class ReceiptBook:
    """The counters of one process, its own or, after a kill, a predecessor's. Not thread-safe."""

    def __init__(self, path: Path, handle: int) -> None:
        self.path = path
        self._handle = handle
        self._map = mmap.mmap(handle, SIZE)
        self._words = memoryview(self._map).cast("Q")
        words = self._words
        if words[0] != MAGIC:
            raise ReceiptsDamaged(f"{path}: not a file of receipts")
        self.collector_id = self._map[8 * _ID : 8 * _ID + 16].decode()
        self._finish_settling()
        self._assigned: int = words[_ASSIGNED]
        self._acknowledged: int = words[_ACKNOWLEDGED]
        self._free = [slot for slot in range(FLIGHTS) if words[_FLIGHT_AT + 2 * slot + 1] == 0]
        self._cells: dict[CellKey, int] = {}
        self._spare: list[int] = []
        for position in range(words[_N_CELLS]):
            self._cells[self._key(position)] = position

    @classmethod
    def create(cls, folder: Path, collector_id: str, started_us: int) -> Self:
        """Make and lock the file of a new process. ``collector_id``: 16 hexadecimal digits.

        :raises OSError: there is no room for it; nothing is left of it.
        """
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{collector_id}{SUFFIX}"
        draft = folder / f".{collector_id}.new"
        handle = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        head = MAGIC.to_bytes(8, "little") + collector_id.encode("ascii") + started_us.to_bytes(8, "little")
        try:
            # Every byte, now: a page without room on the disk kills with SIGBUS whoever first writes to it in memory.
            with os.fdopen(handle, "wb", closefd=False) as file:
                file.write(head.ljust(SIZE, b"\0"))
        except OSError:
            os.close(handle)
            draft.unlink()
            raise
        draft.rename(path)
        return cls(path, handle)

    @classmethod
    def orphans(cls, folder: Path, damaged: Callable[[Path, Exception], None]) -> Iterator[Self]:
        """The files whose owner is dead, each locked for us; ``damaged`` is told of those that cannot be read."""
        for path in sorted(folder.glob(f"*{SUFFIX}")):
            try:
                handle = os.open(path, os.O_RDWR)
            except FileNotFoundError:
                continue  # another process settled it meanwhile
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(handle)
                continue
            try:
                if os.fstat(handle).st_nlink == 0:
                    os.close(handle)
                    continue
                book = cls(path, handle)
            except (ReceiptsDamaged, ValueError) as error:
                os.close(handle)
                damaged(path, error)
                continue
            yield book

    @property
    def assigned(self) -> int:
        """Sequences 1 to this were handed out."""
        return self._assigned

    @property
    def acknowledged(self) -> int:
        """So many events were answered with a verdict, accepted or rejected."""
        return self._acknowledged

    def begin(self, count: int) -> tuple[int, int] | None:
        """Hand out ``count`` sequences: the flight's slot and the first of them; None when too many are in flight."""
        if not self._free:
            return None
        slot, words = self._free.pop(), self._words
        first = self._assigned + 1
        at = _FLIGHT_AT + 2 * slot
        words[at] = first
        words[at + 1] = count
        self._assigned += count
        words[_ASSIGNED] = self._assigned
        return slot, first

    def settle(self, slot: int, counts: Mapping[CellKey, tuple[int, int, int]], lost: Iterable[int] = ()) -> None:
        """Book a flight's outcome: per cell (accepted, rejected, minted), and the sequences nothing durable took.

        :raises ReceiptsFull: the flight stays in doubt.
        """
        words = self._words
        positions = [(self._position(key), count) for key, count in counts.items()]
        for sequence in lost:
            self._void(sequence)
        first, total = words[_FLIGHT_AT + 2 * slot], 0
        for position, (accepted, rejected, minted) in positions:
            at = _CELL_AT + position * CELL_WORDS
            words[at + _RAISED] = words[at + _COUNTS] + accepted
            words[at + _RAISED + 1] = words[at + _COUNTS + 1] + rejected
            words[at + _RAISED + 2] = words[at + _COUNTS + 2] + minted
            words[at + _RAISED_BY] = first
            total += accepted + rejected
        self._acknowledged += total
        words[_AFTER] = self._acknowledged
        words[_SETTLING] = first  # from here on it is counted, whatever happens to this process
        for position, _ in positions:
            self._raise(position)
        words[_ACKNOWLEDGED] = self._acknowledged
        words[_FLIGHT_AT + 2 * slot + 1] = 0
        words[_SETTLING] = 0
        self._free.append(slot)

    def refuse(self, hour: int) -> None:
        """Count a request that was refused whole, before there was an event: of no tenant, no type, and no sequence.

        :raises ReceiptsFull: it is not counted.
        """
        self._words[_CELL_AT + self._position(("", "", hour)) * CELL_WORDS + _COUNTS + 1] += 1

    def snapshot(self, now_us: int, durable_through_us: int, *, closed: bool) -> tuple[dict[str, Any], Published]:
        """A receipt (the value of a ``collector_receipts`` message) and what of it to confirm once Kafka has it.

        Its cells are those that changed since the last confirmed receipt, and those of this hour and the one before;
        counters only rise, so the greatest value of a cell among all receipts is its newest.
        """
        words, shown, cells = self._words, Published(), []
        recent = now_us // _HOUR_US * _HOUR_US - _HOUR_US
        for (tenant, type_, hour), position in self._cells.items():
            at = _CELL_AT + position * CELL_WORDS
            counts = words[at + _COUNTS], words[at + _COUNTS + 1], words[at + _COUNTS + 2]
            if hour < recent and counts == tuple(words[at + _PUBLISHED : at + _PUBLISHED + 3]):
                continue
            shown.append((position, *counts))
            cells.append(
                {
                    "tenant": tenant,
                    "event_type": type_ or None,
                    "received_hour": rfc3339(hour),
                    "accepted": counts[0],
                    "rejected": counts[1],
                    "minted": counts[2],
                }
            )
        receipt = {
            "collector_id": self.collector_id,
            "assigned": self._assigned,
            "acknowledged": self._acknowledged,
            "void": self.voids(),
            "in_doubt": self.in_flight(),
            "cells": cells,
            "durable_through": rfc3339(durable_through_us),
            "closed": closed,
            "at": rfc3339(now_us),
        }
        return receipt, shown

    def confirm(self, shown: Published) -> None:
        """Kafka has the receipt that showed these cells."""
        for position, *counts in shown:
            at = _CELL_AT + position * CELL_WORDS + _PUBLISHED
            for offset, count in enumerate(counts):
                self._words[at + offset] = count

    def voids(self) -> Ranges:
        """Ranges of sequences that were never acknowledged, sorted; their messages may still have reached Kafka."""
        starts = range(_VOID_AT, _VOID_AT + 2 * self._words[_N_VOIDS], 2)
        return united((self._words[at], self._words[at + 1]) for at in starts)

    def in_flight(self) -> Ranges:
        """Ranges of sequences that have no answer yet; of a dead process, the ones that never got one."""
        pairs = []
        for slot in range(FLIGHTS):
            first, count = self._words[_FLIGHT_AT + 2 * slot], self._words[_FLIGHT_AT + 2 * slot + 1]
            if count:
                pairs.append((first, first + count - 1))
        return united(pairs)

    def flush(self) -> None:
        """Write the pages out, so that a lost machine keeps them too (blocks for the disk)."""
        self._map.flush()

    def close(self, *, remove: bool) -> None:
        """Let go of the file; ``remove`` it once its closing receipt is confirmed."""
        self._words.release()
        self._map.close()
        if remove:
            self.path.unlink(missing_ok=True)
        os.close(self._handle)

    def _raise(self, position: int) -> None:
        words, at = self._words, _CELL_AT + position * CELL_WORDS
        for n in range(3):
            words[at + _COUNTS + n] = words[at + _RAISED + n]

    def _finish_settling(self) -> None:
        """Do to its end what the process was at when it was killed: a flight that holds is counted and freed."""
        words = self._words
        first = words[_SETTLING]
        if not first:
            return
        for position in range(words[_N_CELLS]):
            if words[_CELL_AT + position * CELL_WORDS + _RAISED_BY] == first:
                self._raise(position)
        words[_ACKNOWLEDGED] = words[_AFTER]
        for at in range(_FLIGHT_AT, _FLIGHT_AT + 2 * FLIGHTS, 2):
            if words[at] == first:
                words[at + 1] = 0
        words[_SETTLING] = 0

    def _void(self, sequence: int) -> None:
        words = self._words
        count = words[_N_VOIDS]
        if count and words[_VOID_AT + 2 * count - 1] == sequence - 1:
            words[_VOID_AT + 2 * count - 1] = sequence
            return
        if count == VOIDS:
            raise ReceiptsFull(f"{VOIDS} ranges of void sequences")
        at = _VOID_AT + 2 * count
        words[at], words[at + 1] = sequence, sequence
        words[_N_VOIDS] = count + 1

    def _position(self, key: CellKey) -> int:
        position = self._cells.get(key)
        return self._add(key) if position is None else position

    def _add(self, key: CellKey) -> int:
        tenant, type_, hour = key
        names = [name.encode() for name in (tenant, type_)]
        if max(map(len, names)) > NAME_BYTES:
            raise ValueError(f"a name over {NAME_BYTES} bytes: {key}")
        words, count = self._words, self._words[_N_CELLS]
        if count == CELLS and not self._spare:
            self._retire(hour)
        position = self._spare.pop() if self._spare else count
        at = 8 * (_CELL_AT + position * CELL_WORDS)
        self._map[at : at + 8 * CELL_WORDS] = b"".join(name.ljust(NAME_BYTES, b"\0") for name in names).ljust(
            8 * CELL_WORDS, b"\0"
        )
        words[at // 8 + _HOUR] = hour
        if position == count:
            words[_N_CELLS] = count + 1
        self._cells[key] = position
        return position

    def _retire(self, hour: int) -> None:
        """Make room: forget cells of hours past that Kafka has as they are."""
        for key, position in list(self._cells.items()):
            at = _CELL_AT + position * CELL_WORDS
            counts, published = (list(self._words[at + n : at + n + 3]) for n in (_COUNTS, _PUBLISHED))
            if key[2] < hour - _HOUR_US and counts == published:
                del self._cells[key]
                self._spare.append(position)
        if not self._spare:
            raise ReceiptsFull(f"{CELLS} cells, none of them old and published")

    def _key(self, position: int) -> CellKey:
        at = 8 * (_CELL_AT + position * CELL_WORDS)
        tenant, type_ = (
            self._map[start : start + NAME_BYTES].rstrip(b"\0").decode() for start in (at, at + NAME_BYTES)
        )
        return tenant, type_, self._words[at // 8 + _HOUR]


def hour_of(received_us: int) -> int:
    """The hour of receipt, in microseconds since 1970."""
    return received_us - received_us % _HOUR_US


def rfc3339(us: int) -> str:
    """Microseconds since 1970 as RFC 3339 in UTC with six digits and ``Z``."""
    seconds, fraction = divmod(us, 1_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC).isoformat()[:19]}.{fraction:06d}Z"
