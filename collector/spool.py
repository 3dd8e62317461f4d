"""The spool: where events wait on disk while Kafka is away. One folder a process, taken over by the next one.

A folder holds segments, named after the ordinal of their first record, and ``cursor``, the ordinal before which
everything is in Kafka. Ordinals count records from 0 for the life of the folder.
"""

import fcntl
import os
import shutil
from collections import deque
from pathlib import Path

import msgspec

from collector.message import Message, decode
from collector.spool_read import Damage, SegmentReader, segments_of, survey


class SpoolFolder:
    """One folder of the spool: what of it was delivered, and reading it in order. Owned by the event loop."""

    def __init__(self, path: Path, handle: int) -> None:
        self.path, self._handle = path, handle
        self._reader = SegmentReader(path)
        self.cursor = self._read_cursor()
        self.end = self.cursor  # records before this ordinal are on disk and may be read
        self.read = self.cursor  # records before this ordinal were read, or need not be
        self.placed: set[int] = set()  # beyond ``read``, but already with the producer
        self._delivered: set[int] = set()
        self._ages: deque[tuple[int, int]] = deque()  # first ordinal of an append, its oldest receipt
        self._written_cursor = self.cursor

    @classmethod
    def lock(cls, path: Path) -> "SpoolFolder | None":
        """Lock a folder for this process (made if missing); None when another process has it."""
        path.mkdir(parents=True, exist_ok=True)
        handle = os.open(path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return None
        return cls(path, handle)

    def recover(self) -> list[Damage]:
        """Find the end of a dead process's folder, and what of it is damaged; that is then not waited for. Blocks."""
        self.end, damages = survey(self.path)
        self.end = max(self.end, self.cursor)
        for damage in damages:
            for ordinal in damage.missing:
                if ordinal >= self.cursor:
                    self.delivered(ordinal)
        if not self.empty():
            found = self._reader.read(self.cursor, self.cursor + 1)
            self._ages.append((self.cursor, decode(found[0][1]).received_us if found else 0))
        return damages

    def size(self) -> int:
        """Bytes of all segments."""
        return sum(path.stat().st_size for _, path in segments_of(self.path))

    def announced(self, first: int, count: int, received_us: int) -> None:
        """Records ``first`` … are durable now; the oldest of them was received at ``received_us``."""
        self.end = first + count
        while self._ages and self._ages[-1][1] > received_us and self._ages[-1][0] >= self.cursor:
            first = self._ages.pop()[0]
        self._ages.append((first, received_us))

    def delivered(self, ordinal: int) -> None:
        """Kafka has the record, or it was set aside."""
        self._delivered.add(ordinal)
        while self.cursor in self._delivered:
            self._delivered.remove(self.cursor)
            self.cursor += 1
        while len(self._ages) > 1 and self._ages[1][0] <= self.cursor:
            self._ages.popleft()

    def oldest_us(self) -> int | None:
        """When the oldest record that Kafka does not have was received, or a bound below that; None: it has all."""
        if self.cursor >= self.end:
            return None
        return self._ages[0][1] if self._ages else 0

    def empty(self) -> bool:
        """Nothing in it that Kafka does not have."""
        return self.cursor >= self.end

    def trim(self, sealed: int | None = None) -> int:
        """Note the cursor, delete segments wholly delivered; gives the bytes freed. Blocks for the disk.

        ``sealed``: the last segment ends before this ordinal, and nothing will be added to it.
        """
        cursor, freed = self.cursor, 0
        if cursor != self._written_cursor:
            draft = self.path / ".cursor"
            draft.write_text(str(cursor))
            draft.replace(self.path / "cursor")
            self._written_cursor = cursor
        found = segments_of(self.path)
        if not found:
            return 0
        ends = [first for first, _ in found[1:]] + [sealed if sealed is not None else cursor + 1]
        for (first, path), end in zip(found, ends, strict=True):
            if first < end <= cursor:
                freed += path.stat().st_size
                path.unlink()
        return freed

    def close(self, *, remove: bool) -> None:
        """Unlock; ``remove`` the folder with what was delivered."""
        self._reader.close()
        if remove:
            shutil.rmtree(self.path)
        os.close(self._handle)

    def take(self, limit: int, end: int) -> list[tuple[int, Message]]:
        """The next records before ``end``, at most ``limit``, that are not with the producer yet. Blocks for the disk.

        ``end`` is the loop's view: :attr:`end` may move on there while this reads in a thread.
        """
        taken: list[tuple[int, Message]] = []
        if self.read < self.cursor:  # delivered without ever being read here, and perhaps deleted
            self.placed -= set(range(self.read, self.cursor))
            self.read = self.cursor
        while len(taken) < limit and self.read < end:
            found = self._reader.read(self.read, min(end, self.read + limit - len(taken)))
            for ordinal, payload in found:
                try:
                    if ordinal not in self.placed:
                        taken.append((ordinal, decode(payload)))
                except msgspec.DecodeError as error:
                    raise OSError(f"{self.path}: record {ordinal} is of another version: {error}") from error
                self.placed.discard(ordinal)
            if not found:
                raise OSError(f"{self.path}: record {self.read} is announced, and not there")
            self.read = found[-1][0] + 1
        return taken

    def _read_cursor(self) -> int:
        try:
            return int((self.path / "cursor").read_text())
        except (FileNotFoundError, ValueError):  # none yet, or lost with the machine: then from the beginning again
            found = segments_of(self.path)
            return found[0][0] if found else 0
