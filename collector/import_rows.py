"""The rows of a file in CSV, NDJSON or Parquet, one after another, each with the number that a person finds it by.

Memory holds a few thousand rows, however many there are.
"""

import csv
import gzip
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

Format = Literal["csv", "ndjson", "parquet"]
GZIP = b"\x1f\x8b"
_SUFFIXES: Mapping[str, Format] = {
    ".csv": "csv", ".ndjson": "ndjson", ".jsonl": "ndjson", ".json": "ndjson", ".parquet": "parquet", ".pq": "parquet",
}  # fmt: skip
ROWS_AT_ONCE = 4096


class RowsError(Exception):
    """The file cannot be read as what it should be; the message says why."""


class Row(NamedTuple):
    """A row by column; empty cells and nulls are left out. ``number``: its line (from 1), of Parquet its row.

    ``trouble`` says why it is no row at all; ``text`` is then what stands there.
    """

    number: int
    values: dict[str, Any]
    trouble: str | None = None
    text: bytes = b""


def format_of(path: Path) -> Format:
    """The format by the name's end, ``.gz`` aside.

    :raises RowsError: the name says nothing.
    """
    name = path.with_suffix("") if path.suffix == ".gz" else path
    if name.suffix.lower() not in _SUFFIXES:
        raise RowsError(f"{path}: what format is it? --format csv, ndjson or parquet")
    return _SUFFIXES[name.suffix.lower()]


def rows(path: Path, format_: Format, delimiter: str = ",") -> Iterator[Row]:
    """Every row of the file, plain or (not Parquet, which packs itself) gzip.

    :raises RowsError: it is damaged, or of another format.
    """
    try:
        if format_ == "parquet":
            yield from _parquet(path)
            return
        with path.open("rb") as plain:
            packed = plain.read(2) == GZIP
            plain.seek(0)
            stream: Iterable[bytes] = gzip.GzipFile(fileobj=plain) if packed else plain
            yield from _csv(stream, delimiter) if format_ == "csv" else _ndjson(stream)
    except (OSError, EOFError, pa.ArrowException) as error:
        raise RowsError(f"{path}: {error}") from error


def _ndjson(stream: Iterable[bytes]) -> Iterator[Row]:
    for number, line in enumerate(stream, 1):
        text = line.strip()
        if not text:
            continue
        try:
            found = msgspec.json.decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            yield Row(number, {}, f"is no JSON: {error}", text)
            continue
        if isinstance(found, dict):
            yield Row(number, {name: value for name, value in found.items() if value is not None})
        else:
            yield Row(number, {}, "is no JSON object", text)


def _csv(stream: Iterable[bytes], delimiter: str) -> Iterator[Row]:
    # Bytes that are no UTF-8 survive as half surrogates, so that their row alone is bad.
    lines = (line.decode("utf-8", "surrogateescape") for line in stream)
    head = next(lines, "").removeprefix("\ufeff")
    reader = csv.reader(chain([head], lines), delimiter=delimiter)
    names = next(reader, [])
    if not names or len(set(names)) < len(names):
        raise RowsError("the first line has to name the columns, each once")
    while True:
        number = reader.line_num + 1  # where the row begins: a quoted cell may go over several lines
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise RowsError(f"line {number}: {error}") from error
        if not cells:
            continue
        text = delimiter.join(cells).encode("utf-8", "surrogateescape")
        if len(cells) != len(names):
            yield Row(number, {}, f"has {len(cells)} cells, not {len(names)}", text)
        elif not _is_utf8(text):
            yield Row(number, {}, "is not UTF-8", text)
        else:
            yield Row(number, {name: cell for name, cell in zip(names, cells, strict=True) if cell})


def _parquet(path: Path) -> Iterator[Row]:
    number = 0
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=ROWS_AT_ONCE):
            for values in batch.to_pylist():
                number += 1
                yield Row(number, {name: value for name, value in values.items() if value is not None})


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True
