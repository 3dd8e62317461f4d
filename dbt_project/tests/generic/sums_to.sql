{# Fails with the (tenant, period) whose `measures` are not the sum of those of the `finer` model, row by row or as a whole. #}
{% test sums_to(model, finer, period, measures) %}
with coarse as (
    select
        tenant,
        period_start
        {%- for measure in measures %},
        sum({{ measure }}) as {{ measure }}
        {%- endfor %}
    from {{ model }}
    group by tenant, period_start
),

fine as (
    select
        tenant,
        date_trunc('{{ period }}', period_start, 'UTC') as period_start
        {%- for measure in measures %},
        sum({{ measure }}) as {{ measure }}
        {%- endfor %}
    from {{ finer }}
    group by 1, 2
)

select
    coalesce(coarse.tenant, fine.tenant) as tenant,
    coalesce(coarse.period_start, fine.period_start) as period_start
from coarse
full outer join fine
    on
        coarse.tenant = fine.tenant
        and coarse.period_start = fine.period_start
where
    {%- for measure in measures %}
    coarse.{{ measure }} is distinct from fine.{{ measure }}{{ " or" if not loop.last }}
    {%- endfor %}
{% endtest %}
