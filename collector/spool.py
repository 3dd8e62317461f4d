"""The spool: where events wait on disk while Kafka is away. One folder a process, taken over by the next one.

A folder holds segments, named after the ordinal of their first record, and ``cursor``, the ordinal before which
everything is in Kafka. Ordinals count records from 0 for the life of the folder. A write is durable before it is
announced: one thread writes whatever came in meanwhile and calls fdatasync once for all of it (group commit).
"""

import contextlib
import fcntl
import os
import shutil
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path

import msgspec

from collector.message import Message, decode
from collector.spool_read import SEGMENT, Damage, SegmentReader, segments_of, survey
from runtime import log

_log = log.get(__name__)


class SpoolFull(Exception):
    """The spool has no room left, or the disk has not."""


class Append:
    """Records on their way to the disk. ``first``: the first one's ordinal once written; ``error``: why it was not."""

    __slots__ = ("error", "first", "messages", "received_us", "records", "size")

    def __init__(self, records: list[bytes], messages: list[Message]) -> None:
        self.records, self.messages = records, messages
        self.size = sum(map(len, records))
        self.received_us = min((m.received_us for m in messages), default=0)
        self.first: int | None = None
        self.error: OSError | None = None


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


class SpoolWriter:
    """Appends to a folder from a thread of its own, one fdatasync for all that came in meanwhile.

    ``announce`` is called from that thread with what was written, or failed, in order.
    """

    def __init__(
        self,
        folder: SpoolFolder,
        announce: Callable[[list[Append]], None],
        *,
        max_bytes: int,
        min_free_bytes: int,
        used: int = 0,
    ) -> None:
        self._folder, self._announce = folder, announce
        self._max, self._min_free = max_bytes, min_free_bytes
        self._segment_bytes = max(1, min(64 * 1024**2, max_bytes // 8))
        self.used = used  # bytes on disk and on their way there, all folders
        self._next = folder.end
        self._file: int | None = None
        self._file_size = 0
        self._renew = False
        self._pending: list[Append] = []
        self._queued: deque[int] = deque()  # when the oldest of each append not settled yet was received
        self._wake = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="spool", daemon=True)
        self._thread.start()

    def room_for(self, size: int) -> bool:
        """Whether ``size`` more bytes fit within the bound and the disk's free space."""
        if self.used + size > self._max:
            return False
        free = os.statvfs(self._folder.path)
        return free.f_bavail * free.f_frsize - size >= self._min_free

    def append(self, append: Append) -> None:
        """Queue records; ``announce`` tells when they are durable.

        :raises SpoolFull: no room within the bound or on the disk.
        """
        if not self.room_for(append.size):
            raise SpoolFull(f"{self.used} of {self._max} bytes used")
        self.used += append.size
        self._queued.append(append.received_us)
        with self._wake:
            self._pending.append(append)
            self._wake.notify()

    def settled(self, append: Append) -> None:
        """The loop has taken note of an append, in the order they were queued."""
        self._queued.popleft()
        if append.first is None:
            self.used -= append.size

    def oldest_queued_us(self) -> int | None:
        """When the oldest record that is not announced yet was received."""
        return min(self._queued, default=None)

    def renew(self) -> None:
        """Begin a new segment with the next write: everything before it was delivered and may be deleted."""
        self._renew = True

    def close(self) -> None:
        """Write what is queued and end the thread."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        self._thread.join()
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _run(self) -> None:
        while True:
            with self._wake:
                while not self._pending and not self._closing:
                    self._wake.wait()
                group, self._pending = self._pending, []
            if not group:
                return
            try:
                first = self._write(b"".join(record for append in group for record in append.records))
            except OSError as error:
                _log.error("the spool cannot be written", error=str(error), folder=str(self._folder.path))
                for append in group:
                    append.error = error
            else:
                for append in group:
                    append.first = first
                    first += len(append.records)
                self._next = first
            self._announce(group)

    def _write(self, data: bytes) -> int:
        """Append and make durable; gives the ordinal of the first record. On failure nothing of it stays readable."""
        if self._file is None or self._renew or self._file_size >= self._segment_bytes:
            self._renew = False
            self._new_segment()
        assert self._file is not None  # noqa: S101 - for the type checker
        view, done = memoryview(data), 0
        try:
            while done < len(view):
                done += os.write(self._file, view[done:])
            os.fdatasync(self._file)
        except OSError:
            # What was half written must not be in front of what comes next. If it cannot even be cut off, the next
            # segment's name says which ordinal follows, and a reader stops there.
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, self._file_size)
            os.close(self._file)
            self._file = None
            raise
        self._file_size += len(data)
        return self._next

    def _new_segment(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None
        path = self._folder.path / f"{self._next:020d}{SEGMENT}"
        # A file of this name can only be what a failed write left: nothing in it was ever announced.
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        self._file_size = 0
        directory = os.open(self._folder.path, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
