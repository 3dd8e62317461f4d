{# Whether the hour of a row (alias) of any of the types is not published as it is now. #}
{% macro is_unpublished(alias, event_types) -%}
    exists (
        select 1
        from {{ source("ledger", "unpublished") }} as waiting
        where
            waiting.type in ('{{ event_types | join("', '") }}')
            and waiting.tenant = {{ alias }}.tenant
            and waiting.hour = date_trunc('hour', {{ alias }}.period_start, 'UTC')
    )
{%- endmacro %}
