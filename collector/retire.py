"""Closing a collector that was lost with its state: what became of its events, and the receipt that says so.

A collector that died is closed by the next start on its state folder, which sends what its spool holds. Where that
folder is gone nobody can do this; the collector stays open, and "complete through" does not pass its last promise. An
operator closes it then, knowing what that means. Its receipt goes the way of all others, so the lander learns of it as
of any, and it counts nothing as void: what was acknowledged and is not in the lake is a loss with a name to it.
"""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
from confluent_kafka import KafkaException, Producer
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.exceptions import NoSuchTableError

from collector.collectors import Collector
from collector.lake import TableSpec
from collector.land_commit import State
from collector.land_quality import RECEIPTS_TOPIC, REJECTS_TOPIC
from collector.land_topic import CLIENT_LOG, Brokers
from collector.ranges import Ranges, size, united, without

MOST_RANGES = 10_000
"""Ranges of lost sequences that a receipt names; their number says all of them."""
_SECONDS = 30.0


class NotNow(Exception):
    """The collector cannot be retired as things are; the message says why, and what to do."""


@dataclass(frozen=True)
class Fate:
    """What is known of a collector. ``heard``: its last receipt, which speaks of the sequences up to ``assigned``.

    ``lost``: acknowledged by then and not in the lake. ``in_doubt``: at work then, and not in the lake either.
    ``beyond``: in the lake, though handed out after the last receipt; what else was taken after it nobody knows.
    """

    collector_id: str
    heard: datetime
    assigned: int
    acknowledged: int
    void: Ranges
    durable_through: datetime
    landed: int
    lost: Ranges
    in_doubt: Ranges
    beyond: Ranges

    def as_json(self) -> dict[str, Any]:
        """For the command's last line."""
        return {
            "collector_id": self.collector_id,
            "heard": self.heard.isoformat(),
            "assigned": self.assigned,
            "acknowledged": self.acknowledged,
            "durable_through": self.durable_through.isoformat(),
            "landed": self.landed,
            "lost": size(self.lost),
            "lost_ranges": self.lost[:MOST_RANGES],
            "in_doubt": size(self.in_doubt),
            "in_doubt_ranges": self.in_doubt[:MOST_RANGES],
            "landed_beyond": size(self.beyond),
        }


def check(collector: Collector | None, silent: timedelta) -> Collector:
    """The collector, if it is one to retire: open, and not heard of for so long.

    :raises NotNow: it is unknown, closed, or alive.
    """
    if collector is None:
        raise NotNow("no receipt of this collector was ever read; `watershed collectors list --all` names those known")
    if collector.closed:
        raise NotNow("it is closed already and holds nothing back")
    ago = datetime.now(UTC) - collector.heard
    if ago < silent:
        raise NotNow(
            f"it was heard of {ago.total_seconds():.0f} s ago, so it is alive: stop it, which closes it. If it "
            f"was killed and its folder is gone, wait until it was silent for {silent.total_seconds():.0f} s"
        )
    return collector


def wait_until_landed(catalog: SqlCatalog, brokers: Brokers, specs: Mapping[str, TableSpec], seconds: float) -> None:
    """Return when the lake has everything that Kafka has now: else what only waits would be called lost.

    :raises NotNow: it did not come to that in time.
    :raises KafkaException: the brokers are away.
    """
    # What the landers find to be poison goes to the rejects, whose end is asked for after that.
    for topics in ([t for t in specs if t != REJECTS_TOPIC], [REJECTS_TOPIC]):
        infos = brokers.describe(topics)
        ends = brokers.end_offsets({topic: info.partitions for topic, info in infos.items()})
        until = time.monotonic() + seconds
        while behind := [topic for topic in infos if not _has_landed(catalog, specs[topic], ends[topic])]:
            if time.monotonic() > until:
                raise NotNow(
                    f"not in the lake yet: messages of {', '.join(behind)}; is the lander running? (`watershed lake "
                    "status`)"
                )
            time.sleep(0.5)


def _has_landed(catalog: SqlCatalog, spec: TableSpec, ends: Mapping[int, int]) -> bool:
    try:
        offsets = State.of(catalog.load_table(spec.identifier).properties).offsets
    except NoSuchTableError:
        return not any(ends.values())
    return all(offsets.get(partition, 0) >= end for partition, end in ends.items())


