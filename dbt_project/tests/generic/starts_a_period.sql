{# Fails with the rows whose period_start is not the start of a `period` (minute to month, in UTC, or ever). #}
{% test starts_a_period(model, period) %}
select
    tenant,
    period_start
from {{ model }}
where period_start <> {{ period_start({"period": period}, "period_start") }}
{% endtest %}
