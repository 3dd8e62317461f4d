"""``ledger.lake_files`` and what they hold, brought to what a table of the lake names now and what is really there."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import psycopg

from books.contents import Contents
from books.lake_files import Named, gone, named
from books.touch import touch_hours, touch_minutes
from spark_jobs.lake import Pinned

Read = Callable[[Named], Contents]


@dataclass
class Indexed:
    """What came of one table. ``complete``: everything that is there was read. ``land_seq``: as of the snapshot."""

    type: str
    land_seq: int = 0
    files_read: int = 0
    files_left: int = 0
    missing: int = 0
    newly_missing: int = 0
    returned: int = 0
    forgotten: int = 0

    @property
    def complete(self) -> bool:
        """Whether the ledger knows all that the table holds."""
        return not self.files_left


def index(connection: psycopg.Connection, type_: str, pinned: Pinned, read: Read, deadline: float) -> Indexed:
    """Bring the ledger to the table's newest snapshot, a file in one transaction, until ``deadline`` (monotonic).

    ``connection`` must be in autocommit mode. Each file is read once; where this is cut off the next run goes on.

    :raises OSError: the store is away: what is missing is not known then, and nothing was changed by this.
    """
    snapshot = named(pinned, _read_manifests(connection, type_))
    done = Indexed(type_, snapshot.land_seq)
    _name(connection, type_, snapshot.files)
    current = list(snapshot.manifests)
    by_path = {file.path: file for file in snapshot.files}
    absent = gone(pinned, _sizes(connection, type_, current))
    _note_gone(connection, type_, current, absent, by_path, done)
    unread = [(file_id, by_path[path]) for file_id, path in _unread(connection, type_, current)]
    for at, (file_id, file) in enumerate(unread):
        if time.monotonic() > deadline:
            done.files_left = len(unread) - at
            return done
        try:
            contents = read(file)
        except FileNotFoundError:
            done.files_left += 1  # gone since it was looked for: the next run finds it so
            continue
        with connection.transaction():
            keep(connection, type_, file_id, contents)
        done.files_read += 1
    if done.complete:
        done.forgotten = _forget_what_left(connection, type_, current)
    return done


def keep(connection: psycopg.Connection, type_: str, file_id: int, contents: Contents) -> None:
    """Note what a file holds, and that its hours are to be balanced."""
    with connection.cursor() as cursor:
        with cursor.copy(
            "copy ledger.file_ranges"
            " (file_id, kind, type, tenant, received_hour, collector_id, sequences, rows) from stdin"
        ) as copy:
            for r in contents.ranges:
                copy.write_row(
                    (file_id, r.kind, r.type, r.tenant, r.received_hour, r.collector_id, r.sequences, r.rows)
                )
        with cursor.copy("copy ledger.file_minutes (file_id, tenant, minute, received_hour, rows) from stdin") as copy:
            for m in contents.minutes:
                copy.write_row((file_id, m.tenant, m.minute, m.received_hour, m.rows))
    was = connection.execute(
        """
        update ledger.lake_files as f set read = true, land_seq = %s, missing_since = null
        from ledger.lake_files as before
        where f.file_id = %s and before.file_id = f.file_id
        returning before.missing_since is not null
        """,
        (contents.land_seq, file_id),
    ).fetchone()
    touch_hours(connection, type_, [file_id])
    if was is not None and was[0]:
        touch_minutes(connection, type_, [file_id])


def _read_manifests(connection: psycopg.Connection, type_: str) -> dict[str, int]:
    """Manifests of which every known file was read, and how many those are.

    Of one with a file whose size nobody noted yet it is not known: it is opened again.
    """
    rows = connection.execute(
        """
        select manifest, count(*) from ledger.lake_files where type = %s and state <> 'expired'
        group by manifest having bool_and(read and size is not null)
        """,
        (type_,),
    )
    return dict(rows.fetchall())


def _name(connection: psycopg.Connection, type_: str, files: Sequence[Named]) -> None:
    connection.execute(
        """
        insert into ledger.lake_files as f (type, path, manifest, day, rows, size)
        select %s, n.path, n.manifest, n.day, n.rows, n.size
        from unnest(%s::text[], %s::text[], %s::date[], %s::bigint[], %s::bigint[])
            as n (path, manifest, day, rows, size)
        order by n.path
        on conflict (path) do update set
            manifest = excluded.manifest,
            size = excluded.size,
            state = case when f.state = 'expired' then 'here' else f.state end,
            seen_at = now()
        """,
        (
            type_,
            [f.path for f in files],
            [f.manifest for f in files],
            [f.day for f in files],
            [f.rows for f in files],
            [f.size for f in files],
        ),
    )


def _sizes(connection: psycopg.Connection, type_: str, manifests: list[str]) -> dict[str, int]:
    rows = connection.execute(
        "select path, size from ledger.lake_files where type = %s and manifest = any(%s)", (type_, manifests)
    )
    return dict(rows.fetchall())


def _unread(connection: psycopg.Connection, type_: str, manifests: list[str]) -> list[tuple[int, str]]:
    """Newest first: what came last is looked at first."""
    return connection.execute(
        """
        select file_id, path from ledger.lake_files
        where type = %s and manifest = any(%s) and not read and state = 'here'
        order by day desc nulls last, file_id desc
        """,
        (type_, manifests),
    ).fetchall()


def _note_gone(  # noqa: PLR0917 - as its one caller has them
    connection: psycopg.Connection,
    type_: str,
    manifests: list[str],
    found: Mapping[str, int | None],
    named_anew: Mapping[str, Named],
    done: Indexed,
) -> None:
    """Files whose objects went and came back: their hours, and the minutes that are held meanwhile.

    ``found``: those that are not there as named, with the size of what is there instead.
    """
    absent = list(found)
    unread = [file for path in absent if (file := named_anew.get(path)) is not None]
    with connection.transaction():
        lost = connection.execute(
            """
            update ledger.lake_files set state = 'missing', missing_since = now()
            where type = %s and manifest = any(%s) and state = 'here' and path = any(%s)
            returning file_id
            """,
            (type_, manifests, absent),
        ).fetchall()
        back = connection.execute(
            """
            update ledger.lake_files set
                state = 'here',
                found_size = null,
                missing_since = case when not read then missing_since end
            where type = %s and manifest = any(%s) and state = 'missing' and not path = any(%s)
            returning file_id
            """,
            (type_, manifests, absent),
        ).fetchall()
        connection.execute(
            """
            update ledger.lake_files as f set found_size = n.size
            from unnest(%s::text[], %s::bigint[]) as n (path, size)
            where f.path = n.path and f.found_size is distinct from n.size
            """,
            (absent, [found[path] for path in absent]),
        )
        lost_ids, back_ids = [file_id for (file_id,) in lost], [file_id for (file_id,) in back]
        connection.execute(
            """
            insert into ledger.held_minutes (type, tenant, minute, file_id)
            select distinct %s, m.tenant, m.minute, m.file_id from ledger.file_minutes as m
            where m.file_id = any(%s)
            on conflict do nothing
            """,
            (type_, lost_ids),
        )
        # What was never read here may have been loaded: then it counts in minutes within its bounds, and nobody knows
        # in which.
        connection.execute(
            """
            insert into ledger.held_minutes (type, tenant, minute, file_id)
            select distinct %(type)s, c.tenant, c.minute, f.file_id
            from unnest(%(paths)s::text[], %(firsts)s::timestamptz[], %(lasts)s::timestamptz[]) as n (path, first, last)
            inner join ledger.lake_files as f on f.path = n.path and not f.read and f.file_id = any(%(lost)s)
            inner join ledger.cells as c
                on c.type = %(type)s
                and c.minute between
                    date_trunc('minute', coalesce(n.first, f.day::timestamp at time zone 'UTC'), 'UTC')
                    and coalesce(n.last, (f.day + 1)::timestamp at time zone 'UTC')
            on conflict do nothing
            """,
            {
                "type": type_,
                "lost": lost_ids,
                "paths": [file.path for file in unread],
                "firsts": [file.first for file in unread],
                "lasts": [file.last for file in unread],
            },
        )
        connection.execute("delete from ledger.held_minutes where file_id = any(%s)", (back_ids,))
        touch_hours(connection, type_, lost_ids + back_ids)
        touch_minutes(connection, type_, back_ids)
    done.newly_missing, done.returned = len(lost_ids), len(back_ids)
    done.missing = len(absent)


def _forget_what_left(connection: psycopg.Connection, type_: str, manifests: list[str]) -> int:
    """Files that the snapshot names no more: rewritten, or deleted by maintenance; gives how many.

    What was below the floor had landed and was booked before it was deleted, so it goes on counting as landed. A
    rewrite is told from that by its rows, which are in other files then.
    """
    with connection.transaction():
        expired = connection.execute(
            """
            update ledger.lake_files as f set state = 'expired'
            where
                f.type = %(type)s and f.state <> 'expired' and not f.manifest = any(%(manifests)s)
                and f.day < (
                    select (l.floor at time zone 'UTC')::date from ledger.lake_floor as l where l.type = %(type)s
                )
                and exists (
                    select from ledger.file_ranges as r
                    where
                        r.file_id = f.file_id
                        and not r.sequences <@ coalesce((
                            select range_agg(o.sequences) from ledger.file_ranges as o
                            inner join ledger.lake_files as other on o.file_id = other.file_id
                            where
                                other.type = %(type)s and other.manifest = any(%(manifests)s) and other.state = 'here'
                                and o.received_hour = r.received_hour and o.tenant = r.tenant
                                and o.collector_id = r.collector_id and o.kind = r.kind and o.type = r.type
                        ), '{}')
                )
            returning f.file_id
            """,
            {"type": type_, "manifests": manifests},
        ).fetchall()
        # One that was missing, too: nothing is recomputed there any more.
        connection.execute(
            "delete from ledger.held_minutes where file_id = any(%s)", ([file_id for (file_id,) in expired],)
        )
        left = connection.execute(
            "select file_id from ledger.lake_files where type = %s and state <> 'expired' and not manifest = any(%s)",
            (type_, manifests),
        ).fetchall()
        ids = [file_id for (file_id,) in left]
        touch_hours(connection, type_, ids)
        connection.execute("delete from ledger.lake_files where file_id = any(%s)", (ids,))
    return len(ids)
