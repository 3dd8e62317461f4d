{#
    The body of a popularity mart: apps ranked in each period of `claims` by purchases over all currencies, and by
    revenue within each, against the period before. `source` has a row for each way to rank and period of a finer grain.

    Every claim is onward, so there is one range a tenant; the period before it is ranked too, to compare with.
#}
{% macro popular_apps_by(source, claims) -%}
{#- To the start of the period before and, where the clock was put back in it, some hours more: what is too much is dropped. -#}
{%- set hours = {"day": 27, "week": 171, "month": 747}[claims["period"]] -%}
with finer as (
    select
        finer.tenant,
        finer.ranked_by,
        finer.currency,
        finer.app_id,
        finer.purchases,
        finer.quantity,
        finer.revenue,
        {{ period_start(claims, "finer.period_start") }} as period_start
    from {{ source }} as finer
    {{ where_claimed("finer", claims, hours) }}
),

summed as (
    select
        tenant,
        ranked_by,
        currency,
        app_id,
        period_start,
        sum(purchases)::bigint as purchases,
        sum(quantity)::bigint as quantity,
        sum(revenue)::numeric(38, 4) as revenue
    from finer
    group by tenant, ranked_by, currency, app_id, period_start
),

ranked as (
    select
        *,
        rank() over (
            partition by tenant, ranked_by, currency, period_start
            order by case when ranked_by = 'revenue' then revenue else purchases end desc
        ) as rank
    from summed
),

compared as (
    select
        *,
        lag(rank) over by_app as earlier_rank,
        lag(period_start) over by_app as earlier_start
    from ranked
    window by_app as (partition by tenant, ranked_by, currency, app_id order by period_start)
),

placed as (
    select
        compared.*,
        case
            when compared.earlier_start = {{ neighbour(claims["period"], "compared.period_start", -1) }}
                then compared.earlier_rank
        end as previous_rank
    from compared
    {{ where_claimed("compared", claims) }}
),

final as (
    select
        placed.tenant,
        placed.ranked_by,
        placed.currency,
        placed.app_id,
        placed.period_start,
        seen.app_name,
        seen.category,
        placed.rank,
        placed.previous_rank,
        placed.previous_rank - placed.rank as movement,
        placed.purchases,
        placed.quantity,
        placed.revenue
    from placed
    {{ with_time_zone("placed") }}
    {{ apps_seen("placed", neighbour(claims["period"], "placed.period_start", 1)) }}
)

select * from final
{%- endmacro %}
