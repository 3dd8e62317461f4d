{#
    The body of a page view mart: `source` summed by `dimension` and the period of `claims`, with visitors merged.
    `source` has tenant, period_start (of the same or a finer grain), `dimension` and the measures.
#}
{% macro page_views_by(dimension, source, claims) -%}
with finer as (
    select
        finer.tenant,
        finer.{{ dimension }},
        finer.page_views,
        finer.bot_page_views,
        finer.visitors_sketch,
        {{ period_start(claims, "finer.period_start") }} as period_start
    from {{ source }} as finer
    {{ where_claimed("finer", claims) }}
),

summed as (
    select
        tenant,
        {{ dimension }},
        period_start,
        sum(page_views)::bigint as page_views,
        sum(bot_page_views)::bigint as bot_page_views,
        sketch.merge_distinct(visitors_sketch) as visitors_sketch
    from finer
    group by tenant, {{ dimension }}, period_start
),

final as (
    select
        tenant,
        {{ dimension }},
        period_start,
        page_views,
        sketch.distinct_estimate(visitors_sketch) as visitors,
        bot_page_views,
        visitors_sketch
    from summed
)

select * from final
{%- endmacro %}
