"""How far each type is loaded, and who may load it now."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

import psycopg

SESSION = "-c timezone=UTC -c datestyle=ISO,YMD"
"""Options of a loader's connection: hours and months are those of UTC, a row's text is the same on every server."""


class Busy(Exception):
    """Another load has the type, and had it for as long as we could wait."""


@dataclass(frozen=True)
class State:
    """One type. Everything Kafka took before ``landed_through`` is in the lake; None while no lander has said so.

    Below ``floor`` nothing is recomputed; None: no floor was set.
    """

    land_seq: int
    sequence_number: int
    metadata_location: str | None
    landed_through: datetime | None
    pending: bool
    floor: datetime | None = None


def states(connection: psycopg.Connection, types: Sequence[str]) -> Mapping[str, State]:
    """How each of ``types`` stands. To be read *before* the lake: it promises nothing about what is committed later."""
    rows = connection.execute(
        """
        select
            t.type,
            coalesce(c.land_seq, 0),
            coalesce(c.sequence_number, 0),
            c.metadata_location,
            l.through,
            exists (select from ledger.touched as d where d.type = t.type),
            f.floor
        from unnest(%s::text[]) as t (type)
        left join ledger.cursors as c on c.type = t.type
        left join ledger.landed as l on l.type = t.type
        left join ledger.lake_floor as f on f.type = t.type
        """,
        (list(types),),
    )
    return {row[0]: State(*row[1:]) for row in rows}


def nothing_new(connection: psycopg.Connection, seen: Mapping[str, tuple[str, datetime | None]]) -> None:
    """Move ``loaded_through`` on for types whose table still is as it was loaded.

    ``seen`` gives by type the table's metadata location and ``landed_through`` read before it. Needs no lock: where
    the cursor is at that very metadata, everything in it is loaded or touched.
    """
    connection.execute(
        """
        update ledger.cursors as c
        set loaded_through = greatest(c.loaded_through, s.through), updated_at = now()
        from unnest(%s::text[], %s::text[], %s::timestamptz[]) as s (type, metadata_location, through)
        where c.type = s.type and c.metadata_location = s.metadata_location
            and s.through > coalesce(c.loaded_through, '-infinity')
        """,
        (list(seen), [location for location, _ in seen.values()], [through for _, through in seen.values()]),
    )


@contextmanager
def type_lock(connection: psycopg.Connection, type_: str, wait_seconds: float) -> Iterator[None]:
    """Be the only load of this type. The lock is the connection's: when that is lost, so are lock and writes alike.

    ``connection`` must be in autocommit mode.

    :raises Busy: another load kept it for ``wait_seconds``.
    """
    connection.execute("select set_config('lock_timeout', %s, false)", (f"{max(1, int(wait_seconds * 1000))}ms",))
    try:
        connection.execute("select pg_advisory_lock(hashtextextended('load:' || %s, 0))", (type_,))
    except psycopg.errors.LockNotAvailable as error:
        raise Busy(f"another load has {type_}") from error
    finally:
        connection.execute("select set_config('lock_timeout', '0', false)")
    try:
        yield
    finally:
        if not connection.closed:
            connection.execute("select pg_advisory_unlock(hashtextextended('load:' || %s, 0))", (type_,))


def change_horizon(connection: psycopg.Connection) -> int:
    """A change_id that no touch of a lake commit which is not yet visible can have: read it, then pin the table.

    Whoever changes the lake commits first and touches after; so a touch up to this number is of a commit already there.
    """
    row = connection.execute("select last_value from ledger.change_seq").fetchone()
    assert row is not None  # noqa: S101 - a sequence always has its one row
    return int(row[0])
