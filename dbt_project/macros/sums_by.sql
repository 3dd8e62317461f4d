{#
    The body of a mart of counts: `measures` of `source` summed by `dimensions` and the period of `claims`.
    `source` has tenant, period_start (of the same or a finer grain), the dimensions and the measures.
#}
{% macro sums_by(dimensions, measures, source, claims) -%}
with finer as (
    select
        finer.tenant,
        {%- for name in dimensions + measures %}
        finer.{{ name }},
        {%- endfor %}
        {{ period_start(claims, "finer.period_start") }} as period_start
    from {{ source }} as finer
    {{ where_claimed("finer", claims) }}
),

final as (
    select
        tenant,
        {%- for name in dimensions %}
        {{ name }},
        {%- endfor %}
        period_start
        {%- for name in measures %},
        sum({{ name }})::bigint as {{ name }}
        {%- endfor %}
    from finer
    group by tenant, {% for name in dimensions %}{{ name }}, {% endfor %}period_start
)

select * from final
{%- endmacro %}
