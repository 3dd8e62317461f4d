{% set claims = {"event_types": ["signup"], "period": "hour"} %}
{{
    config(
        materialized="incremental",
        incremental_strategy="claimed_periods",
        on_schema_change="append_new_columns",
        meta=claims,
        tags=claims["event_types"],
        grants={"select": ["gate"]},
        indexes=[
            {"columns": ["tenant", "period_start", "region", "channel", "plan"], "unique": true},
        ],
    )
}}

-- The one model that reads these rollups: one statement, one snapshot, as int_page_views_hourly does for page views; by
-- piece, too: an hour, cut where the tenant's day begins.
with minutes as (
    select
        minutes.tenant,
        minutes.region,
        minutes.channel,
        minutes.plan,
        {{ piece_start("minutes.period_start") }} as period_start,
        minutes.signups,
        minutes.users_sketch
    from {{ ref("stg_signup_minute") }} as minutes
    {{ where_claimed("minutes", claims) }}
),

final as (
    select
        tenant,
        region,
        channel,
        plan,
        period_start,
        sum(signups)::bigint as signups,
        sketch.merge_distinct(users_sketch) as users_sketch
    from minutes
    group by tenant, region, channel, plan, period_start
)

select * from final
