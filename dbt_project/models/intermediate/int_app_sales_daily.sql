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
with hours as (
    select
        hours.tenant,
        hours.currency,
        hours.app_id,
        {{ period_start(claims, "hours.period_start") }} as period_start,
        hours.purchases,
        hours.quantity,
        hours.revenue
    from {{ ref("int_sales_hourly") }} as hours
    {{ where_claimed("hours", claims) }}
    where
        hours.purchases > 0
        and hours.app_id <> '(other)'
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
    from hours
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
    from hours
    group by tenant, currency, app_id, period_start
)

select * from final
