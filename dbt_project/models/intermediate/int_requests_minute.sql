{% set claims = {"event_types": ["request_log"], "period": "minute"} %}
{{
    config(
        materialized="incremental",
        incremental_strategy="claimed_periods",
        on_schema_change="append_new_columns",
        meta=claims,
        tags=claims["event_types"],
        grants={"select": ["gate"]},
        indexes=[
            {"columns": ["tenant", "period_start", "service", "route", "method", "region"], "unique": true},
        ],
    )
}}

-- The one model that reads these rollups: one statement, one snapshot, as int_page_views_hourly does for page views.
with minutes as (
    select
        minutes.tenant,
        minutes.service,
        minutes.method,
        minutes.region,
        minutes.period_start,
        minutes.requests,
        minutes.client_errors,
        minutes.errors,
        minutes.timed,
        minutes.duration_sum,
        minutes.satisfied,
        minutes.tolerating,
        minutes.duration_sketch,
        -- Numbers, UUIDs and long hexadecimal names within a path are ids: one route has many.
        regexp_replace(
            minutes.path,
            '/([0-9]+|[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}|[0-9A-Fa-f]{16,})(?=/|$)',
            '/{id}',
            'g'
        ) as route
    from {{ ref("stg_request_log_minute") }} as minutes
    {{ where_claimed("minutes", claims) }}
),

final as (
    select
        tenant,
        service,
        route,
        method,
        region,
        period_start,
        sum(requests)::bigint as requests,
        sum(client_errors)::bigint as client_errors,
        sum(errors)::bigint as errors,
        sum(timed)::bigint as timed,
        sum(duration_sum)::bigint as duration_sum,
        sum(satisfied)::bigint as satisfied,
        sum(tolerating)::bigint as tolerating,
        sketch.merge_buckets(duration_sketch) as duration_sketch
    from minutes
    group by tenant, service, route, method, region, period_start
)

select * from final
