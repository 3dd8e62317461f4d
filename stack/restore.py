"""Restore a backup: beside what there is, and then put in its place, all databases in one transaction."""

from collections.abc import Mapping, Sequence

import psycopg
from psycopg import sql

from stack import backup as backups
from stack.backup import Backup
from stack.programs import StackError
from stack.servers import postgres
from stack.settings import StackSettings

_ATTEMPTS = 20


def restore(settings: StackSettings, secrets: Mapping[str, str], backup: Backup, databases: Sequence[str]) -> None:
    """Make ``databases`` be what ``backup`` has of them; whoever is connected to them is thrown out at the end.

    Until then readers see what there was, and so they do if anything fails. Roles and passwords are the stack's own.

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
    if admin.execute("select from pg_database where datname = %s", (name,)).fetchone() is not None:
        admin.execute(sql.SQL("alter database {} rename to {}").format(sql.Identifier(name), sql.Identifier(to)))


def _drop(admin: psycopg.Connection, database: str) -> None:
    admin.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(database)))


def _draft(database: str) -> str:
    return f"{database}_restoring"


def _replaced(database: str) -> str:
    return f"{database}_replaced"
