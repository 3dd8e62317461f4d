"""Marts, and columns of them, that a migration made: what a tenant first gets of them restates nothing (ADR 0041)."""

from collections.abc import Collection, Mapping

import psycopg

from warehouse.marts import Mart


def mark_filling(connection: psycopg.Connection, mart: Mart, columns: Collection[str] | None) -> None:
    """Note that ``columns`` of the mart (None: all of it) are to be filled of every tenant with hours marked for it.

    To be called after the hours are marked. The filling is over when all of those are published.
    """
    connection.execute(
        """
        insert into ledger.fillings as f (mart, tenant, columns, change_id)
        select %(mart)s, u.tenant, %(columns)s::text[], max(u.change_id)
        from ledger.unpublished as u
        where u.type = any(%(types)s)
        group by u.tenant
        on conflict (mart, tenant) do update set columns = f.columns || excluded.columns, change_id = excluded.change_id
        """,
        {
            "mart": mart.name,
            "types": list(mart.event_types),
            "columns": None if columns is None else sorted(columns),
        },
    )


def settle_fillings(connection: psycopg.Connection, published: Mapping[Mart, Collection[str]]) -> None:
    """Forget the fillings that are done, of the tenants ``published`` in each mart; after the claim is settled.

    A tenant that a gate holds has its filling before it, and so has one of whose marked hours some were not built yet.
    """
    for mart, tenants in published.items():
        connection.execute(
            """
            delete from ledger.fillings as f
            where
                f.mart = %(mart)s and f.tenant = any(%(tenants)s)
                and not exists (
                    select from ledger.unpublished as u
                    where u.type = any(%(types)s) and u.tenant = f.tenant and u.change_id <= f.change_id
                )
            """,
            {"mart": mart.name, "tenants": list(tenants), "types": list(mart.event_types)},
        )
