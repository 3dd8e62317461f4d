"""Days on which nothing happened get their row when a later day has something: they are claimed together with it."""

import psycopg
from psycopg import sql

from warehouse.marts import MARTS

CAUSE = "quiet day"
"""Why the hours were claimed, in ``ledger.unpublished`` and in the restatements."""


def claim_quiet_days(connection: psycopg.Connection) -> int:
    """Mark the first quiet day before the earliest changed hour of each tenant, for the marts that have such days.

    A mart of days without gaps reaches to the tenant's newest day in which something happened. An hour of a later day
    lets it reach further, over the quiet days between; an hour that was emptied may let it end before them. Neither
    lies in a quiet day. So the day after the last busy one is marked, from which on an onward type claims all days; and
    an earlier one that has no row, in marts that were built before they had quiet days.

    Commit before the claim locks what there is: a load that holds one hour and waits for another must find no claim
    that does the same in another order. A mark that is left over from a claim that failed costs the next one nothing.
    Nothing new was received, so completeness is not put back: hence ``loaded_through`` as the time of receipt.
    """
    marked = 0
    for mart in MARTS:
        if not mart.quiet:
            continue
        marked += connection.execute(
            sql.SQL(
                """
                with earliest as (
                    select distinct on (u.tenant)
                        u.tenant, u.type, z.zone, calendar.period_start({grain}, u.hour, z.zone) as start
                    from ledger.unpublished as u
                    left join ledger.tenants as t on t.tenant = u.tenant
                    cross join lateral (values (coalesce(t.marts_time_zone, 'UTC'))) as z (zone)
                    where u.type = any(%(types)s)
                    order by u.tenant, u.hour, u.type
                ),

                before as (
                    select
                        e.tenant, e.type, e.start,
                        calendar.period_after({grain}, m.period_start, e.zone) as following,
                        lead(m.period_start) over (partition by m.tenant order by m.period_start) as next_start,
                        not ({quiet}) as is_busy
                    from earliest as e
                    inner join {mart} as m on m.tenant = e.tenant and m.period_start < e.start
                ),

                found as (
                    select
                        tenant, type, start,
                        least(
                            max(following) filter (where is_busy),
                            min(following) filter (where following < next_start)
                        ) as first_quiet
                    from before
                    group by tenant, type, start
                )

                insert into ledger.unpublished (type, tenant, hour, cause, received_from)
                select f.type, f.tenant, date_trunc('hour', f.first_quiet, 'UTC'), {cause},
                    coalesce(c.loaded_through, now())
                from found as f
                left join ledger.cursors as c on c.type = f.type
                where f.first_quiet < f.start
                order by 1, 2, 3
                on conflict (type, tenant, hour) do nothing
                """
            ).format(
                grain=sql.Literal(mart.grain),
                mart=sql.Identifier("marts", mart.name),
                quiet=sql.SQL(mart.quiet),
                cause=sql.Literal(CAUSE),
            ),
            {"types": list(mart.onward)},
        ).rowcount
    return marked
