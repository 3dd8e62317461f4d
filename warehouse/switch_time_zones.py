"""A tenant's days begin elsewhere from now on: a claim switches the zone and has all of the tenant built anew."""

import psycopg
from psycopg import sql

from warehouse.marts import EVENT_TYPES, MARTS

CAUSE = "time zone"
"""Why the hours were claimed, in ``ledger.unpublished`` and in the restatements."""


def switch_time_zones(connection: psycopg.Connection) -> tuple[str, ...]:
    """Let the marts of tenants whose zone was changed be built in the new one; gives these tenants.

    To be called in the transaction of a claim, before it claims: so no run has hours of a tenant in one zone and
    publishes them in another. A run that claimed before has nothing to publish any more, because this claim takes over
    all of it; for one that was publishing the claim has waited. Readers see the old zone whole until the claim's run
    is published.

    Marked are the hours of the tenant's rollups, those waiting anyway, those in which a row of the marts begins, and
    the beginnings of the old zone's periods that hold them: whatever mart or candidate has under an old period start
    lies in a period that is claimed.
    """
    changed = "select from ledger.tenants where time_zone <> marts_time_zone limit 1"
    if connection.execute(changed).fetchone() is None:
        return ()
    rows = connection.execute(
        """
        with old as (
            select tenant, marts_time_zone from ledger.tenants where time_zone <> marts_time_zone for update
        )

        update ledger.tenants as t set marts_time_zone = t.time_zone
        from old
        where t.tenant = old.tenant
        returning t.tenant, old.marts_time_zone
        """
    ).fetchall()
    was: dict[str, str] = dict(rows)
    if was:
        _mark_everything(connection, was)
    return tuple(sorted(was))


def _mark_everything(connection: psycopg.Connection, was: dict[str, str]) -> None:
    """Mark all hours of the tenants; nothing new was received, hence ``loaded_through`` as the time of receipt."""
    sources: list[sql.Composable] = [
        sql.SQL("select type, tenant, hour from ledger.unpublished where tenant = any(%(tenants)s)")
    ]
    sources += [
        sql.SQL(
            "select {type}, tenant, date_trunc('hour', minute, 'UTC') from {table} where tenant = any(%(tenants)s)"
        ).format(type=sql.Literal(type_), table=sql.Identifier("rollups", f"{type_}_minute"))
        for type_ in EVENT_TYPES
    ]
    sources += [
        sql.SQL("select {type}, tenant, period_start from {table} where tenant = any(%(tenants)s)").format(
            type=sql.Literal(type_), table=sql.Identifier("marts", mart.name)
        )
        for mart in MARTS
        for type_ in mart.event_types[:1]  # any of a mart's types claims its period
        if mart.grain != "ever"
    ]
    connection.execute(
        sql.SQL(
            """
            with found as ({sources}),

            hours as (
                select distinct found.type, found.tenant, date_trunc('hour', i.instant, 'UTC') as hour
                from found
                inner join unnest(%(tenants)s::text[], %(zones)s::text[]) as was (tenant, zone)
                    on was.tenant = found.tenant
                cross join lateral (
                    values
                    (found.instant),
                    (calendar.period_start('day', found.instant, was.zone)),
                    (calendar.period_start('week', found.instant, was.zone)),
                    (calendar.period_start('month', found.instant, was.zone))
                ) as i (instant)
            )

            insert into ledger.unpublished as u (type, tenant, hour, cause, received_from)
            select hours.type, hours.tenant, hours.hour, {cause}, coalesce(c.loaded_through, now())
            from hours
            left join ledger.cursors as c on c.type = hours.type
            order by hours.type, hours.tenant, hours.hour
            on conflict (type, tenant, hour) do update set change_id = excluded.change_id, cause = excluded.cause
            """
        ).format(
            sources=sql.SQL("select type, tenant, instant from ({}) as s (type, tenant, instant)").format(
                sql.SQL(" union ").join(sources)
            ),
            cause=sql.Literal(CAUSE),
        ),
        {"tenants": list(was), "zones": list(was.values())},
    )
