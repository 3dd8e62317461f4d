{# Fails with the rows whose period_start is not the start of a `period` (hour, day, week, month) in UTC. #}
{% test starts_a_period(model, period) %}
select
    tenant,
    period_start
from {{ model }}
where period_start <> date_trunc('{{ period }}', period_start, 'UTC')
{% endtest %}
