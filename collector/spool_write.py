"""Writing to the spool: a write is durable before it is announced.

One thread writes whatever came in meanwhile and calls fdatasync once for all of it (group commit).
"""

import contextlib
import os
import threading
from collections import deque
from collections.abc import Callable

from collector.message import Message
from collector.spool import SpoolFolder
from collector.spool_read import SEGMENT
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
