{% set claims = {"event_types": ["page_view"], "period": "hour"} %}
{{
    config(
        materialized="incremental",
        incremental_strategy="claimed_periods",
        on_schema_change="append_new_columns",
        meta=claims,
        tags=claims["event_types"],
        grants={"select": ["gate"]},
        indexes=[{"columns": ["tenant", "period_start", "region", "page_name"], "unique": true}],
    )
}}

-- The one model that reads these rollups: one statement, one snapshot. The marts are built from it alone, so they agree
-- with each other even when a load commits in the middle of the run.
-- By piece: an hour, cut where the tenant's day begins.
with minutes as (
    select
        minutes.tenant,
        minutes.region,
        minutes.page_name,
        minutes.page_views,
        minutes.bot_page_views,
        minutes.visitors_sketch,
        {{ piece_start("minutes.period_start") }} as period_start
    from {{ ref("stg_page_view_minute") }} as minutes
    {{ where_claimed("minutes", claims) }}
),

final as (
    select
        tenant,
        region,
        page_name,
        period_start,
        sum(page_views)::bigint as page_views,
        sum(bot_page_views)::bigint as bot_page_views,
        sketch.merge_distinct(visitors_sketch) as visitors_sketch
    from minutes
    group by tenant, region, page_name, period_start
)

select * from final
