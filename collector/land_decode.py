"""Messages of a topic become rows of its table: what all tables' decoders share, and what they give."""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from collector.lake import TableSpec
from collector.suppressed import Suppressed

Parse = Callable[[bytes | None], Any]
_BAD = (msgspec.MsgspecError, ValueError, TypeError, OverflowError, RecursionError)
"""What decoding a message can raise: malformed or mistyped JSON, broken UTF-8, no value, too many digits or levels."""
_CANNOT = (pa.ArrowException, OverflowError, ValueError, TypeError)
_NAMES = frozenset({"event_id", "reject_id", "tenant", "collector_id"})
_INSTANTS = frozenset({"occurred_at", "received_at", "at", "durable_through"})
_YEARS = (1970, 9998)
_PATH = re.compile(r"`\$([^`]*)`")
_UNKNOWN = "Object contains unknown field"


@dataclass
class Batch:
    """Messages of one topic in the order of consumption, column by column; offsets ascend within a partition."""

    values: list[bytes | None] = field(default_factory=list)
    partitions: list[int] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)
    size: int = 0

    def __len__(self) -> int:
        return len(self.values)

    def ends(self) -> dict[int, int]:
        """The offset after the last message, by partition."""
        return {p: o + 1 for p, o in zip(self.partitions, self.offsets, strict=True)}

    def pick(self, indices: Sequence[int]) -> "Batch":
        """The messages at ``indices``."""
        return Batch(
            [self.values[i] for i in indices],
            [self.partitions[i] for i in indices],
            [self.offsets[i] for i in indices],
        )


@dataclass(frozen=True)
class Poison:
    """A message that can never be a row, with the reason in the form the collector gives reasons."""

    value: bytes | None
    partition: int
    offset: int
    keyword: str
    pointer: str
    message: str

    @property
    def reasons(self) -> list[dict[str, str]]:
        """The reason as ``rejected_events`` carries it."""
        return [{"pointer": self.pointer, "keyword": self.keyword, "message": self.message}]


@dataclass(frozen=True)
class Decoded:
    """What a batch comes to. ``ends`` is where to read on; ``newer`` says why the rest of the batch has to wait.

    ``rows`` lacks ``land_seq``, which is known at the commit only. ``surprised`` is set when a message had a field that
    the contract does not know: the contract on disk may have grown since it was read.
    """

    rows: pa.Table
    poison: tuple[Poison, ...]
    ends: dict[int, int]
    newer: str | None = None
    surprised: bool = False


