"""Restore a backup: beside what there is, and then put in its place, all databases in one transaction."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import psycopg
from psycopg import sql

from stack import backup as backups
from stack.backup import Backup
from stack.programs import StackError
from stack.servers import postgres
from stack.settings import StackSettings

_ATTEMPTS = 20
_READ_ONLY = "-c default_transaction_read_only=on"


def restore(settings: StackSettings, secrets: Mapping[str, str], backup: Backup, databases: Sequence[str]) -> None:
    """Make ``databases`` be what ``backup`` has of them; whoever is connected to them is thrown out at the end.

    Until then readers see what there was, and so they do if anything fails. Roles and passwords are the stack's own. A
    floor of the lake stays as high as it is: what lies below is gone, and who recomputed it would find nothing.

    :raises StackError: the backup is damaged, or Postgres is away or refused.
    """
    backups.verify(backup, databases)
    try:
        with psycopg.connect(postgres.dsn(settings, secrets, "postgres", "postgres"), autocommit=True) as admin:
            try:
                for database in databases:
                    _beside(admin, database)
                    words = ["--exit-on-error", "--single-transaction", "--dbname", _draft(database)]
                    backups.run("pg_restore", [*words, backup.dump(database)], settings, secrets)
                if "warehouse" not in databases:
                    with _set_back(settings, secrets, backup):
                        _put_in_place(admin, databases)
                else:
                    if _is_there(admin, "warehouse"):
                        _keep_floors(settings, secrets)
                    _put_in_place(admin, databases)
            finally:
                for database in databases:
                    _drop(admin, _draft(database))
        # A dump does not say who may connect to its database; the catalog's tables have their rights from here, too.
        postgres.step_roles(settings, secrets).do()
    except psycopg.Error as error:
        raise StackError(f"restore: {str(error).strip()}") from error


def sizes(settings: StackSettings, secrets: Mapping[str, str], databases: Sequence[str]) -> Mapping[str, int | None]:
    """The bytes of what would be replaced; None: there is no such database."""
    try:
        with psycopg.connect(postgres.dsn(settings, secrets, "postgres", "postgres")) as admin:
            rows = admin.execute(
                "select datname, pg_database_size(oid) from pg_database where datname = any(%s)", (list(databases),)
            ).fetchall()
    except psycopg.Error as error:
        raise StackError(f"Postgres does not answer: {str(error).strip()}") from error
    found: dict[str, int] = dict(rows)
    return {database: found.get(database) for database in databases}


def _beside(admin: psycopg.Connection, database: str) -> None:
    draft = sql.Identifier(_draft(database))
    _drop(admin, _draft(database))
    owner = sql.Identifier(postgres.DATABASES[database])
    admin.execute(sql.SQL("create database {} owner {} template template0").format(draft, owner))
    admin.execute(sql.SQL("revoke all on database {} from public").format(draft))


@contextmanager
def _set_back(settings: StackSettings, secrets: Mapping[str, str], backup: Backup) -> Iterator[None]:
    """Have the warehouse load again what the lake lands again, and keep loads away until its catalog is the older one.

    Commits after the backup are made anew, under numbers that the warehouse takes for loaded, and with other events in
    them: those would never be counted. What is loaded twice is counted once, as a minute is computed as a whole.
    """
    with psycopg.connect(postgres.dsn(settings, secrets, "postgres", "warehouse"), autocommit=True) as warehouse:
        known = warehouse.execute("select to_regclass('ledger.cursors') is not null").fetchone()
        if known and known[0]:
            # The lock of warehouse/load_state.py.
            warehouse.execute(
                "select pg_advisory_lock(hashtextextended('load:' || type, 0))"
                " from (select type from ledger.cursors order by type) as c"
            )
            warehouse.execute(
                """
                update ledger.cursors as c set land_seq = l.land_seq, sequence_number = 0, metadata_location = null
                from (
                    select k.type, coalesce(b.land_seq, 0) as land_seq
                    from ledger.cursors as k
                    left join unnest(%s::text[], %s::bigint[]) as b (type, land_seq) on b.type = k.type
                ) as l
                where l.type = c.type and l.land_seq < c.land_seq
                """,
                (list(backup.loaded), list(backup.loaded.values())),
            )
        yield


def _keep_floors(settings: StackSettings, secrets: Mapping[str, str]) -> None:
    with psycopg.connect(postgres.dsn(settings, secrets, "postgres", "warehouse"), options=_READ_ONLY) as there:
        known = there.execute("select to_regclass('ledger.lake_floor') is not null").fetchone()
        floors = there.execute("select type, floor from ledger.lake_floor").fetchall() if known and known[0] else []
    with psycopg.connect(postgres.dsn(settings, secrets, "postgres", _draft("warehouse"))) as restored:
        restored.cursor().executemany(
            """
            insert into ledger.lake_floor as f (type, floor) values (%s, %s)
            on conflict (type) do update set floor = excluded.floor where excluded.floor > f.floor
            """,
            floors,
        )


def _put_in_place(admin: psycopg.Connection, databases: Sequence[str]) -> None:
    for database in databases:
        _drop(admin, _replaced(database))
    for attempt in range(1, _ATTEMPTS + 1):
        # A database that somebody is connected to cannot be renamed, and processes of ours connect again at once.
        admin.execute(
            "select pg_terminate_backend(pid, 10000) from pg_stat_activity where datname = any(%s)", (list(databases),)
        )
        try:
            with admin.transaction():
                for database in databases:
                    _rename(admin, database, _replaced(database))
                    _rename(admin, _draft(database), database)
        except psycopg.errors.ObjectInUse as error:
            if attempt == _ATTEMPTS:
                raise StackError(f"restore: {error}: stop who connects again and again, and repeat it") from error
        else:
            break
    for database in databases:
        _drop(admin, _replaced(database))


def _rename(admin: psycopg.Connection, name: str, to: str) -> None:
    if _is_there(admin, name):
        admin.execute(sql.SQL("alter database {} rename to {}").format(sql.Identifier(name), sql.Identifier(to)))


def _is_there(admin: psycopg.Connection, name: str) -> bool:
    return admin.execute("select from pg_database where datname = %s", (name,)).fetchone() is not None


def _drop(admin: psycopg.Connection, database: str) -> None:
    admin.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(database)))


def _draft(database: str) -> str:
    return f"{database}_restoring"


def _replaced(database: str) -> str:
    return f"{database}_replaced"
