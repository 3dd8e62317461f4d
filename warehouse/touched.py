"""``ledger.touched``: put minutes in, take the newest out in chunks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import psycopg
import pyarrow as pa

from warehouse import repairs

_AT_ONCE = 20_000
NONE_REPAIRED: Mapping[tuple[str, str], datetime] = {}


@dataclass(frozen=True)
class Touched:
    """A tenant's minute to recompute; ``events`` is about how many rows of the lake that takes."""

    tenant: str
    minute: datetime
    change_id: int
    cause: str
    received_from: datetime
    events: int


def record(
    connection: psycopg.Connection,
    type_: str,
    minutes: pa.Table,
    quarantined: pa.Table,
    *,
    land_seq: int,
    sequence_number: int,
    metadata_location: str,
    through: datetime | None,
    late_after: timedelta,
    repaired: Mapping[tuple[str, str], datetime] = NONE_REPAIRED,
) -> None:
    """Note ``minutes`` (tenant, minute, events, received_from) as touched and move the cursor, in one transaction.

    So every row of the lake up to the cursor is in the rollups or in ``touched``, whatever breaks after or before. Or
    it is ``quarantined`` (tenant, minute, received_hour, events) and booked here: nobody will recompute its minute.

    ``repaired`` gives by tenant and event_id the minutes of those among the rows that are repaired events: their cause
    is `repair`, and they are marked as met.
    """
    mended = sorted({(tenant, minute) for (tenant, _), minute in repaired.items()})
    ordered = minutes.sort_by([("tenant", "ascending"), ("minute", "ascending")])
    with connection.transaction():
        _book_quarantined(connection, type_, quarantined)
        repairs.met(connection, type_, repaired)
        for start in range(0, ordered.num_rows, _AT_ONCE):
            part = ordered.slice(start, _AT_ONCE)
            connection.execute(
                """
                insert into ledger.touched as t (type, tenant, minute, cause, received_from, events)
                select
                    %(type)s, n.tenant, n.minute,
                    case
                        when r.minute is not null then 'repair'
                        when n.received_from - n.minute > %(late)s then 'late'
                        else 'load'
                    end,
                    n.received_from, n.events
                from unnest(
                    %(tenants)s::text[], %(minutes)s::timestamptz[], %(from)s::timestamptz[], %(events)s::bigint[]
                ) as n (tenant, minute, received_from, events)
                left join unnest(%(mended_tenants)s::text[], %(mended_minutes)s::timestamptz[]) as r (tenant, minute)
                    on r.tenant = n.tenant and r.minute = n.minute
                on conflict (type, tenant, minute) do update set
                    change_id = excluded.change_id,
                    cause = case
                        when t.cause = 'load' or (t.cause = 'late' and excluded.cause = 'repair') then excluded.cause
                        else t.cause
                    end,
                    received_from = least(t.received_from, excluded.received_from),
                    events = t.events + excluded.events,
                    touched_at = now()
                """,
                {
                    "type": type_,
                    "late": late_after,
                    "mended_tenants": [tenant for tenant, _ in mended],
                    "mended_minutes": [minute for _, minute in mended],
                    "tenants": part["tenant"].to_pylist(),
                    "minutes": part["minute"].to_pylist(),
                    "from": part["received_from"].to_pylist(),
                    "events": part["events"].to_pylist(),
                },
            )
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
            (type_, land_seq, sequence_number, metadata_location, through),
        )


def _book_quarantined(connection: psycopg.Connection, type_: str, cells: pa.Table) -> None:
    """Added to what is there, and not put in its place: rows that were booked so before may be gone from the lake."""
    for start in range(0, cells.num_rows, _AT_ONCE):
        part = cells.slice(start, _AT_ONCE)
        connection.execute(
            """
            insert into ledger.cells as c (
                type, tenant, minute, received_hour,
                landed, counted, duplicates, collisions, copies, minted, over_cap, quarantined
            )
            select %s, q.tenant, q.minute, q.received_hour, q.events, 0, 0, 0, 0, 0, 0, q.events
            from unnest(%s::text[], %s::timestamptz[], %s::timestamptz[], %s::bigint[])
                as q (tenant, minute, received_hour, events)
            order by q.tenant, q.minute, q.received_hour
            on conflict (type, tenant, minute, received_hour) do update set
                landed = c.landed + excluded.landed,
                quarantined = c.quarantined + excluded.quarantined
            """,
            (type_, *(part[name].to_pylist() for name in ("tenant", "minute", "received_hour", "events"))),
        )


def drop_below(connection: psycopg.Connection, type_: str, floor: datetime) -> int:
    """Forget touched minutes below the lake's floor, which must not be recomputed; gives how many there were.

    To be called under the type's lock. What arrived was loaded or quarantined before: a floor is raised only over
    minutes that nothing waits for. Left are touches by hand, of reprocessing or of a new column.
    """
    return connection.execute("delete from ledger.touched where type = %s and minute < %s", (type_, floor)).rowcount


def newest(
    connection: psycopg.Connection,
    type_: str,
    *,
    horizon: int,
    floor: datetime | None,
    most_minutes: int,
    most_events: int,
) -> list[Touched]:
    """The newest touched minutes up to ``horizon``, as many as fit both bounds, and at least one if there is any.

    None below ``floor``: the lake no longer has what those minutes were made of. None that is held: a file with events
    of it is missing, and it would come out too small.
    """
    rows = connection.execute(
        """
        select t.tenant, t.minute, t.change_id, t.cause, t.received_from, t.events + coalesce(c.landed, 0)::bigint
        from ledger.touched as t
        left join lateral (
            select sum(l.landed) as landed from ledger.cells as l
            where l.type = t.type and l.tenant = t.tenant and l.minute = t.minute
        ) as c on true
        where
            t.type = %s and t.change_id <= %s and t.minute >= coalesce(%s, '-infinity'::timestamptz)
            and not exists (
                select from ledger.held_minutes as h
                where h.type = t.type and h.tenant = t.tenant and h.minute = t.minute
            )
        order by t.minute desc, t.tenant
        limit %s
        """,
        (type_, horizon, floor, most_minutes),
    ).fetchall()
    taken: list[Touched] = []
    events = 0
    for row in rows:
        touched = Touched(*row)
        events += touched.events
        if taken and events > most_events:
            break
        taken.append(touched)
    return taken


def left(connection: psycopg.Connection, type_: str) -> int:
    """How many minutes of the type are still touched."""
    row = connection.execute("select count(*) from ledger.touched where type = %s", (type_,)).fetchone()
    assert row is not None  # noqa: S101 - an aggregate without group by always gives a row
    return int(row[0])


def months(claimed: Sequence[Touched]) -> list[datetime]:
    """The first instants of the months that ``claimed`` falls into."""
    return sorted({t.minute.replace(day=1, hour=0, minute=0, second=0, microsecond=0) for t in claimed})
