{#
    The body of a revenue mart: `source` summed by region, currency and the period of `claims`, with buyers merged.
    Every sum is within one currency.
#}
{% macro revenue_by(source, claims) -%}
with finer as (
    select
        finer.tenant,
        finer.region,
        finer.currency,
        finer.revenue,
        finer.refunded,
        finer.purchases,
        finer.refunds,
        finer.quantity,
        finer.buyers_sketch,
        {{ period_start(claims, "finer.period_start") }} as period_start
    from {{ source }} as finer
    {{ where_claimed("finer", claims) }}
),

summed as (
    select
        tenant,
        region,
        currency,
        period_start,
        sum(revenue) as revenue,
        sum(refunded) as refunded,
        sum(purchases)::bigint as purchases,
        sum(refunds)::bigint as refunds,
        sum(quantity)::bigint as quantity,
        sketch.merge_distinct(buyers_sketch) as buyers_sketch
    from finer
    group by tenant, region, currency, period_start
),

final as (
    select
        tenant,
        region,
        currency,
        period_start,
        revenue::numeric(38, 4) as revenue,
        refunded::numeric(38, 4) as refunded,
        (revenue - refunded)::numeric(38, 4) as net_revenue,
        purchases,
        refunds,
        quantity,
        sketch.distinct_estimate(buyers_sketch) as buyers,
        (revenue / nullif(purchases, 0))::numeric(38, 4) as average_purchase,
        buyers_sketch
    from summed
)

select * from final
{%- endmacro %}
