"""What one data file holds, as the ledger keeps it: ranges of sequences, and rows by minute. Pure functions."""

import json
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from collector.ranges import multirange

EVENT, REJECTED, SET_ASIDE = "event", "rejected", "set aside"
EVENT_COLUMNS = ("tenant", "occurred_at", "received_at", "collector_id", "sequence", "land_seq")
REJECT_COLUMNS = ("tenant", "event_type", "received_at", "collector_id", "sequence", "stage", "reasons", "land_seq")
_STAMP = pa.timestamp("us", tz="UTC")
_FIRST, _LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9998, 12, 31, 23, 59, tzinfo=UTC)
"""What Python and Postgres can both tell. A message that says other times never came from a collector."""
_MOST = 2**63 - 2
"""The greatest sequence in a set of Postgres, whose upper bound lies one beyond it."""
_RECEIVED = re.compile(r'\{(?:"\w+":(?:"[^"\\]*"|\d+),)*?"received_at":"([^"\\]*)"')
"""As the collector writes it: in its envelope, before what the client sent."""
_NO_TEXT = "\ufffd"
"""Instead of NUL, which Postgres has in no text, and no collector in a name."""
_KEY = ("kind", "type", "tenant", "received_hour", "collector_id")


@dataclass(frozen=True)
class Range:
    """The sequences of one collector in one hour of receipt; ``sequences`` as Postgres writes them."""

    kind: str
    type: str
    tenant: str
    received_hour: datetime
    collector_id: str
    sequences: str
    rows: int


@dataclass(frozen=True)
class Minute:
    """How many rows of a minute of occurrence were received in an hour."""

    tenant: str
    minute: datetime
    received_hour: datetime
    rows: int


@dataclass(frozen=True)
class Contents:
    """What a file holds. ``land_seq`` is the greatest of its rows."""

    ranges: tuple[Range, ...]
    minutes: tuple[Minute, ...]
    land_seq: int


def of_events(type_: str, rows: pa.Table) -> Contents:
    """Of a file of ``events.<type>``; ``rows`` has EVENT_COLUMNS."""
    count = rows.num_rows
    keyed = pa.table(
        {
            "kind": pa.array([EVENT] * count, pa.string()),
            "type": pa.array([type_] * count, pa.string()),
            "tenant": _text(rows["tenant"]),
            "received_hour": _floor(rows["received_at"], "hour"),
            "collector_id": _text(rows["collector_id"]),
            "sequence": pc.min_element_wise(rows["sequence"].combine_chunks(), pa.scalar(_MOST, pa.int64())),
            "minute": _floor(rows["occurred_at"], "minute"),
        }
    )
    counted = keyed.group_by(["tenant", "minute", "received_hour"]).aggregate([([], "count_all")])
    minutes = (Minute(r["tenant"], r["minute"], r["received_hour"], r["count_all"]) for r in counted.to_pylist())
    return Contents(tuple(ranges(keyed)), tuple(minutes), _top(rows))


def of_rejects(rows: pa.Table, bodies: Sequence[str | None], known_types: Collection[str]) -> Contents:
    """Of a file of ``quality.rejected_events``; ``rows`` has REJECT_COLUMNS.

    What a lander set aside was accepted: it is booked under its own type, in the hour in which the collector received
    it, which its body says (``bodies``, of those rows; None of others). Of the rest the type is the one that the
    collector counted it under: none where no contract has it. A rejection that names no sequence was in no receipt.
    """
    given = []
    rows = rows.set_column(rows.column_names.index("received_at"), "received_at", _bounded(rows["received_at"]))
    for row, body in zip(rows.to_pylist(), bodies, strict=True):
        if row["collector_id"] is None or row["sequence"] is None:
            continue
        aside = row["stage"] == "lander"
        type_ = row["event_type"] if row["event_type"] in known_types else ""
        received = row["received_at"]
        if aside:
            received = min(max(_received(body) or received, _FIRST), _LAST)
        elif _names_no_type(row["reasons"]):
            type_ = ""
        given.append(
            {
                "kind": SET_ASIDE if aside else REJECTED,
                "type": type_,
                "tenant": (row["tenant"] or "").replace("\0", _NO_TEXT),
                "received_hour": received.replace(minute=0, second=0, microsecond=0),
                "collector_id": row["collector_id"].replace("\0", _NO_TEXT),
                "sequence": min(row["sequence"], _MOST),
            }
        )
    keyed = pa.Table.from_pylist(given, schema=_REJECTS)
    return Contents(tuple(ranges(keyed)), (), _top(rows))