def fate(catalog: SqlCatalog, specs: Mapping[str, TableSpec], collector_id: str) -> Fate:
    """What its last receipt said, against what the lake has.

    :raises NotNow: the lake has no receipt of it.
    """
    receipts = _rows(catalog, specs[RECEIPTS_TOPIC], collector_id)
    own = [row for row in receipts.to_pylist() if not row["retired"]] if receipts is not None else []
    if not own:
        raise NotNow("the lake has no receipt of it")
    last = max(own, key=lambda row: (row["land_seq"], row["kafka_offset"]))
    void, in_doubt = united(json.loads(last["void"])), united(json.loads(last["in_doubt"]))
    landed = united(
        *(
            _ranges(rows["sequence"])
            for topic, spec in specs.items()
            if topic != RECEIPTS_TOPIC and (rows := _rows(catalog, spec, collector_id, "sequence")) is not None
        )
    )
    known: Ranges = [[1, last["assigned"]]] if last["assigned"] else []
    return Fate(
        collector_id,
        heard=last["at"],
        assigned=last["assigned"],
        acknowledged=last["acknowledged"],
        void=void,
        durable_through=last["durable_through"],
        landed=size(landed),
        lost=without(without(known, united(void, in_doubt)), landed),
        in_doubt=without(in_doubt, landed),
        beyond=without(landed, known),
    )


def _rows(catalog: SqlCatalog, spec: TableSpec, collector_id: str, *fields: str) -> pa.Table | None:
    try:
        table = catalog.load_table(spec.identifier)
    except NoSuchTableError:
        return None
    scan = table.scan(row_filter=f"collector_id == '{collector_id}'", selected_fields=fields or ("*",))
    return scan.to_arrow()


def _ranges(numbers: "pa.ChunkedArray[Any]") -> Ranges:
    """The ranges of numbers in any order, with repetitions or not."""
    ordered = np.unique(numbers.drop_null().to_numpy())
    if not len(ordered):
        return []
    breaks = np.flatnonzero(np.diff(ordered) > 1)
    firsts, lasts = ordered[np.r_[0, breaks + 1]], ordered[np.r_[breaks, len(ordered) - 1]]
    return [[first, last] for first, last in zip(firsts.tolist(), lasts.tolist(), strict=True)]


def receipt(found: Fate, by: str, reason: str, now: datetime) -> bytes:
    """The closing receipt: the last one's words again, and who retired the collector, why, and what is lost."""
    return json.dumps(
        {
            "collector_id": found.collector_id,
            "assigned": max(found.assigned, *(last for _, last in found.beyond), 0),
            "acknowledged": found.acknowledged,
            "void": found.void,
            "in_doubt": found.in_doubt,
            "cells": [],  # the greatest value of a cell is its newest, and stands in the receipts before
            "durable_through": found.durable_through.isoformat(),
            "closed": True,
            "at": now.isoformat(),
            "retired": {
                "by": by,
                "reason": reason,
                "lost": size(found.lost),
                "lost_ranges": found.lost[:MOST_RANGES],
                "landed": found.landed,
            },
        }
    ).encode()


def publish(connection: Mapping[str, Any], collector_id: str, value: bytes) -> None:
    """Make the receipt durable.

    :raises NotNow: Kafka did not take it in time; it may have it all the same, which does no harm.
    """
    failed: list[str] = []
    producer = Producer(
        {
            **connection,
            "client.id": "watershed-retire",
            "enable.idempotence": True,
            "message.timeout.ms": round(_SECONDS * 1000),
            "message.max.bytes": 4 * 1024 * 1024,
        },
        logger=CLIENT_LOG,
    )
    try:
        producer.produce(
            RECEIPTS_TOPIC,
            value,
            key=collector_id,
            on_delivery=lambda error, _: failed.append(str(error)) if error else None,
        )
        if producer.flush(_SECONDS + 1) or failed:
            raise NotNow(f"Kafka did not take the receipt: {failed[0] if failed else 'no answer'}")
    except KafkaException as error:
        raise NotNow(f"Kafka did not take the receipt: {error}") from error
