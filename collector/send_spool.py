"""A sender's spool: batches on disk until the collector has answered for them, so that neither's restart loses any.

A folder with one file a batch, named by when it was written, holding the request's body as it will be sent; a line that
is no event has a file of its own. One process at a time has it.
"""

import fcntl
import os
import time
import uuid
from pathlib import Path

import msgspec

BATCH, LINE = ".json", ".line"
"""How the names of batches end, and those of lines that are no events (their headers, a line break, the line)."""
REFUSED = "refused"
"""The folder of batches that the collector refused as a whole; they are kept for a person, and never sent again."""


class SpoolFull(Exception):
    """There is no room for a batch; the message says how much is there."""


class SpoolBusy(Exception):
    """Another process has the spool; the message names it."""


class SendSpool:
    """Batches in ``folder``, of at most ``max_bytes`` together.

    :raises SpoolBusy: another process has it.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._folder, self._max_bytes = folder, max_bytes
        _make(folder)
        (folder / REFUSED).mkdir(exist_ok=True)
        self._lock = (folder / "lock").open("ab")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._lock.close()
            raise SpoolBusy(f"{folder}: another process sends from it") from error
        for half in folder.glob("*.part"):
            half.unlink()  # of a process that was killed before it had promised anything
        self._bytes = sum(batch.stat().st_size for batch in self.batches())
        self._last_ns = 0

    def close(self) -> None:
        """Let others have the spool."""
        self._lock.close()

    def batches(self) -> list[Path]:
        """The batches that wait, oldest first."""
        return sorted(found for found in self._folder.iterdir() if found.suffix in (BATCH, LINE))

    def add(self, body: bytes, kind: str = BATCH) -> Path:
        """Keep a batch (or another ``kind`` of body); when this returns it is on disk.

        :raises SpoolFull: there is no room.
        """
        if self._bytes + len(body) > self._max_bytes:
            raise SpoolFull(f"{self._folder}: {self._bytes:,} of {self._max_bytes:,} bytes wait for the collector")
        self._last_ns = max(self._last_ns + 1, time.time_ns())
        path = self._folder / f"{self._last_ns:020d}-{uuid.uuid4().hex[:8]}{kind}"
        part = path.with_suffix(".part")
        with part.open("wb") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        part.rename(path)
        _sync(self._folder)
        self._bytes += len(body)
        return path

    def done(self, batch: Path) -> None:
        """Forget a batch: each of its events has its verdict."""
        self._bytes -= batch.stat().st_size
        batch.unlink()

    def set_aside(self, batch: Path) -> Path:
        """Put a batch where it is not sent from; gives where."""
        self._bytes -= batch.stat().st_size
        return batch.rename(self._folder / REFUSED / batch.name)

    def waiting(self) -> int:
        """How many events wait, and lines that are none."""
        return sum(
            1 if batch.suffix == LINE else len(msgspec.json.decode(batch.read_bytes(), type=list[msgspec.Raw]))
            for batch in self.batches()
        )


def _make(folder: Path) -> None:
    """Have ``folder``, its parents and their names on disk: a batch is no safer than the way to it."""
    if folder.is_dir():
        return
    _make(folder.parent)
    folder.mkdir(exist_ok=True)
    _sync(folder.parent)


def _sync(folder: Path) -> None:
    """Have the names in ``folder`` on disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
