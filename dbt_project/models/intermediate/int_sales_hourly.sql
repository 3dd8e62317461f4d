{% set claims = {"event_types": ["purchase", "refund"], "period": "hour"} %}
{{
    config(
        materialized="incremental",
        incremental_strategy="claimed_periods",
        on_schema_change="append_new_columns",
        meta=claims,
        tags=claims["event_types"],
        grants={"select": ["gate"]},
        indexes=[
            {"columns": ["tenant", "period_start", "region", "currency", "app_id"], "unique": true},
        ],
    )
}}

-- The one model that reads these rollups: one statement, one snapshot, as int_page_views_hourly does for page views; by
-- piece, too: an hour, cut where the tenant's day begins.
with minutes as (
    select
        minutes.tenant,
        minutes.region,
        minutes.currency,
        minutes.app_id,
        {{ piece_start("minutes.period_start") }} as period_start,
        minutes.revenue,
        minutes.purchases,
        minutes.quantity,
        minutes.buyers_sketch,
        0 as refunded,
        0 as refunds
    from {{ ref("stg_purchase_minute") }} as minutes
    {{ where_claimed("minutes", claims) }}
    union all
    select
        minutes.tenant,
        minutes.region,
        minutes.currency,
        minutes.app_id,
        {{ piece_start("minutes.period_start") }} as period_start,
        0 as revenue,
        0 as purchases,
        0 as quantity,
        '{}' as buyers_sketch,
        minutes.refunded,
        minutes.refunds
    from {{ ref("stg_refund_minute") }} as minutes
    {{ where_claimed("minutes", claims) }}
),

final as (
    select
        tenant,
        region,
        currency,
        app_id,
        period_start,
        coalesce(sum(revenue), 0)::numeric(38, 4) as revenue,
        sum(purchases)::bigint as purchases,
        coalesce(sum(quantity), 0)::bigint as quantity,
        sketch.merge_distinct(buyers_sketch) as buyers_sketch,
        coalesce(sum(refunded), 0)::numeric(38, 4) as refunded,
        sum(refunds)::bigint as refunds
    from minutes
    group by tenant, region, currency, app_id, period_start
)

select * from final
