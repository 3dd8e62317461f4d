{#
    Where periods begin, asked of the warehouse's calendar (warehouse/schema/calendar.sql). Minutes and hours are those of
    UTC; days, weeks and months those of the tenant's time zone, for which the select has with_time_zone() (where_claimed()
    brings it along). A tenant without a row in ledger.tenants is in UTC.
#}
{% macro with_time_zone(alias) -%}
    left join {{ source("ledger", "tenants") }} as zones
        on {{ alias }}.tenant = zones.tenant
{%- endmacro %}


{# The time zone of the row's tenant. #}
{% macro time_zone() -%}
    coalesce(zones.marts_time_zone, 'UTC')
{%- endmacro %}


{# Whether periods of this grain depend on the tenant's time zone. #}
{% macro is_local(period) -%}
    {{ return(period in ("day", "week", "month")) }}
{%- endmacro %}


{# The start of the period that holds an instant; of minutes the hour, by which they are claimed. #}
{% macro claimed_start(period, instant) -%}
    {%- if period == "ever" -%}
        timestamptz '1970-01-01 00:00:00+00'
    {%- elif is_local(period) -%}
        calendar.period_start('{{ period }}', {{ instant }}, {{ time_zone() }})
    {%- else -%}
        date_trunc('hour', {{ instant }}, 'UTC')
    {%- endif -%}
{%- endmacro %}


{# The start of a mart's period: as claimed, but for minutes and pieces, which are claimed by the hour. #}
{% macro period_start(claims, instant) -%}
    {%- if claims["period"] == "minute" -%}
        date_trunc('minute', {{ instant }}, 'UTC')
    {%- elif claims["period"] == "piece" -%}
        {{ piece_start(instant) }}
    {%- else -%}
        {{ claimed_start(claims["period"], instant) }}
    {%- endif -%}
{%- endmacro %}


{#
    The start of the piece that holds an instant: an hour, cut in two where the tenant's day begins within it. Models that
    hours and days are both made of are by piece, and claimed by the hour.
#}
{% macro piece_start(instant) -%}
    calendar.piece_start({{ instant }}, {{ time_zone() }})
{%- endmacro %}


{# The period `by` after (or, if negative, before) the one that begins at `start`. #}
{% macro neighbour(period, start, by, zone=none) -%}
    {%- if period == "ever" -%}
        timestamptz 'infinity'
    {%- elif is_local(period) -%}
        calendar.period_after('{{ period }}', {{ start }}, {{ zone or time_zone() }}, {{ by }})
    {%- else -%}
        {{ start }} + interval '{{ by }} hour'
    {%- endif -%}
{%- endmacro %}
