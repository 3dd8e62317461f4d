"""What a receipt says beyond its totals, into the ledger: counts by tenant, type and hour, void and doubtful numbers.

The books (``books/``) compare it with what the lake holds. It comes from the receipt itself, and not from the lake's
copy of it, so that what the lake is checked by is not read from the lake.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

import msgspec
import psycopg

from collector.land_quality import Receipt
from collector.ranges import multirange

_Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
_Name = Annotated[str, msgspec.Meta(pattern=r"^[^\x00]*$")]
_Sequence = Annotated[int, msgspec.Meta(ge=1, le=2**63 - 2)]


class Cell(msgspec.Struct, gc=False):
    """Counts of one tenant, type and hour of receipt; ``event_type`` is None where none could be told."""

    tenant: _Name
    event_type: _Name | None
    received_hour: Annotated[datetime, msgspec.Meta(tz=True)]
    accepted: _Count
    rejected: _Count
    minted: _Count


@dataclass(frozen=True)
class Said:
    """A receipt's parts; the ranges as Postgres writes them."""

    cells: Sequence[Cell]
    void: str
    in_doubt: str


_YEARS = range(1970, 9999)
_cells = msgspec.json.Decoder(list[Cell]).decode
_ranges = msgspec.json.Decoder(list[tuple[_Sequence, _Sequence]]).decode


def said(cells: bytes | str, void: bytes | str, in_doubt: bytes | str) -> Said:
    """The parts of a receipt, from their JSON.

    :raises ValueError: one of them is not as the collector writes it.
    """
    try:
        found = Said(_cells(cells), _multirange(void), _multirange(in_doubt))
    except RecursionError as error:
        raise ValueError("too many levels") from error
    for cell in found.cells:
        if cell.received_hour.year not in _YEARS:
            raise ValueError(f"an hour of receipt that no clock shows: {cell.received_hour}")
    return found


def _multirange(text: bytes | str) -> str:
    ranges = _ranges(text)
    if any(first > last for first, last in ranges):
        raise ValueError("a range ends before it begins")
    return multirange(ranges)


def of_receipt(receipt: Receipt) -> Said:
    """See :func:`said`."""
    if "\0" in receipt.collector_id:
        raise ValueError("a collector_id that no collector has")
    return said(bytes(receipt.cells), bytes(receipt.void), bytes(receipt.in_doubt))


def fold(connection: psycopg.Connection[Any], collector_id: str, cells: Sequence[Cell]) -> None:
    """Bring a receipt's cells in: counters only rise, so the greatest is the newest, whenever it was said."""
    given = [c for c in cells if c.accepted or c.rejected]
    connection.execute(
        """
        insert into ledger.receipt_cells as c (
            collector_id, tenant, type, received_hour, accepted, rejected, minted
        )
        select
            %(id)s, g.tenant, g.type, date_trunc('hour', g.hour, 'UTC') as hour,
            max(g.accepted), max(g.rejected), max(g.minted)
        from unnest(
            %(tenants)s::text[], %(types)s::text[], %(hours)s::timestamptz[],
            %(accepted)s::bigint[], %(rejected)s::bigint[], %(minted)s::bigint[]
        ) as g (tenant, type, hour, accepted, rejected, minted)
        group by g.tenant, g.type, date_trunc('hour', g.hour, 'UTC')
        order by hour, g.tenant, g.type
        on conflict (received_hour, tenant, type, collector_id) do update set
            accepted = greatest(c.accepted, excluded.accepted),
            rejected = greatest(c.rejected, excluded.rejected),
            minted = greatest(c.minted, excluded.minted),
            updated_at = now()
        where (c.accepted, c.rejected, c.minted)
            <> (
                greatest(c.accepted, excluded.accepted),
                greatest(c.rejected, excluded.rejected),
                greatest(c.minted, excluded.minted)
            )
        """,
        {
            "id": collector_id,
            "tenants": [c.tenant for c in given],
            "types": [c.event_type or "" for c in given],
            "hours": [c.received_hour for c in given],
            "accepted": [c.accepted for c in given],
            "rejected": [c.rejected for c in given],
            "minted": [c.minted for c in given],
        },
    )
