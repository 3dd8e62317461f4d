"""Tenants in the warehouse: their row in the ledger, and the role by which their people read."""

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import available_timezones

import psycopg
from psycopg import sql

from contracts.tenant import TENANT, TENANT_RULE
from warehouse import tenant_login

GROUP = "tenants"


class TenantError(Exception):
    """A tenant cannot be what was asked; the message says why and the way out."""


@dataclass(frozen=True)
class Tenant:
    """A tenant as the warehouse knows it. ``created_at`` is None for one that only ever sent events."""

    name: str
    time_zone: str
    created_at: datetime | None
    may_log_in: bool


def check_name(name: str) -> str:
    """``name``, when a tenant may be called so.

    :raises TenantError: it may not.
    """
    if TENANT.fullmatch(name) is None:
        raise TenantError(f"tenant {name!r}: {TENANT_RULE}")
    return name


def ensure_tenant(dsn: str, key: str, name: str, time_zone: str | None = None) -> bool:
    """Have ``name`` in the ledger and its role able to log in; True when it was not in the ledger before.

    :param time_zone: an IANA name; None leaves what is there (UTC where nothing is)
    :raises TenantError: the name or the zone is not allowed, or the warehouse refuses.
    """
    check_name(name)
    role = sql.Identifier(tenant_login.role(name))
    try:
        with psycopg.connect(dsn) as connection:
            created = connection.execute(
                "insert into ledger.tenants (tenant) values (%s) on conflict (tenant) do nothing", (name,)
            ).rowcount
            if time_zone is not None:
                _set_time_zone(connection, name, time_zone)
            if not _role_is_there(connection, name):
                connection.execute(sql.SQL("create role {} nosuperuser nocreatedb nocreaterole").format(role))
            password = sql.Literal(tenant_login.password(key, name))
            connection.execute(sql.SQL("alter role {} login password {}").format(role, password))
            connection.execute(
                sql.SQL("grant {} to {} with inherit true, set false").format(sql.Identifier(GROUP), role)
            )
    except psycopg.Error as error:
        raise TenantError(f"the warehouse refuses tenant {name}: {str(error).strip()}") from error
    return bool(created)


def set_time_zone(dsn: str, name: str, time_zone: str) -> bool:
    """Let the days of ``name`` begin in ``time_zone``, an IANA name; True when that is another than before.

    The next claim has its marts built anew in it (:mod:`warehouse.switch_time_zones`).

    :raises TenantError: there is no such zone, the tenant was not created, or the warehouse refuses.
    """
    check_name(name)
    try:
        with psycopg.connect(dsn) as connection:
            if connection.execute("select from ledger.tenants where tenant = %s", (name,)).fetchone() is None:
                raise TenantError(
                    f"tenant {name} was not created: `watershed tenant create {name} --time-zone {time_zone}`"
                )
            return _set_time_zone(connection, name, time_zone)
    except psycopg.Error as error:
        raise TenantError(f"the warehouse refuses tenant {name}: {str(error).strip()}") from error


def _set_time_zone(connection: psycopg.Connection, name: str, time_zone: str) -> bool:
    known = connection.execute("select from pg_timezone_names where name = %s", (time_zone,)).fetchone()
    # Both have to know it: the warehouse builds in it, and Python's names are the IANA's, without Postgres' own.
    if known is None or time_zone not in available_timezones():
        raise TenantError(f"there is no time zone {time_zone!r}: give an IANA name, such as Europe/Berlin")
    return bool(
        connection.execute(
            "update ledger.tenants set time_zone = %s where tenant = %s and time_zone <> %s",
            (time_zone, name, time_zone),
        ).rowcount
    )


def bar_tenant(dsn: str, name: str) -> None:
    """Let nobody of ``name`` into the warehouse any more, nor by a connection that Superset keeps. Rows stay.

    :raises TenantError: the warehouse refuses.
    """
    role = tenant_login.role(check_name(name))
    try:
        with psycopg.connect(dsn) as connection:
            if _role_is_there(connection, name):
                connection.execute(sql.SQL("alter role {} nologin").format(sql.Identifier(role)))
    except psycopg.Error as error:
        raise TenantError(f"the warehouse refuses to bar {name}: {str(error).strip()}") from error


def tenants(dsn: str) -> list[Tenant]:
    """Every tenant that was created or has something in the marts, by name."""
    with psycopg.connect(dsn) as connection:
        rows = connection.execute(
            """
            select n.tenant, coalesce(t.time_zone, 'UTC'), t.created_at, coalesce(r.rolcanlogin, false)
            from (select tenant from ledger.tenants union select tenant from marts.freshness) as n (tenant)
            left join ledger.tenants as t using (tenant)
            left join pg_roles as r on r.rolname = %s || n.tenant
            order by n.tenant
            """,
            (tenant_login.PREFIX,),
        ).fetchall()
    return [Tenant(*row) for row in rows]


def _role_is_there(connection: psycopg.Connection, name: str) -> bool:
    found = connection.execute("select from pg_roles where rolname = %s", (tenant_login.role(name),)).fetchone()
    return found is not None
