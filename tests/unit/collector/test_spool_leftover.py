"""A write that failed and could not be cut off leaves bytes behind: no reader takes them for a message."""

import zlib
from pathlib import Path

from collector.message import HEAD
from collector.spool_read import SegmentReader


def segment(folder: Path, first: int, *payloads: bytes) -> None:
    records = (HEAD.pack(len(payload), zlib.crc32(payload)) + payload for payload in payloads)
    (folder / f"{first:020d}.seg").write_bytes(b"".join(records))


def test_a_reader_stops_where_the_next_segment_begins(tmp_path: Path) -> None:
    segment(tmp_path, 0, b"zero", b"one", b"left over")
    segment(tmp_path, 2, b"two", b"three")
    expected = [(0, b"zero"), (1, b"one"), (2, b"two"), (3, b"three")]
    assert SegmentReader(tmp_path).read(0, 4) == expected
    reader = SegmentReader(tmp_path)
    assert [*reader.read(0, 2), *reader.read(2, 4)] == expected
