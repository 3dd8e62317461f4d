{% set claims = {"event_types": ["app_created", "app_verified"], "period": "ever"} %}
{{
    config(
        meta=claims,
        tags=claims["event_types"],
        indexes=[{"columns": ["tenant", "period_start", "region", "category"], "unique": true}],
    )
}}

with finer as (
    select
        finer.tenant,
        finer.region,
        finer.category,
        finer.created,
        finer.verified,
        {{ period_start(claims, "finer.period_start") }} as period_start
    from {{ ref("apps_region_monthly") }} as finer
    {{ where_claimed("finer", claims) }}
),

summed as (
    select
        tenant,
        region,
        category,
        period_start,
        sum(created)::bigint as created,
        sum(verified)::bigint as verified
    from finer
    group by tenant, region, category, period_start
),

final as (
    select
        *,
        (verified::numeric / nullif(created, 0))::numeric(12, 4) as share_verified
    from summed
)

select * from final
