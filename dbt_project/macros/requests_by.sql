{#
    The body of a request mart: `source` summed by `dimensions` and the period of `claims`, with what its durations tell.
#}
{% macro requests_by(dimensions, source, claims) -%}
{%- set key = (["tenant"] + dimensions + ["period_start"]) -%}
{{ requests_summed(dimensions, source, claims, period_start(claims, "finer.period_start")) }},

final as (
    select
        {% for name in key + request_sums() %}{{ name }},
        {% endfor -%}
        ((satisfied + tolerating / 2.0) / nullif(timed, 0))::numeric(6, 4) as apdex,
        sketch.quantile(duration_sketch, 0.5)::numeric(20, 6) as duration_p50,
        sketch.quantile(duration_sketch, 0.95)::numeric(20, 6) as duration_p95,
        sketch.quantile(duration_sketch, 0.99)::numeric(20, 6) as duration_p99,
        duration_sketch
    from merged
)

select * from final
{%- endmacro %}


{% macro request_sums() -%}
    {{ return(["requests", "client_errors", "errors", "timed", "duration_sum", "satisfied", "tolerating"]) }}
{%- endmacro %}


{#
    CTEs up to `merged`: `source` summed by `dimensions` and `start` (SQL of a row of `finer`), with durations merged.
    Buckets are added in one grouping: to merge sketch by sketch would open the result again for each.
#}
{% macro requests_summed(dimensions, source, claims, start) -%}
{%- set sums = request_sums() -%}
{%- set key = (["tenant"] + dimensions + ["period_start"]) -%}
with finer as (
    select
        finer.tenant,
        {%- for name in dimensions + sums %}
        finer.{{ name }},
        {%- endfor %}
        finer.duration_sketch,
        {{ start }} as period_start
    from {{ source }} as finer
    {{ where_claimed("finer", claims) }}
),

summed as (
    select
        {{ key | join(",\n        ") }}
        {%- for name in sums %},
        sum({{ name }})::bigint as {{ name }}
        {%- endfor %}
    from finer
    group by {{ key | join(", ") }}
),

buckets as (
    select
        {% for name in key %}finer.{{ name }},
        {% endfor %}bucket.key as bucket,
        sum(bucket.value::bigint) as durations
    from finer
    cross join lateral jsonb_each_text(finer.duration_sketch) as bucket
    group by {% for name in key %}finer.{{ name }}, {% endfor %}bucket.key
),

sketches as (
    select
        {{ key | join(",\n        ") }},
        jsonb_object_agg(bucket, durations) as duration_sketch
    from buckets
    group by {{ key | join(", ") }}
),

merged as (
    select
        {% for name in key + sums %}summed.{{ name }},
        {% endfor %}coalesce(sketches.duration_sketch, '{}') as duration_sketch
    from summed
    left join sketches
        on
            summed.tenant = sketches.tenant
            {%- for name in dimensions + ["period_start"] %}
            and summed.{{ name }} = sketches.{{ name }}
            {%- endfor %}
)
{%- endmacro %}
