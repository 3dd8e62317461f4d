{%
    set claims = {
        "event_types": ["app_created", "app_verified", "purchase", "refund"],
        "period": "day",
        "onward": ["app_created", "app_verified"],
    }
%}
{{
    config(
        meta=claims,
        tags=claims["event_types"],
        indexes=[{"columns": ["tenant", "period_start", "app_id", "region"], "unique": true}],
    )
}}

with apps as (
    select
        apps.tenant,
        apps.app_id,
        apps.region,
        {{ period_start(claims, "apps.period_start") }} as period_start,
        apps.created,
        apps.verified
    from {{ ref("int_apps_hourly") }} as apps
    {{ where_claimed("apps", claims) }}
),

sales as (
    select
        sales.tenant,
        sales.app_id,
        sales.region,
        {{ period_start(claims, "sales.period_start") }} as period_start,
        sales.purchases,
        sales.refunds,
        sales.quantity
    from {{ ref("int_sales_hourly") }} as sales
    {{ where_claimed("sales", claims) }}
),

together as (
    select
        tenant,
        app_id,
        region,
        period_start,
        created,
        verified,
        0 as purchases,
        0 as refunds,
        0 as quantity
    from apps
    union all
    select
        tenant,
        app_id,
        region,
        period_start,
        0 as created,
        0 as verified,
        purchases,
        refunds,
        quantity
    from sales
),

summed as (
    select
        tenant,
        app_id,
        region,
        period_start,
        sum(created)::bigint as created,
        sum(verified)::bigint as verified,
        sum(purchases)::bigint as purchases,
        sum(refunds)::bigint as refunds,
        sum(quantity)::bigint as quantity
    from together
    group by tenant, app_id, region, period_start
),

final as (
    select
        summed.tenant,
        summed.app_id,
        summed.region,
        summed.period_start,
        seen.app_name,
        seen.category,
        seen.developer,
        summed.created,
        summed.verified,
        summed.purchases,
        summed.refunds,
        summed.quantity
    from summed
    {{ with_time_zone("summed") }}
    {{ apps_seen("summed", neighbour(claims["period"], "summed.period_start", 1)) }}
)

select * from final
