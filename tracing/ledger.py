"""What the warehouse knows of an event's minute: loads, what waits, what holds it, its books. Reads only."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

import psycopg
from psycopg.rows import dict_row

Connection = psycopg.Connection[dict[str, Any]]
T = TypeVar("T")


class Asked:
    """The answers of one transaction: many events have the same minute, landing or load."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._known: dict[Any, Any] = {}

    def once(self, question: Callable[..., T], *values: object) -> T:
        """The answer to ``question`` (a function of this module) about ``values``, asked when it is not known yet."""
        key = (question, *values)
        if key not in self._known:
            self._known[key] = question(self.connection, *values)
        answer: T = self._known[key]
        return answer


def connect(dsn: str) -> Connection:
    """A connection that changes nothing; in a transaction it sees one state of the warehouse."""
    connection = psycopg.connect(dsn, autocommit=True, row_factory=dict_row, options="-c timezone=UTC")
    connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    connection.read_only = True
    return connection


def cursors(connection: Connection) -> dict[str, int]:
    """By type the ``land_seq`` up to which rows are loaded, or wait in ``ledger.touched``."""
    rows = connection.execute("select type, land_seq from ledger.cursors").fetchall()
    return {row["type"]: row["land_seq"] for row in rows}


def load_of(connection: Connection, type_: str, land_seq: int) -> dict[str, Any] | None:
    """The run of the load that read the rows of a landing first; None: none has, or it is no longer known."""
    return connection.execute(
        """
        select run_id, started_at, finished_at from ledger.loads
        where type = %(type)s and land_seq_from < %(land_seq)s and land_seq_to >= %(land_seq)s
        order by started_at limit 1
        """,
        {"type": type_, "land_seq": land_seq},
    ).fetchone()


def minute(connection: Connection, type_: str, tenant: str, minute: datetime) -> dict[str, Any]:
    """The state of a minute.

    ``waiting_since`` and ``cause`` are set while it waits to be recomputed; ``held`` counts its missing files;
    ``floor`` and ``downsampled_to`` are the type's; the rest is what the books count of the minute, null where nothing.
    """
    row = connection.execute(
        """
        select
            t.touched_at as waiting_since,
            t.cause,
            (
                select count(*) from ledger.held_minutes as h
                where h.type = e.type and h.tenant = e.tenant and h.minute = e.minute
            ) as held,
            f.floor,
            f.downsampled_to,
            c.landed,
            c.counted,
            c.quarantined,
            c.over_cap,
            c.erased
        from (select %(type)s::text as type, %(tenant)s::text as tenant, %(minute)s::timestamptz as minute) as e
        left join ledger.touched as t on t.type = e.type and t.tenant = e.tenant and t.minute = e.minute
        left join ledger.lake_floor as f on f.type = e.type
        cross join lateral (
            select
                sum(landed)::bigint as landed,
                sum(counted)::bigint as counted,
                sum(quarantined)::bigint as quarantined,
                sum(over_cap)::bigint as over_cap,
                sum(erased)::bigint as erased
            from ledger.cells
            where type = e.type and tenant = e.tenant and minute = e.minute
        ) as c
        """,
        {"type": type_, "tenant": tenant, "minute": minute},
    ).fetchone()
    assert row is not None  # noqa: S101 - an outer join of one row gives one
    return row


def quarantined(
    connection: Connection, type_: str, tenant: str, minute: datetime, received_hour: datetime
) -> tuple[int, int]:
    """Of the rows of a minute that were received in an hour: landed, and of these quarantined."""
    row = connection.execute(
        """
        select landed, quarantined from ledger.cells
        where
            type = %(type)s and tenant = %(tenant)s and minute = %(minute)s
            and received_hour = %(received_hour)s
        """,
        {"type": type_, "tenant": tenant, "minute": minute, "received_hour": received_hour},
    ).fetchone()
    return (row["landed"], row["quarantined"]) if row else (0, 0)


def hour(connection: Connection, type_: str, tenant: str, minute: datetime) -> dict[str, Any]:
    """Whether the hour of a minute waits for the marts, and how far the tenant's marts of the type are."""
    row = connection.execute(
        """
        select
            u.changed_at as waiting_since,
            u.cause,
            u.claimed_by,
            f.complete_through,
            f.published_at,
            f.held_because,
            coalesce(f.time_zone, z.marts_time_zone, 'UTC') as time_zone
        from (select %(type)s::text as type, %(tenant)s::text as tenant, %(minute)s::timestamptz as minute) as e
        left join ledger.unpublished as u
            on u.type = e.type and u.tenant = e.tenant and u.hour = date_trunc('hour', e.minute, 'UTC')
        left join marts.freshness as f on f.event_type = e.type and f.tenant = e.tenant
        left join ledger.tenants as z on z.tenant = e.tenant
        """,
        {"type": type_, "tenant": tenant, "minute": minute},
    ).fetchone()
    assert row is not None  # noqa: S101 - as above
    return row


def repairs(connection: Connection, ids: Sequence[str]) -> list[dict[str, Any]]:
    """Repairs that made one of these events, or that mended one of these rejections."""
    return connection.execute(
        """
        select reject_id, run_id, tenant, type, event_id, occurred_at, received_at, sent_at, refused, loaded_at
        from ledger.repairs where event_id = any(%(ids)s) or reject_id = any(%(ids)s)
        order by noted_at, reject_id
        """,
        {"ids": list(ids)},
    ).fetchall()


def open_collectors(connection: Connection) -> list[dict[str, Any]]:
    """Collectors that are not closed, any of which may have the event in its spool; the oldest promise first."""
    return connection.execute(
        "select collector_id, durable_through, seen_at from ledger.collectors where not closed order by durable_through"
    ).fetchall()


def plain(row: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """A row as JSON has it: instants in ISO 8601, what is no plain value as its text."""
    return None if row is None else {name: plain_value(value) for name, value in row.items()}


def plain_value(value: Any) -> Any:
    """One value of it."""
    if value is None or isinstance(value, str | int | bool | list | dict):
        return value
    return value.isoformat() if isinstance(value, datetime) else str(value)
