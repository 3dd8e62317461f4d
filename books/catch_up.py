"""Receipts that the ledger never folded in, from the lake: from before it kept cells, or before it was made anew.

The lander folds each receipt as it comes from Kafka, where they stay for a week. A collector whose cells do not add up
to what it says it acknowledged has receipts that were read before cells were kept; one that nobody knows has them in
the lake only. What they say is brought in by the same rule: counters only rise, so the greatest is the newest.
"""

import json
from collections.abc import Collection
from datetime import UTC, datetime, timedelta

import psycopg

from books.settings import BooksSettings
from collector import land_cells
from runtime import log
from spark_jobs.catalog import metadata_locations
from spark_jobs.lake import batches, pin

logger = log.get(__name__)
TABLE = "quality.collector_receipts"
_UNKNOWN_SINCE = timedelta(days=3)
_COLUMNS = (
    "collector_id", "assigned", "acknowledged", "void", "in_doubt", "cells", "durable_through", "closed", "at",
    "retired", "land_seq", "kafka_offset",
)  # fmt: skip


def catch_up(
    connection: psycopg.Connection, catalog: psycopg.Connection, settings: BooksSettings, *, everything: bool = False
) -> int:
    """Fold in what the lake has of collectors that lack cells; gives how many receipts.

    Each is asked for once a day, and one that nobody knows while its events are not older; with ``everything`` all.
    Of that one only receipts of the last days are read: a run comes every five minutes, and they are kept for years.
    """
    lacking, unknown = _lacking(connection, everything=everything)
    location = metadata_locations(catalog, [TABLE]).get(TABLE)
    if not (lacking or unknown) or location is None:
        return 0
    since = None if everything else datetime.now(UTC) - _UNKNOWN_SINCE
    found = 0
    last: dict[str, dict[str, object]] = {}
    for batch in batches(pin(TABLE, location, settings), _filter(lacking, unknown, since), _COLUMNS):
        for row in batch.to_pylist():
            try:
                said = land_cells.said(row["cells"], row["void"], row["in_doubt"])
            except ValueError as error:  # what no collector wrote: as little to be believed here as by the lander
                logger.warning("a receipt in the lake says nothing", collector_id=row["collector_id"], why=str(error))
                continue
            with connection.transaction():
                land_cells.fold(connection, row["collector_id"], said.cells)
            found += 1
            before = last.get(row["collector_id"])
            if before is None or (row["land_seq"], row["kafka_offset"]) > (before["land_seq"], before["kafka_offset"]):
                last[row["collector_id"]] = row
    for row in last.values():
        _introduce(connection, row)
    connection.execute("update ledger.collectors set cells_sought_at = now() where collector_id = any(%s)", (lacking,))
    return found


def _filter(lacking: Collection[str], unknown: Collection[str], since: datetime | None) -> str:
    """Which receipts to read: of collectors that lack cells all, of unknown ones those ``since``."""

    def of(names: Collection[str]) -> str:
        quoted = ", ".join(f"'{name}'" for name in names)
        return f"collector_id in ({quoted})"

    parts = [of(lacking)] if lacking else []
    if unknown:
        parts.append(of(unknown) if since is None else f"({of(unknown)} and at >= '{since.isoformat()}')")
    return " or ".join(parts)


def _lacking(connection: psycopg.Connection, *, everything: bool) -> tuple[list[str], list[str]]:
    """Collectors whose cells do not add up, and such as nobody has heard of though their events have landed."""
    rows = connection.execute(
        """
        select c.collector_id, true
        from ledger.collectors as c
        left join lateral (
            select sum(r.accepted + r.rejected) as told from ledger.receipt_cells as r
            where r.collector_id = c.collector_id and r.tenant <> ''
        ) as r on true
        where
            (%(all)s or coalesce(c.cells_sought_at, '-infinity') < now() - interval '1 day')
            and coalesce(r.told, 0) < c.acknowledged
        union
        select distinct r.collector_id, false from ledger.file_ranges as r
        where
            not exists (select from ledger.collectors as c where c.collector_id = r.collector_id)
            and (%(all)s or r.received_hour > now() - interval '1 day')
        """,
        {"all": everything},
    )
    found: tuple[list[str], list[str]] = ([], [])
    for name, known in rows:
        if name.isascii() and name.isalnum():
            found[0 if known else 1].append(name)
    return found


def _introduce(connection: psycopg.Connection, row: dict[str, object]) -> None:
    """A collector that nobody knows, by its last word."""
    said = land_cells.said("[]", str(row["void"]), str(row["in_doubt"]))
    retired = json.loads(str(row["retired"])) if row["retired"] else {}
    connection.execute(
        """
        insert into ledger.collectors (
            collector_id, assigned, acknowledged, durable_through, closed, seen_at, retired_by, retired_because, void,
            in_doubt
        )
        values (%s, %s, %s, %s, %s, %s, %s, %s, %s::int8multirange, %s::int8multirange)
        on conflict (collector_id) do nothing
        """,
        (
            row["collector_id"], row["assigned"], row["acknowledged"], row["durable_through"], row["closed"], row["at"],
            retired.get("by"), retired.get("reason"), said.void, said.in_doubt,
        ),
    )  # fmt: skip
