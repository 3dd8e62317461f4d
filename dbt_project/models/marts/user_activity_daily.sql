{% set claims = {"event_types": ["signup", "purchase"], "period": "day", "onward": ["signup", "purchase"]} %}
{{ config(meta=claims, tags=claims["event_types"], indexes=[{"columns": ["tenant", "period_start"], "unique": true}]) }}

-- A day counts who was active in the 30 days that end with it, so 29 days before the claimed ones are read too: 696
-- hours, and some more for days of 25. Who was active earlier still is out of the window again by then.
with days as (
    select
        days.tenant,
        days.user_hash,
        days.period_start
    from {{ ref("int_user_history") }} as days
    {{ where_claimed("days", claims, 699) }}
),

signup_hours as (
    select
        made.tenant,
        made.signups,
        {{ period_start(claims, "made.period_start") }} as period_start
    from {{ ref("int_signups_hourly") }} as made
    {{ where_claimed("made", claims) }}
),

signups as (
    select
        tenant,
        period_start,
        sum(signups)::bigint as signups
    from signup_hours
    group by tenant, period_start
),

-- Every day from the first to the newest on which somebody was active: on a quiet day the windows are not empty.
known as (
    select
        tenant,
        period_start
    from days
    union all
    select
        tenant,
        period_start
    from signups
),

spans as (
    select
        tenant,
        min(period_start) as first_start,
        max(period_start) as newest_start
    from known
    group by tenant
),

calendar_days as (
    select
        spans.tenant,
        calendar.midnight(local.day, {{ time_zone() }}) as period_start
    from spans
    {{ with_time_zone("spans") }}
    cross join lateral generate_series(
        date_trunc('day', spans.first_start at time zone {{ time_zone() }}),
        date_trunc('day', spans.newest_start at time zone {{ time_zone() }}),
        interval '1 day'
    ) as local (day)
),

every_day as (
    select
        calendar_days.tenant,
        calendar_days.period_start
    from calendar_days
    {{ where_claimed("calendar_days", claims) }}
),

active as (
    select
        days.*,
        {{ neighbour("day", "days.period_start", 7) }} as out_of_week,
        {{ neighbour("day", "days.period_start", 30) }} as out_of_month,
        lead(days.period_start) over (partition by days.tenant, days.user_hash order by days.period_start) as next_start
    from days
    {{ with_time_zone("days") }}
),

-- Somebody active on a day is so, for the windows that end with later days, until active again or out of the window.
steps as (
    select
        tenant,
        period_start as day,
        1 as weekly,
        1 as monthly
    from active
    union all
    select
        tenant,
        least(next_start, out_of_week) as day,
        -1 as weekly,
        0 as monthly
    from active
    union all
    select
        tenant,
        least(next_start, out_of_month) as day,
        0 as weekly,
        -1 as monthly
    from active
    union all
    select
        tenant,
        period_start as day,
        0 as weekly,
        0 as monthly
    from every_day
),

changes as (
    select
        tenant,
        day,
        sum(weekly) as weekly,
        sum(monthly) as monthly
    from steps
    group by tenant, day
),

windows as (
    select
        tenant,
        day as period_start,
        (sum(weekly) over by_time)::bigint as weekly_active_users,
        (sum(monthly) over by_time)::bigint as monthly_active_users
    from changes
    window by_time as (partition by tenant order by day)
),

claimed_days as (
    select days.*
    from days
    {{ where_claimed("days", claims) }}
),

counted as (
    select
        tenant,
        period_start,
        count(*) as daily_active_users,
        count(*) filter (
            where not exists (
                select 1
                from {{ ref("int_user_history") }} as earlier
                where
                    earlier.tenant = claimed_days.tenant
                    and earlier.user_hash = claimed_days.user_hash
                    and earlier.period_start < claimed_days.period_start
            )
        ) as first_seen_users
    from claimed_days
    group by tenant, period_start
),

final as (
    select
        every_day.tenant,
        every_day.period_start,
        windows.weekly_active_users,
        windows.monthly_active_users,
        coalesce(signups.signups, 0) as signups,
        coalesce(counted.daily_active_users, 0) as daily_active_users,
        coalesce(counted.first_seen_users, 0) as first_seen_users,
        coalesce(
            counted.daily_active_users::numeric / nullif(windows.monthly_active_users, 0), 0
        )::numeric(10, 4) as stickiness,
        coalesce(counted.daily_active_users - counted.first_seen_users, 0) as returning_users
    from every_day
    inner join windows
        on
            every_day.tenant = windows.tenant
            and every_day.period_start = windows.period_start
    left join counted
        on
            every_day.tenant = counted.tenant
            and every_day.period_start = counted.period_start
    left join signups
        on
            every_day.tenant = signups.tenant
            and every_day.period_start = signups.period_start
)

select * from final
