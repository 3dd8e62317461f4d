{#
    The body of a page view mart: `source` summed by `dimensions` (none: over everything) and the period of `claims`, with
    visitors merged.
    `source` has tenant, period_start (of the same or a finer grain), the dimensions and the measures.
#}
{% macro page_views_by(dimensions, source, claims) -%}
with finer as (
    select
        finer.tenant,
        {%- for dimension in dimensions %}
        finer.{{ dimension }},
        {%- endfor %}
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
        {%- for dimension in dimensions %}
        {{ dimension }},
        {%- endfor %}
        period_start,
        sum(page_views)::bigint as page_views,
        sum(bot_page_views)::bigint as bot_page_views,
        sketch.merge_distinct(visitors_sketch) as visitors_sketch
    from finer
    group by {{ (["tenant"] + dimensions + ["period_start"]) | join(", ") }}
),

final as (
    select
        summed.tenant,
        {%- for dimension in dimensions %}
        {{ dimension }},
        {%- endfor %}
        period_start,
        page_views,
        {{ visitors_of(dimensions, claims) }} as visitors,
        bot_page_views,
        visitors_sketch
    from summed
    {{ with_time_zone("summed") }}
)

select * from final
{%- endmacro %}


{#
    How many visitors a row has. Of a day it is exact where its sketch is full, counted from the sketches of its pieces, which
    are of one region and page each and so hold every hash; if one of these is full too, it is an estimate all the same.
#}
{% macro visitors_of(dimensions, claims) -%}
    {%- if claims["period"] != "day" -%}
        sketch.distinct_estimate(visitors_sketch)
    {%- else -%}
        case
            when cardinality(visitors_sketch) < sketch.k() then cardinality(visitors_sketch)
            when
                exists (
                    select 1
                    from {{ ref("int_page_views_hourly") }} as hours
                    where
                        {{ hours_of_day(dimensions) }}
                        and cardinality(hours.visitors_sketch) >= sketch.k()
                )
                then sketch.distinct_estimate(visitors_sketch)
            else (
                select count(distinct visitor)
                from {{ ref("int_page_views_hourly") }} as hours
                cross join lateral unnest(hours.visitors_sketch) as visitor
                where
                    {{ hours_of_day(dimensions) }}
            )
        end
    {%- endif -%}
{%- endmacro %}


{# Those hours of int_page_views_hourly that make a day's row. #}
{% macro hours_of_day(dimensions) -%}
    hours.tenant = summed.tenant
    {%- for dimension in dimensions %}
    and hours.{{ dimension }} = summed.{{ dimension }}
    {%- endfor %}
    and hours.period_start >= summed.period_start
    and hours.period_start < {{ neighbour("day", "summed.period_start", 1) }}
{%- endmacro %}
