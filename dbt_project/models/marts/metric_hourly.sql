{% set claims = {"event_types": ["metric"], "period": "hour"} %}
{{
    config(
        meta=claims,
        tags=claims["event_types"],
        indexes=[{"columns": ["tenant", "period_start", "source", "metric_type"], "unique": true}],
    )
}}

-- The one model that reads these rollups: one statement, one snapshot.
with minutes as (
    select
        minutes.*,
        {{ period_start(claims, "minutes.period_start") }} as hour_start
    from {{ ref("stg_metric_minute") }} as minutes
    {{ where_claimed("minutes", claims) }}
),

summed as (
    select
        tenant,
        source,
        metric_type,
        hour_start as period_start,
        sum(samples)::bigint as samples,
        sum(value_sum)::numeric(38, 10) as value_sum,
        min(value_min)::numeric(28, 10) as value_min,
        max(value_max)::numeric(28, 10) as value_max,
        (array_agg(value_last order by value_last_at desc, value_last desc) filter (
            where value_last_at is not null
        ))[1]::numeric(28, 10) as value_last,
        max(value_last_at) as value_last_at,
        (array_agg(unit order by unit_at desc, unit desc) filter (where unit_at is not null))[1] as unit
    from minutes
    group by tenant, source, metric_type, hour_start
),

final as (
    select
        tenant,
        source,
        metric_type,
        period_start,
        samples,
        value_sum,
        value_min,
        value_max,
        value_last,
        value_last_at,
        unit,
        (value_sum / nullif(samples, 0))::numeric(38, 10) as value_avg
    from summed
)

select * from final
