{#
    Fails with the (tenant, period, *by) whose `measures` are not the sum of those of the `finer` model. Money is summed
    `by` currency, never across. Of models over rollups, which go on changing, hours that a load of `event_types` has
    changed and no build has published yet are left out.
#}
{% test sums_to(model, finer, period, measures, by=[], event_types=[]) %}
{%- set key = (["tenant", "period_start"] + by) -%}
with coarse as (
    select
        {{ key | join(",\n        ") }}
        {%- for measure in measures %},
        sum({{ measure }}) as {{ measure }}
        {%- endfor %}
    from {{ model }} as whole
    {%- if event_types %}
    where not {{ is_unpublished("whole", event_types) }}
    {%- endif %}
    group by {{ key | join(", ") }}
),

dated as (
    select
        {%- for name in ["tenant"] + by + measures %}
        finer.{{ name }},
        {%- endfor %}
        {{ period_start({"period": period}, "finer.period_start") }} as period_start
    from {{ finer }} as finer
    {{ with_time_zone("finer") }}
    {%- if event_types %}
    where not {{ is_unpublished("finer", event_types) }}
    {%- endif %}
),

fine as (
    select
        {{ key | join(",\n        ") }}
        {%- for measure in measures %},
        sum({{ measure }}) as {{ measure }}
        {%- endfor %}
    from dated
    group by {{ key | join(", ") }}
)

select
    {%- for name in key %}
    coalesce(coarse.{{ name }}, fine.{{ name }}) as {{ name }}{{ "," if not loop.last }}
    {%- endfor %}
from coarse
full outer join fine
    on
        {%- for name in key %}
        {{ "and " if not loop.first }}coarse.{{ name }} = fine.{{ name }}
        {%- endfor %}
where
    {%- for measure in measures %}
    coalesce(coarse.{{ measure }}, 0) <> coalesce(fine.{{ measure }}, 0){{ " or" if not loop.last }}
    {%- endfor %}
{% endtest %}
