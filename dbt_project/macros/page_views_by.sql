{#
    The body of a page view mart: `source` summed by `dimensions` (none: over everything) and the period of `claims`, with
    visitors merged.
    `source` has tenant, period_start (of the same or a finer grain), the dimensions and the measures.
    Not `is_exact`: a day's visitors are an estimate where its sketch is full, for a model that counts them itself.
#}
{% macro page_views_by(dimensions, source, claims, is_exact=true) -%}
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
        {{ visitors_of(dimensions, claims, is_exact) }} as visitors,
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
{% macro visitors_of(dimensions, claims, is_exact) -%}
    {%- if claims["period"] != "day" or not is_exact -%}
        sketch.distinct_estimate(visitors_sketch)
    {%- else -%}
        case
            when cardinality(visitors_sketch) < sketch.k() then cardinality(visitors_sketch)
            when
                exists (
                    select 1
                    from {{ ref("int_page_views_hourly") }} as hours
                    where
                        {{ hours_of_day("summed", dimensions) }}
                        and cardinality(hours.visitors_sketch) >= sketch.k()
                )
                then sketch.distinct_estimate(visitors_sketch)
            else (
                select count(distinct visitor)
                from {{ ref("int_page_views_hourly") }} as hours
                cross join lateral unnest(hours.visitors_sketch) as visitor
                where
                    {{ hours_of_day("summed", dimensions) }}
            )
        end
    {%- endif -%}
{%- endmacro %}


{# Those hours of int_page_views_hourly that make the row `day`, a relation's alias, of `dimensions`. #}
{% macro hours_of_day(day, dimensions) -%}
    hours.tenant = {{ day }}.tenant
    {%- for dimension in dimensions %}
    and hours.{{ dimension }} = {{ day }}.{{ dimension }}
    {%- endfor %}
    and hours.period_start >= {{ day }}.period_start
    and hours.period_start < {{ neighbour("day", day ~ ".period_start", 1) }}
{%- endmacro %}


{#
    A query of one value: how many distinct visitors the row `day` (over everything; its time zone in `zones`)
    had by the end of each of its hours, up to its newest with data. Hours are those of UTC: where the day begins within one,
    the first is what of it the day has.

    Each visitor counts from the hour of the first view. Exact while no piece's sketch is full; else all hours are estimated
    at the least theta of the day's pieces, as a union of theta sketches is: (n - 1) / theta.
#}
{% macro visitors_by_hour(day) %}
        with pieces as (
            select
                hours.visitors_sketch,
                (
                    date_part(
                        'epoch',
                        date_trunc('hour', hours.period_start, 'UTC') - date_trunc('hour', {{ day }}.period_start, 'UTC')
                    ) / 3600
                )::integer as hour
            from {{ ref("int_page_views_hourly") }} as hours
            where
                {{ hours_of_day(day, []) }}
        ),

        full_ones as (
            select min(visitors_sketch[sketch.k()]) as theta from pieces
        ),

        first_views as (
            select min(pieces.hour) as hour
            from pieces
            cross join full_ones
            cross join lateral unnest(pieces.visitors_sketch) as visitor
            where full_ones.theta is null or visitor <= full_ones.theta
            group by visitor
        ),

        new_visitors as (
            select hour, count(*) as n
            from first_views
            group by hour
        ),

        reached as (
            select each_hour.hour, sum(coalesce(new_visitors.n, 0)) over (order by each_hour.hour) as n
            from generate_series(0, (select max(hour) from pieces)) as each_hour (hour)
            left join new_visitors on each_hour.hour = new_visitors.hour
        )

        select
            array_agg(
                case
                    when full_ones.theta is null then reached.n
                    else round(greatest(reached.n - 1, 0) / (full_ones.theta / 9223372036854775808.0))
                end::bigint
                order by reached.hour
            )
        from reached
        cross join full_ones
{% endmacro %}
