"""Rejected events of the lake, counted by hour of receipt. Read here and not by Spark: few rows, and of few columns."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from spark_jobs.lake import Pinned, batches
from spark_jobs.reject_labels import NONE, Labels, Reason
from warehouse.rejects import RejectCount

HOUR = timedelta(hours=1)
_STAMP = pa.timestamp("us", tz="UTC")
_KIND = ("tenant", "event_type", "key_id", "schema_version", "reasons")
_COUNTED = ("reject_id", "received_at", "stage", *_KIND)
Sender = tuple[str, str, str, str]
"""Tenant, event type, key and contract version, by their labels."""
_BY_LANDER = "stage = 'lander'"
_OF_LANDER = pc.field("stage") == "lander"


@dataclass(frozen=True)
class NewRejects:
    """What the rows above a cursor touch: ``hours`` of receipt; how many rows there were; the top ``land_seq``."""

    hours: frozenset[datetime]
    events: int
    land_seq: int


def new_rejects(pinned: Pinned, land_seq: int, sequence_number: int = 0, without: Collection[str] = ()) -> NewRejects:
    """What is above the cursor; the parameters are those of :func:`spark_jobs.lake.new_rows`."""
    hours: set[datetime] = set()
    again: set[str] = set()
    events, top = 0, land_seq
    columns = ("reject_id", "received_at", "stage", "land_seq")
    for batch in batches(pinned, f"land_seq > {int(land_seq)}", columns, sequence_number, without):
        if not batch.num_rows:
            continue
        table = pa.Table.from_batches([batch])
        hours.update(_hours(table))
        again.update(map(str, table.filter(_OF_LANDER)["reject_id"].to_pylist()))
        events += table.num_rows
        top = max(top, pc.max(table["land_seq"]).as_py())
    if again:
        hours.update(_hours_of(pinned, again, without))
    return NewRejects(frozenset(hours), events, top)


def count(pinned: Pinned, hour: datetime, labels: Labels, without: Collection[str] = ()) -> list[RejectCount]:
    """The rejections received within ``hour`` (its start, UTC), each counted once.

    ``without``: files that are missing, none of the day of this hour.
    """
    within = f"received_at >= '{hour.isoformat()}' and received_at < '{(hour + HOUR).isoformat()}'"
    rows = _read(pinned, within, _COUNTED, without)
    rows = _once(rows, pinned, without)
    by_kind = rows.group_by(list(_KIND)).aggregate([([], "count_all")])
    return _by_reason(by_kind.to_pylist(), labels)


def _by_reason(kinds: Sequence[dict[str, object]], labels: Labels) -> list[RejectCount]:
    rejected: Counter[tuple[Sender, Reason]] = Counter()
    named: Counter[tuple[Sender, Reason]] = Counter()
    for kind in kinds:
        tenant, claimed, key_id, version = (_text(kind[name]) for name in _KIND[:-1])
        type_ = labels.event_type(claimed)
        sender = (tenant or NONE, type_, key_id or NONE, labels.version(claimed, int(version) if version else None))
        n, reasons = int(str(kind["count_all"])), labels.reasons(str(kind["reasons"]))
        rejected[sender, reasons[0]] += n
        for reason in reasons:
            named[sender, reason] += n
    return [
        RejectCount(whose, type_, *reason, rejected=rejected[sender, reason], named=n, key_id=key_id, version=version)
        for (sender, reason), n in sorted(named.items())
        for whose, type_, key_id, version in [sender]
    ]


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _once(rows: pa.Table, pinned: Pinned, without: Collection[str]) -> pa.Table:
    """Each rejection once, in the hour in which it was first received.

    The same message of Kafka may land again, or be drained again from a spool: then all of it is the same. A lander
    that rejects a poisonous message a second time, after it lost its hold on the first, gives it the same id and
    another time.
    """
    if rows.filter(_OF_LANDER).num_rows:
        first = _read(pinned, _BY_LANDER, ("reject_id", "received_at"), without).group_by("reject_id")
        earliest = first.aggregate([("received_at", "min")])
        rows = rows.join(earliest, "reject_id", join_type="left outer")
        rows = rows.filter(~_OF_LANDER | (pc.field("received_at") == pc.field("received_at_min")))
    once = rows.group_by("reject_id").aggregate([(name, "min") for name in _KIND])
    return once.rename_columns({name: name.removesuffix("_min") for name in once.column_names})


def _hours_of(pinned: Pinned, reject_ids: set[str], without: Collection[str]) -> set[datetime]:
    """Every hour in which a lander rejected one of these messages."""
    rows = _read(pinned, _BY_LANDER, ("reject_id", "received_at"), without)
    return _hours(rows.filter(pc.is_in(rows["reject_id"], pa.array(sorted(reject_ids), pa.string()))))


def _hours(rows: pa.Table) -> set[datetime]:
    received = rows["received_at"].cast(_STAMP)
    return set(pc.unique(pc.floor_temporal(received, unit="hour")).to_pylist())  # type: ignore[call-overload]


def _read(pinned: Pinned, row_filter: str, columns: Sequence[str], without: Collection[str]) -> pa.Table:
    found = batches(pinned, row_filter, [name for name in columns if name in pinned.columns], without=without)
    kept = [_plain(batch, columns) for batch in found if batch.num_rows]
    return pa.concat_tables(kept) if kept else _plain(None, columns)


def _plain(batch: pa.RecordBatch | None, columns: Sequence[str]) -> pa.Table:
    """The columns in types of their own, however the file has its strings; null what a lake of before lacks."""
    schema = pa.schema([(name, _STAMP if name == "received_at" else pa.string()) for name in columns])
    if batch is None:
        return schema.empty_table()
    rows = pa.Table.from_batches([batch])
    for name in columns:
        if name not in rows.column_names:
            rows = rows.append_column(name, pa.nulls(rows.num_rows, pa.string()))
    return rows.select(list(columns)).cast(schema)
