"""``ledger.rejects``: hours of receipt whose rejected events are counted anew, each in one transaction."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

import psycopg

CURSOR = "rejected_events"
"""The row of ``ledger.cursors``, as the lander calls it in ``ledger.landed``. No event type may have this name."""


@dataclass(frozen=True)
class TouchedHour:
    """An hour of receipt to count anew; ``change_id`` says as of which touch."""

    hour: datetime
    change_id: int


@dataclass(frozen=True)
class RejectCount:
    """One row of ``ledger.rejects``, but for its hour. ``rejected`` adds up over reasons, ``named`` does not."""

    tenant: str
    event_type: str
    reason: str
    field: str
    rejected: int
    named: int
    key_id: str = "(none)"
    version: str = "(none)"


def record(
    connection: psycopg.Connection,
    hours: Collection[datetime],
    *,
    land_seq: int,
    sequence_number: int,
    metadata_location: str,
    through: datetime | None,
) -> None:
    """Note ``hours`` as touched and move the cursor, in one transaction.

    So every row of the lake up to the cursor is in ``rejects`` or its hour is touched, whatever breaks after or before.
    """
    with connection.transaction():
        touch(connection, hours)
        connection.execute(
            """
            insert into ledger.cursors as c (type, land_seq, sequence_number, metadata_location, loaded_through)
            values (%s, %s, %s, %s, %s)
            on conflict (type) do update set
                land_seq = excluded.land_seq,
                sequence_number = excluded.sequence_number,
                metadata_location = excluded.metadata_location,
                loaded_through = greatest(c.loaded_through, excluded.loaded_through),
                updated_at = now()
            """,
            (CURSOR, land_seq, sequence_number, metadata_location, through),
        )


def touch(connection: psycopg.Connection, hours: Collection[datetime]) -> None:
    """Have ``hours`` (their starts, UTC) counted anew by the next load."""
    connection.execute(
        """
        insert into ledger.rejects_touched (received_hour)
        select unnest(%s::timestamptz[])
        on conflict (received_hour) do update set change_id = excluded.change_id, touched_at = now()
        """,
        (sorted(hours),),
    )


def forget_cursor(connection: psycopg.Connection) -> None:
    """Have everything in the lake counted anew, and every hour that has a count: also one that the lake has no more."""
    with connection.transaction():
        hours = connection.execute("select distinct received_hour from ledger.rejects").fetchall()
        touch(connection, [hour for (hour,) in hours])
        connection.execute(
            """
            update ledger.cursors set land_seq = 0, sequence_number = 0, metadata_location = null, updated_at = now()
            where type = %s
            """,
            (CURSOR,),
        )


def newest(connection: psycopg.Connection, horizon: int) -> TouchedHour | None:
    """The newest touched hour whose touch is not above ``horizon``; None: there is none.

    None of a day of which a file is missing: it would be counted too small. Nor one below the floor: what the lake had
    of it is deleted, its counts are all there is of it, and who touched it is not answered.
    """
    connection.execute(
        "delete from ledger.rejects_touched as t using ledger.lake_floor as f"
        " where f.type = %s and t.received_hour < f.floor",
        (CURSOR,),
    )
    row = connection.execute(
        """
        select t.received_hour, t.change_id from ledger.rejects_touched as t
        where
            t.change_id <= %s
            and not exists (
                select from ledger.lake_files as f
                where
                    f.type = %s and f.state = 'missing'
                    and coalesce(f.day = (t.received_hour at time zone 'UTC')::date, true)
            )
        order by t.received_hour desc
        limit 1
        """,
        (horizon, CURSOR),
    ).fetchone()
    return None if row is None else TouchedHour(*row)


def replace(connection: psycopg.Connection, touched: TouchedHour, counts: Iterable[RejectCount]) -> None:
    """Put ``counts`` in the place of what the hour had, and take it off the list, unless it was touched again."""
    with connection.transaction():
        connection.execute("delete from ledger.rejects where received_hour = %s", (touched.hour,))
        with connection.cursor() as cursor:
            cursor.executemany(
                """
                insert into ledger.rejects (
                    received_hour, tenant, event_type, reason, field, rejected, named, key_id, schema_version
                )
                values (%s, %s, %s, %s, %s, %s, %s, %s, %s)
                """,
                [
                    (touched.hour, c.tenant, c.event_type, c.reason, c.field, c.rejected, c.named, c.key_id, c.version)
                    for c in counts
                ],
            )
        connection.execute(
            "delete from ledger.rejects_touched where received_hour = %s and change_id = %s",
            (touched.hour, touched.change_id),
        )


def left(connection: psycopg.Connection) -> int:
    """How many hours wait to be counted."""
    row = connection.execute("select count(*) from ledger.rejects_touched").fetchone()
    assert row is not None  # noqa: S101 - an aggregate without group by always gives a row
    return int(row[0])
