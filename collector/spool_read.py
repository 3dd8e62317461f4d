"""Reading a spool folder's segments: in order from an ordinal, and after a crash to where the good records end."""

import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from collector.message import HEAD, MAX_RECORD

SEGMENT = ".seg"
Segments = list[tuple[int, Path]]


def segments_of(folder: Path) -> Segments:
    """The segments of a folder in order, with the ordinal of each one's first record."""
    return sorted((int(path.name.removesuffix(SEGMENT)), path) for path in folder.glob(f"*{SEGMENT}"))


def next_record(file: BinaryIO) -> bytes | None:
    """The payload at the file's position, which moves behind it; None, and unmoved, where no good record lies."""
    start = file.tell()
    head = file.read(HEAD.size)
    if len(head) == HEAD.size:
        size, checksum = HEAD.unpack(head)
        if size <= MAX_RECORD:
            payload = file.read(size)
            if len(payload) == size and zlib.crc32(payload) == checksum:
                return payload
    file.seek(start)
    return None


class SegmentReader:
    """Reads records by ordinal, quickest in ascending order. Blocks for the disk; one thread at a time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file: BinaryIO | None = None
        self._at = 0  # ordinal at the file's position
        self._first = -1  # ordinal of the open segment's first record

    def read(self, start: int, stop: int) -> list[tuple[int, bytes]]:
        """(ordinal, payload) of the records from ``start`` up to, without, ``stop``; fewer where a segment is damaged.

        :raises FileNotFoundError: no segment holds ``start``.
        """
        found: list[tuple[int, bytes]] = []
        at = start
        firsts = {first for first, _ in segments_of(self._folder)}
        while at < stop:
            if at in firsts and self._first != at:
                # Behind a segment's last record there may be the leftover of a write that failed: never acknowledged.
                self._at = -1
            file = self._open(at) if self._file is None or self._at != at else self._file
            payload = next_record(file)
            if payload is None:
                following = next((first for first, _ in segments_of(self._folder) if first >= at), None)
                if following is None or (following == at == self._first):
                    break
                at = following  # ordinals left out are those that `survey` found missing
                self._at = -1
                continue
            found.append((at, payload))
            at += 1
            self._at = at
        return found

    def close(self) -> None:
        """Close the open segment."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _open(self, at: int) -> BinaryIO:
        self.close()
        holding = [(first, path) for first, path in segments_of(self._folder) if first <= at]
        if not holding:
            raise FileNotFoundError(f"{self._folder}: no segment holds record {at}")
        first, path = holding[-1]
        self._file = path.open("rb")
        for ordinal in range(first, at):
            if next_record(self._file) is None:
                raise OSError(f"{path}: record {ordinal} is damaged")
        self._at, self._first = at, first
        return self._file


@dataclass(frozen=True)
class Damage:
    """Bytes of a segment that are no records, and the ordinals that are missing for it (none: a write cut short)."""

    path: Path
    offset: int
    missing: range


def survey(folder: Path) -> tuple[int, list[Damage]]:
    """Read every segment of a dead process's folder: the ordinal after the last good record, and what is damaged.

    Bytes behind the last good record of the last segment are a write that a crash cut short: never acknowledged.
    """
    segments = segments_of(folder)
    end, damages = 0, []
    for index, (first, path) in enumerate(segments):
        following = segments[index + 1][0] if index + 1 < len(segments) else None
        with path.open("rb") as file:
            ordinal = first
            while (following is None or ordinal < following) and next_record(file) is not None:
                ordinal += 1
            offset = file.tell()
        end = following if following is not None else ordinal
        missing = range(ordinal, end)
        if missing or (following is None and offset < path.stat().st_size):
            damages.append(Damage(path, offset, missing))
    return end, damages
