"""The floor of the lake: raised before files are deleted, and below it nothing is recomputed (rule 5 of the design)."""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

import psycopg

from warehouse.rejects import CURSOR as REJECTED


@dataclass(frozen=True)
class Floor:
    """One type's floor; None: it has none. Rows up to ``land_seq`` are loaded or booked, others nobody has seen yet."""

    floor: datetime | None
    land_seq: int
    downsampled_to: datetime | None


def wanted(now: datetime, retention_days: int) -> datetime:
    """The start of the oldest day (UTC) of which nothing is past its retention."""
    day = (now.astimezone(UTC) - timedelta(days=retention_days)).date()
    return datetime.combine(day, time.min, UTC)


def read(connection: psycopg.Connection, type_: str) -> Floor:
    """The floor as it is."""
    row = connection.execute(
        """
        select f.floor, coalesce(c.land_seq, 0), f.downsampled_to
        from (select %s::text as type) as t
        left join ledger.lake_floor as f using (type)
        left join ledger.cursors as c using (type)
        """,
        (type_,),
    ).fetchone()
    assert row is not None  # noqa: S101 - an outer join of one row gives one
    return Floor(*row)


def floors(connection: psycopg.Connection) -> dict[str, datetime]:
    """The floor of each type that has one."""
    return dict(connection.execute("select type, floor from ledger.lake_floor").fetchall())


def reachable(connection: psycopg.Connection, type_: str, floor: datetime) -> datetime:
    """How far up to ``floor`` it can be raised now: not over a minute that waits to be recomputed.

    Of rejected events: not over an hour of receipt that waits to be counted.
    """
    row = connection.execute(
        """
        select least(%(floor)s, date_trunc('day', min(w.waits), 'UTC'))
        from (
            select minute as waits from ledger.touched where type = %(type)s
            union all
            select received_hour from ledger.rejects_touched where %(type)s = %(rejected)s
        ) as w
        """,
        {"floor": floor, "type": type_, "rejected": REJECTED},
    ).fetchone()
    assert row is not None  # noqa: S101 - an aggregate without group by always gives a row
    reached: datetime = row[0]
    return reached


def raise_to(connection: psycopg.Connection, type_: str, floor: datetime) -> Floor:
    """Raise the floor to ``floor``, or as far as is reachable; it is never lowered. Gives it as it is then.

    ``connection`` must hold the type's lock, so that no load is at work which read the floor before.
    """
    connection.execute(
        """
        insert into ledger.lake_floor as f (type, floor) values (%s, %s)
        on conflict (type) do update set floor = excluded.floor, raised_at = now() where excluded.floor > f.floor
        """,
        (type_, reachable(connection, type_, floor)),
    )
    return read(connection, type_)


def downsampled(connection: psycopg.Connection, type_: str, through: datetime) -> None:
    """Note that rollups before ``through`` are quarter-hours."""
    connection.execute("update ledger.lake_floor set downsampled_to = %s where type = %s", (through, type_))
