"""Rows of a table of which a file is missing: read from the files that are there, without opening the others.

Iceberg fails a query that plans a file whose object is gone, though none of the minutes asked for has a row in it: a
file is chosen by its bounds. The minutes that do have rows in it are held (``ledger.held_minutes``) and not computed.
"""

from collections.abc import Collection, Sequence
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from spark_jobs.lake import Pinned, batches, ranges

_STAMP = pa.timestamp("us", tz="UTC")


def rows_of(pinned: Pinned, minutes: Sequence[datetime], without: Collection[str]) -> pa.Table:
    """Every column of the rows that occurred in ``minutes``, but for those in the files ``without``.

    In memory, so for no more minutes than are recomputed in one transaction.
    """
    schema = pinned.source.schema()
    columns = [name for name in schema.column_names if "." not in name]
    wanted = pa.array(sorted(set(minutes)), _STAMP)
    parts = []
    for start, end in ranges(minutes):
        bounds = f"occurred_at >= '{start.isoformat()}' and occurred_at < '{end.isoformat()}'"
        for batch in batches(pinned, bounds, columns, without=without):
            minute = pc.floor_temporal(batch["occurred_at"].cast(_STAMP), unit="minute")  # type: ignore[call-overload]
            parts.append(batch.filter(pc.is_in(minute, wanted)))
    target = schema.select(*columns).as_arrow()
    return pa.Table.from_batches([p.cast(target) for p in parts], target) if parts else target.empty_table()


def ids_of_day(pinned: Pinned, begin: datetime, end: datetime, since: datetime, without: Collection[str]) -> pa.Table:
    """Of every id received in [begin, end) the rows, and those received before that occurred at or after ``since``.

    Times, tenant and id only, and in memory: as many rows as there are of the day's ids.
    """
    columns = ("tenant", "event_id", "occurred_at", "received_at")
    target = pinned.source.schema().select(*columns).as_arrow()
    of_day = f"received_at >= '{begin.isoformat()}' and received_at < '{end.isoformat()}'"
    before = f"received_at < '{begin.isoformat()}' and occurred_at >= '{since.isoformat()}'"
    parts = [part.cast(target) for part in batches(pinned, of_day, columns, without=without)]
    ids = pc.unique(pa.Table.from_batches(parts, target)["event_id"])
    for part in batches(pinned, before, columns, without=without):
        rows = part.cast(target)
        parts.append(rows.filter(pc.is_in(rows["event_id"], ids)))
    return pa.Table.from_batches(parts, target)
