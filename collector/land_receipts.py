"""What the ledger knows of the collectors: each one's receipts folded into one row, and how far they were read."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
import psycopg

from collector import land_cells
from collector.collectors import SILENT
from collector.land_db import Database
from collector.land_decode import Batch
from collector.land_quality import RECEIPTS_TOPIC, Receipt
from collector.land_topic import Brokers, Reader, TopicInfo

_CHUNK = 10_000
_SILENCE = 10
"""Reads of a second each without a message, after which the topic is not as its offsets said."""


@dataclass(frozen=True)
class Known:
    """The ledger at one moment. ``durable``: the least promise of an open collector; ``read``: see :class:`Promise`.

    ``open`` and ``silent``: how many collectors are, and how many of these were not heard of for a minute.
    """

    durable: datetime | None
    open: int
    silent: int
    read: Mapping[int, int]


class ReceiptsLedger:
    """Reads receipts into ``ledger.collectors``: each once, in the order of the topic, before it lands."""

    def __init__(self, database: Database, brokers: Brokers, connection: Mapping[str, Any]) -> None:
        self._database, self._brokers, self._connection = database, brokers, connection
        self._decode = msgspec.json.Decoder(Receipt).decode

    def known(self, topic_id: str) -> Known:
        """What the ledger knows now, in one look.

        :raises DatabaseAway: no connection.
        """
        with self._database.transaction() as connection:
            row = connection.execute(
                """
                select
                    min(durable_through),
                    count(*),
                    count(*) filter (where seen_at < now() - %(silent)s),
                    (select jsonb_object_agg(r.partition, r.next_offset) from ledger.receipts_read as r
                     where r.topic_id = %(topic)s)
                from ledger.collectors where not closed
                """,
                {"topic": topic_id, "silent": SILENT},
            ).fetchone()
        assert row is not None  # noqa: S101 - an aggregate without group by always gives a row
        durable, open_, silent, read = row
        return Known(durable, open_, silent, {int(partition): offset for partition, offset in (read or {}).items()})

    def begin(self, info: TopicInfo, starts: Mapping[int, int]) -> None:
        """Catch up to where the lander goes on: a ledger made anew has read less than has landed.

        :raises DatabaseAway: no connection.
        :raises TimeoutError: messages that should be there do not come.
        """
        read = self.known(info.id).read
        begins = self._brokers.begin_offsets(RECEIPTS_TOPIC, info.partitions)
        missed = {p: max(begins[p], read.get(p, 0)) for p, start in starts.items() if read.get(p, 0) < start}
        missed = {p: first for p, first in missed.items() if first < starts[p]}
        if missed:
            self._catch_up(info, missed, starts)
        with self._database.transaction() as connection:
            _read_through(connection, info.id, starts)

    def add(self, info: TopicInfo, batch: Batch) -> None:
        """Fold receipts in.

        :raises DatabaseAway: no connection; the batch has to be read again later.
        """
        with self._database.transaction() as connection:
            before = _held(connection, info.id, batch.ends())
            for value, partition, offset in zip(batch.values, batch.partitions, batch.offsets, strict=True):
                if offset >= before.get(partition, 0):
                    self._fold(connection, value)
            _read_through(connection, info.id, batch.ends())

    def _catch_up(self, info: TopicInfo, missed: Mapping[int, int], ends: Mapping[int, int]) -> None:
        reader = Reader(self._connection, RECEIPTS_TOPIC)
        left, silent = {p: ends[p] for p in missed}, 0
        try:
            reader.assign(missed)
            while left:
                batch = Batch()
                silent = 0 if reader.read(batch, _CHUNK, 1.0) else silent + 1
                if silent >= _SILENCE:
                    raise TimeoutError(f"{RECEIPTS_TOPIC}: nothing came for {silent} s, and it should reach {left}")
                if batch.values:
                    self.add(info, batch)
                    left = {p: end for p, end in left.items() if batch.ends().get(p, 0) < end}
        finally:
            reader.close()

    def _fold(self, connection: psycopg.Connection[Any], value: bytes | None) -> None:
        """Bring one receipt into its collector's row.

        Counts and promises only ever rise, so the greatest is the newest, whatever the clocks of the machines say. A
        process's own closing is final. A retirement is someone else's word: a collector that speaks after it is open.
        """
        try:
            receipt = self._decode(value or b"")
            said = land_cells.of_receipt(receipt)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return  # poison: its batch sets aside what is no receipt; one whose parts are none lands, and says nothing
        connection.execute(
            """
            insert into ledger.collectors as c
                (collector_id, assigned, acknowledged, durable_through, closed, seen_at, retired_by, retired_because,
                 void, in_doubt)
            values (%(id)s, %(assigned)s, %(acknowledged)s, %(durable)s, %(closed)s, %(at)s, %(by)s, %(because)s,
                %(void)s::int8multirange, %(in_doubt)s::int8multirange)
            on conflict (collector_id) do update set
                assigned = greatest(c.assigned, excluded.assigned),
                acknowledged = greatest(c.acknowledged, excluded.acknowledged),
                durable_through = greatest(c.durable_through, excluded.durable_through),
                closed = (c.closed and c.retired_by is null) or excluded.closed,
                seen_at = case when excluded.retired_by is null then greatest(c.seen_at, excluded.seen_at)
                    else c.seen_at end,
                retired_by = case when c.closed and c.retired_by is null then null else excluded.retired_by end,
                retired_because = case when c.closed and c.retired_by is null then null
                    else excluded.retired_because end,
                void = excluded.void + coalesce(c.void, '{}'),
                -- Of an older receipt, said again, nothing but what only rises.
                in_doubt = case
                    when (excluded.assigned, excluded.acknowledged) >= (c.assigned, c.acknowledged)
                        then excluded.in_doubt
                    else c.in_doubt
                end
            """,
            {
                "id": receipt.collector_id,
                "assigned": receipt.assigned,
                "acknowledged": receipt.acknowledged,
                "durable": receipt.durable_through,
                "closed": receipt.closed,
                "at": receipt.at,
                "by": receipt.retired.by if receipt.retired else None,
                "because": receipt.retired.reason if receipt.retired else None,
                "void": said.void,
                "in_doubt": said.in_doubt,
            },
        )
        land_cells.fold(connection, receipt.collector_id, said.cells)


def _held(connection: psycopg.Connection[Any], topic_id: str, partitions: Mapping[int, int]) -> dict[int, int]:
    """How far these partitions were read, locked: a lander that was paused must not fold old receipts in beside us."""
    connection.execute(
        """
        insert into ledger.receipts_read (topic_id, partition, next_offset)
        select %s, p, 0 from unnest(%s::int[]) as p order by p on conflict do nothing
        """,
        (topic_id, list(partitions)),
    )
    rows = connection.execute(
        """
        select partition, next_offset from ledger.receipts_read
        where topic_id = %s and partition = any(%s) order by partition for update
        """,
        (topic_id, list(partitions)),
    )
    return dict(rows.fetchall())


def _read_through(connection: psycopg.Connection[Any], topic_id: str, ends: Mapping[int, int]) -> None:
    connection.execute(
        """
        insert into ledger.receipts_read as r (topic_id, partition, next_offset)
        select %s, p, o from unnest(%s::int[], %s::bigint[]) as given (p, o) order by p
        on conflict (topic_id, partition) do update set next_offset = greatest(r.next_offset, excluded.next_offset)
        """,
        (topic_id, list(ends), list(ends.values())),
    )