_TYPES: dict[str, pa.DataType] = {"received_hour": _STAMP, "sequence": pa.int64()}
_REJECTS = pa.schema([(name, _TYPES.get(name, pa.string())) for name in (*_KEY, "sequence")])


def ranges(rows: pa.Table) -> Iterator[Range]:
    """``rows`` (the key's columns and ``sequence``) as one set of sequences for each key, with how many rows it had."""
    if not rows.num_rows:
        return
    ordered = rows.select([*_KEY, "sequence"]).sort_by([(name, "ascending") for name in (*_KEY, "sequence")])
    ordered = ordered.combine_chunks()
    new_key = np.zeros(ordered.num_rows, dtype=bool)
    new_key[0] = True
    for name in _KEY:
        column = ordered[name].combine_chunks()
        new_key[1:] |= pc.not_equal(column.slice(1), column.slice(0, len(column) - 1)).to_numpy(zero_copy_only=False)
    sequence = ordered["sequence"].to_numpy()
    new_range = new_key.copy()
    new_range[1:] |= np.diff(sequence) > 1
    firsts = np.flatnonzero(new_range)
    lasts = np.append(firsts[1:], len(sequence)) - 1
    starts = np.flatnonzero(new_key)
    ends = np.append(starts[1:], len(sequence))
    of_start = np.searchsorted(firsts, starts)
    of_end = np.searchsorted(firsts, ends)
    keys = ordered.select(list(_KEY)).take(pa.array(starts, pa.int64())).to_pylist()
    for key, start, end, a, b in zip(keys, starts, ends, of_start, of_end, strict=True):
        pairs = zip(sequence[firsts[a:b]].tolist(), sequence[lasts[a:b]].tolist(), strict=True)
        yield Range(**key, sequences=multirange(pairs), rows=int(end - start))


def _text(column: "pa.ChunkedArray[Any]") -> "pa.Array[Any]":
    text: pa.Array[Any] = column.cast(pa.string()).combine_chunks()
    return pc.replace_substring(text, pattern="\0", replacement=_NO_TEXT)


def _bounded(column: "pa.ChunkedArray[Any]") -> Any:
    first, last = (pa.scalar(instant, _STAMP).cast(pa.int64()) for instant in (_FIRST, _LAST))
    stamps = column.cast(_STAMP).combine_chunks().cast(pa.int64())
    return pc.min_element_wise(pc.max_element_wise(stamps, first), last).cast(_STAMP)


def _floor(column: "pa.ChunkedArray[Any]", unit: str) -> Any:
    return pc.floor_temporal(_bounded(column), unit=unit)  # type: ignore[call-overload]


def _top(rows: pa.Table) -> int:
    return int(pc.max(rows["land_seq"]).as_py() or 0)


def _names_no_type(reasons: str) -> bool:
    """Whether the collector found no contract for it: it then counts it under no type, whatever contracts say today."""
    try:
        return any(r["pointer"] == "/event_type" and r["keyword"] == "enum" for r in json.loads(reasons))
    except (ValueError, TypeError, KeyError, RecursionError):
        return False


def _received(body: str | None) -> datetime | None:
    """When the collector received a message, by the message itself, also of one that was cut short to be kept."""
    try:
        said = json.loads(body or "")["received_at"]
    except (ValueError, TypeError, KeyError, RecursionError):
        cut = _RECEIVED.match(body or "")
        said = cut.group(1) if cut else None
    try:
        found = datetime.fromisoformat(said)
        return found.astimezone(UTC) if found.tzinfo else None
    except (ValueError, TypeError, OverflowError):
        return None
