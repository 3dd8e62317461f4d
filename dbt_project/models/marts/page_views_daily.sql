{% set claims = {"event_types": ["page_view"], "period": "day"} %}
{{
    config(
        meta=claims,
        tags=claims["event_types"],
        indexes=[{"columns": ["tenant", "period_start"], "unique": true}],
    )
}}

with days as (
    {{ page_views_by([], ref("region_daily"), claims, is_exact=false) | indent(4) }}
),

grown as (
    select
        days.*,
        coalesce(({{ visitors_by_hour("days") }}), '{}') as visitors_by_hour
    from days
    {{ with_time_zone("days") }}
),

final as (
    select
        tenant,
        period_start,
        page_views,
        bot_page_views,
        visitors_sketch,
        visitors_by_hour,
        case
            when cardinality(visitors_sketch) < sketch.k() then visitors
            else coalesce(visitors_by_hour[cardinality(visitors_by_hour)], visitors)
        end as visitors
    from grown
)

select * from final
