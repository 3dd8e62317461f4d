{# Fails with the rows whose period_start is not the start of a `period` of their tenant (minute to month, piece, or ever). #}
{% test starts_a_period(model, period) %}
select
    rows_of.tenant,
    rows_of.period_start
from {{ model }} as rows_of
{{ with_time_zone("rows_of") }}
where rows_of.period_start <> {{ period_start({"period": period}, "rows_of.period_start") }}
{% endtest %}
