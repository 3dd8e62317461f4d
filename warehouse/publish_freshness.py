"""How far the charts can be trusted, written in the transaction that changes them."""

from collections.abc import Iterable, Mapping

import psycopg
from psycopg import sql

from warehouse.claims import COMPLETE_IN_ROLLUPS
from warehouse.marts import EVENT_TYPES, NEWEST


def write_freshness(
    connection: psycopg.Connection,
    claimed: Iterable[tuple[str, str]],
    held: Mapping[str, str] | None,
    published: Iterable[str] = (),
) -> int:
    """Bring ``marts.freshness`` up to date for ``claimed`` (type, tenant) and all that have a row; gives how many.

    ``held`` gives the reason for each tenant that is held now; None leaves what is written there. ``published`` are the
    tenants whose marts are now in the time zone that they were built in; of others readers keep the one they had.

    One statement, hence one snapshot: a load moves what is pending from one table of the ledger to another, and a
    reader in two steps could count it in neither and promise too much.
    """
    pairs = sorted({(type_, tenant) for type_, tenant in claimed if type_ in EVENT_TYPES})
    newest = sql.SQL(" ").join(
        sql.SQL(
            "when {type} then (select max(m.period_start) from {mart} as m where m.tenant = shown.tenant and {has})"
        ).format(type=sql.Literal(type_), mart=sql.Identifier("marts", mart), has=sql.SQL(has))
        for type_, (mart, has) in NEWEST.items()
    )
    complete = COMPLETE_IN_ROLLUPS.format(
        type=sql.Identifier("shown", "event_type"), tenant=sql.Identifier("shown", "tenant")
    )
    cursor = connection.execute(
        sql.SQL(
            """
            with shown as (
                select tenant, event_type from marts.freshness
                union
                select tenant, event_type from unnest(%(types)s::text[], %(tenants)s::text[]) as c (event_type, tenant)
            ),

            loaded as (
                select shown.tenant, shown.event_type, ({complete}) as through from shown
            ),

            unpublished as (
                select tenant, type as event_type, count(*) as hours, min(received_from) as received_from
                from ledger.unpublished
                group by tenant, type
            ),

            held as (
                select tenant, reason from unnest(%(held)s::text[], %(reasons)s::text[]) as h (tenant, reason)
            )

            insert into marts.freshness as f (
                tenant, event_type, complete_through, pending_minutes, pending_hours, newest_period_start,
                published_at, held_because, time_zone
            )
            select
                shown.tenant,
                shown.event_type,
                case when loaded.through is not null then least(loaded.through, unpublished.received_from) end,
                (
                    select count(*) from ledger.touched as t
                    where t.type = shown.event_type and t.tenant = shown.tenant
                ),
                coalesce(unpublished.hours, 0),
                case shown.event_type {newest} end,
                now(),
                held.reason,
                coalesce(
                    case
                        when shown.tenant <> all(%(published)s::text[])
                            then (select max(o.time_zone) from marts.freshness as o where o.tenant = shown.tenant)
                    end,
                    (select z.marts_time_zone from ledger.tenants as z where z.tenant = shown.tenant),
                    'UTC'
                )
            from shown
            inner join loaded using (tenant, event_type)
            left join unpublished using (tenant, event_type)
            left join held using (tenant)
            on conflict (tenant, event_type) do update set
                complete_through = excluded.complete_through,
                pending_minutes = excluded.pending_minutes,
                pending_hours = excluded.pending_hours,
                newest_period_start = excluded.newest_period_start,
                published_at = excluded.published_at,
                time_zone = excluded.time_zone,
                held_because = case when %(keep_held)s then f.held_because else excluded.held_because end
            """
        ).format(complete=complete, newest=newest),
        {
            "types": [type_ for type_, _ in pairs],
            "tenants": [tenant for _, tenant in pairs],
            "held": list(held or {}),
            "reasons": list((held or {}).values()),
            "keep_held": held is None,
            "published": list(published),
        },
    )
    return cursor.rowcount
