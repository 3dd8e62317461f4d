{%
    set claims = {
        "event_types": ["app_created", "app_verified"],
        "period": "day",
        "onward": ["app_created", "app_verified"],
    }
%}
{{
    config(
        materialized="incremental",
        incremental_strategy="claimed_periods",
        on_schema_change="append_new_columns",
        meta=claims,
        tags=claims["event_types"],
        grants={"select": ["gate"]},
        indexes=[
            {"columns": ["tenant", "period_start", "region", "category"], "unique": true},
        ],
    )
}}

-- By how much each day raises the number of apps, and of those that are verified: each app once, however often it is
-- created or verified, where it was created first. Apps over the rollup's cap cannot be told apart.
with days as (
    select distinct
        apps.tenant,
        apps.app_id,
        {{ period_start(claims, "apps.period_start") }} as period_start
    from {{ ref("int_apps_hourly") }} as apps
    {{ where_claimed("apps", claims) }}
    where apps.app_id <> '(other)'
),

known as (
    select
        days.tenant,
        creation.region,
        creation.category,
        days.period_start,
        creation.started >= days.period_start as is_new,
        -- Of the two the later one makes it a verified app.
        verification.started is not null
        and greatest(creation.started, verification.started) >= days.period_start as is_newly_verified
    from days
    {{ with_time_zone("days") }}
    inner join lateral (
        select
            hours.period_start as started,
            hours.region,
            hours.category
        from {{ ref("int_apps_hourly") }} as hours
        where
            hours.tenant = days.tenant
            and hours.app_id = days.app_id
            and hours.created > 0
            and hours.period_start < {{ neighbour("day", "days.period_start", 1) }}
        order by hours.period_start, hours.region, hours.category
        limit 1
    ) as creation on true
    left join lateral (
        select hours.period_start as started
        from {{ ref("int_apps_hourly") }} as hours
        where
            hours.tenant = days.tenant
            and hours.app_id = days.app_id
            and hours.verified > 0
            and hours.period_start < {{ neighbour("day", "days.period_start", 1) }}
        order by hours.period_start
        limit 1
    ) as verification on true
),

final as (
    select
        tenant,
        region,
        category,
        period_start,
        count(*) filter (where is_new) as apps,
        count(*) filter (where is_newly_verified) as verified_apps
    from known
    where is_new or is_newly_verified
    group by tenant, region, category, period_start
)

select * from final
