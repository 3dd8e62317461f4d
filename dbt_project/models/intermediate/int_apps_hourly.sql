{% set claims = {"event_types": ["app_created", "app_verified"], "period": "hour"} %}
{{
    config(
        materialized="incremental",
        incremental_strategy="claimed_periods",
        on_schema_change="append_new_columns",
        meta=claims,
        tags=claims["event_types"],
        grants={"select": ["gate"]},
        indexes=[
            {"columns": ["tenant", "period_start", "region", "category", "app_id"], "unique": true},
            {"columns": ["tenant", "app_id", "app_name_at"]},
            {"columns": ["tenant", "app_id", "period_start"]},
        ],
    )
}}

-- The one model that reads these rollups: one statement, one snapshot, as int_page_views_hourly does for page views; by
-- piece, too: an hour, cut where the tenant's day begins.
with minutes as (
    select
        minutes.tenant,
        minutes.region,
        minutes.category,
        minutes.app_id,
        {{ piece_start("minutes.period_start") }} as period_start,
        minutes.created,
        0 as verified,
        minutes.app_name,
        minutes.app_name_at,
        minutes.developer,
        minutes.developer_at
    from {{ ref("stg_app_created_minute") }} as minutes
    {{ where_claimed("minutes", claims) }}
    union all
    select
        minutes.tenant,
        minutes.region,
        minutes.category,
        minutes.app_id,
        {{ piece_start("minutes.period_start") }} as period_start,
        0 as created,
        minutes.verified,
        minutes.app_name,
        minutes.app_name_at,
        minutes.developer,
        minutes.developer_at
    from {{ ref("stg_app_verified_minute") }} as minutes
    {{ where_claimed("minutes", claims) }}
),

final as (
    select
        tenant,
        region,
        category,
        app_id,
        period_start,
        sum(created)::bigint as created,
        sum(verified)::bigint as verified,
        (array_agg(app_name order by app_name_at desc, app_name desc) filter (
            where app_name_at is not null
        ))[1] as app_name,
        max(app_name_at) as app_name_at,
        (array_agg(developer order by developer_at desc, developer desc) filter (
            where developer_at is not null
        ))[1] as developer
    from minutes
    group by tenant, region, category, app_id, period_start
)

select * from final