class Decoder(ABC):
    """Decodes messages of one topic. Subclasses give the message's type and the columns."""

    spec: TableSpec
    sort_by: tuple[str, ...]
    suppressed: Suppressed = Suppressed()
    """Who was forgotten: of them nothing lands that points to them."""
    parse: Parse
    """The message as a struct; raises one of the errors of decoding. An attribute, so that ``map`` calls the library's
    own decoder without a Python frame for each message."""

    @abstractmethod
    def columns(self, rows: Sequence[Any], batch: Batch) -> pa.Table:
        """The rows as columns; raises an Arrow error or OverflowError when a value does not fit its column."""

    def salvage(self, value: bytes | None) -> Any:
        """A second, slower attempt at a message that :meth:`parse` refused."""
        return self.parse(value)

    def newer_than_known(self, rows: Sequence[Any]) -> list[int]:
        """Indices of the rows whose schema_version is above what is known here."""
        del rows
        return []

    def newer_version(self, value: bytes | None) -> int | None:
        """The version of a message that cannot be parsed because it is newer than what is known; else None."""
        del value
        return None

    def decode(self, batch: Batch) -> Decoded:
        """Everything the batch holds, sorted by time; see :class:`Decoded`."""
        kept, surprised = batch, False
        poison: list[Poison] = []
        blocked: dict[int, int] = {}
        try:
            rows = list(map(self.parse, batch.values))
        except _BAD:
            rows, good, poison, blocked = self._one_by_one(batch)
            kept = batch.pick(good)
            surprised = any(p.keyword == "additionalProperties" for p in poison)
        for i in self.newer_than_known(rows):
            partition, offset = kept.partitions[i], kept.offsets[i]
            blocked[partition] = min(offset, blocked.get(partition, offset))
        ends = batch.ends()
        newer = None
        if blocked:
            partition, offset = min(blocked.items())
            newer = f"partition {partition} offset {offset} has a newer schema_version than is known here"
            ends |= blocked

            def before(p: int, o: int) -> bool:
                return p not in blocked or o < blocked[p]

            indices = [i for i in range(len(kept)) if before(kept.partitions[i], kept.offsets[i])]
            rows, kept = [rows[i] for i in indices], kept.pick(indices)
            poison = [p for p in poison if before(p.partition, p.offset)]
        table = self._columns_or_poison(rows, kept, poison)
        order = pc.sort_indices(table, sort_keys=[(name, "ascending") for name in self.sort_by])
        return Decoded(table.take(order), tuple(poison), ends, newer, surprised)

    def _one_by_one(self, batch: Batch) -> tuple[list[Any], list[int], list[Poison], dict[int, int]]:
        rows: list[Any] = []
        good: list[int] = []
        poison: list[Poison] = []
        blocked: dict[int, int] = {}
        for i, (value, partition, offset) in enumerate(zip(batch.values, batch.partitions, batch.offsets, strict=True)):
            try:
                rows.append(self.salvage(value))
            except _BAD as error:
                if self.newer_version(value) is not None:
                    blocked.setdefault(partition, offset)
                else:
                    poison.append(_poison(value, partition, offset, error))
            else:
                good.append(i)
        return rows, good, poison, blocked

    def _columns_or_poison(self, rows: Sequence[Any], batch: Batch, poison: list[Poison]) -> pa.Table:
        """The columns; rows that do not fit them are moved to ``poison``, found by halving."""
        try:
            table = self.columns(rows, batch)
            _check_envelope(table)
        except _CANNOT as error:
            if len(rows) == 1:
                poison.append(
                    Poison(batch.values[0], batch.partitions[0], batch.offsets[0], "type", "", f"does not fit: {error}")
                )
                return self.columns([], Batch())
            half = len(rows) // 2
            parts = [
                self._columns_or_poison(rows[a:b], batch.pick(range(a, b)), poison)
                for a, b in ((0, half), (half, len(rows)))
            ]
            return pa.concat_tables(parts).combine_chunks()
        return table


def _check_envelope(table: pa.Table) -> None:
    """Refuse what no collector writes and Postgres or Python cannot hold: every load of the table would fail on it.

    :raises ValueError: a row has such a value.
    """
    for name in _NAMES.intersection(table.column_names):
        if pc.any(pc.match_substring(table[name], "\0")).as_py():
            raise ValueError(f"{name} has a NUL")
    for name in _INSTANTS.intersection(table.column_names):
        years = pc.year(table[name])
        if table.num_rows and not _YEARS[0] <= pc.min(years).as_py() <= pc.max(years).as_py() <= _YEARS[1]:
            raise ValueError(f"{name} lies outside of the years {_YEARS[0]} to {_YEARS[1]}")
    if "sequence" in table.column_names:
        most = pc.max(table["sequence"]).as_py()
        if most is not None and most == 2**63 - 1:
            raise ValueError("sequence is greater than any that is handed out")


def _poison(value: bytes | None, partition: int, offset: int, error: Exception) -> Poison:
    text = str(error)
    found = _PATH.search(text)
    pointer = found.group(1).replace(".", "/") if found else ""
    if text.startswith(_UNKNOWN):
        keyword = "additionalProperties"
    elif isinstance(error, msgspec.ValidationError):
        keyword = "required" if "missing required field" in text else "type"
    else:
        keyword = "parse"
    return Poison(value, partition, offset, keyword, pointer, text)
