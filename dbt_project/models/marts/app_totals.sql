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

-- The share is of apps and not of events: an app that is verified again is verified once.
counted as (
    select
        apps.tenant,
        apps.region,
        apps.category,
        sum(apps.apps)::bigint as apps,
        sum(apps.verified_apps)::bigint as verified_apps
    from {{ ref("int_new_apps_daily") }} as apps
    {{ where_claimed("apps", claims) }}
    group by apps.tenant, apps.region, apps.category
),

final as (
    select
        summed.tenant,
        summed.region,
        summed.category,
        summed.period_start,
        summed.created,
        summed.verified,
        coalesce(counted.apps, 0) as apps,
        coalesce(counted.verified_apps, 0) as verified_apps,
        (counted.verified_apps::numeric / nullif(counted.apps, 0))::numeric(12, 4) as share_verified
    from summed
    left join counted
        on
            summed.tenant = counted.tenant
            and summed.region = counted.region
            and summed.category = counted.category
)

select * from final
