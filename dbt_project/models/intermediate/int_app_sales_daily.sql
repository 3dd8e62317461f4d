{% set claims = {"event_types": ["purchase"], "period": "day"} %}
{{
    config(
        materialized="incremental",
        incremental_strategy="claimed_periods",
        on_schema_change="append_new_columns",
        meta=claims,
        tags=claims["event_types"],
        grants={"select": ["gate"]},
        indexes=[
            {"columns": ["tenant", "period_start", "ranked_by", "currency", "app_id"], "unique": true},
        ],
    )
}}

-- What apps are ranked by: purchases over all currencies, where money cannot be summed, and revenue within each.
with sales as (
    select
        sales.tenant,
        sales.currency,
        sales.app_id,
        sales.purchases,
        sales.quantity,
        sales.revenue,
        {{ period_start(claims, "sales.period_start") }} as period_start
    from {{ ref("int_sales_hourly") }} as sales
    {{ where_claimed("sales", claims) }}
    where
        sales.purchases > 0
        and sales.app_id <> '(other)'
),

final as (
    select
        tenant,
        'purchases' as ranked_by,
        '(all)' as currency,
        app_id,
        period_start,
        sum(purchases)::bigint as purchases,
        sum(quantity)::bigint as quantity,
        null::numeric(38, 4) as revenue
    from sales
    group by tenant, app_id, period_start
    union all
    select
        tenant,
        'revenue' as ranked_by,
        currency,
        app_id,
        period_start,
        sum(purchases)::bigint as purchases,
        sum(quantity)::bigint as quantity,
        sum(revenue)::numeric(38, 4) as revenue
    from sales
    group by tenant, currency, app_id, period_start
)

select * from final
