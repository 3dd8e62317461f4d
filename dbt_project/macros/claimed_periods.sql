{#
    Incremental strategy `claimed_periods`: what the run has claimed is replaced, whole periods at a time, and only that.

    The periods come from the claim and not from the new rows, so a period that became empty is removed, and the tenant is
    part of the key, so another tenant's rows stay. A model sets `meta: {event_type: …, period: hour|day|week|month}`,
    has columns `tenant` and `period_start`, and joins claimed_periods() itself when it is_incremental().
    Delete and insert are one transaction.
#}
{% macro get_incremental_claimed_periods_sql(arg_dict) %}
    {%- set columns = arg_dict["dest_columns"] | map(attribute="quoted") | join(", ") -%}
    delete from {{ arg_dict["target_relation"] }} as target
    using {{ claimed_periods() }} as claimed
    where
        target.tenant = claimed.tenant
        and target.period_start = claimed.period_start;

    insert into {{ arg_dict["target_relation"] }} ({{ columns }})
    select {{ columns }}
    from {{ arg_dict["temp_relation"] }}
{% endmacro %}


{# The periods of the model's grain that hold a claimed hour, as a subquery of (tenant, period_start, period_end). #}
{% macro claimed_periods() -%}
    {%- set period = model_period() %}
    (
        select distinct
            tenant,
            date_trunc('{{ period }}', hour, 'UTC') as period_start,
            -- Added without a time zone: a month of UTC, whatever the session's zone is.
            (date_trunc('{{ period }}', hour at time zone 'UTC') + interval '1 {{ period }}')
            at time zone 'UTC' as period_end
        from {{ ref("int_claimed_hours") }}
        where event_type = '{{ (config.get("meta") or {}).get("event_type") if execute }}'
    )
{%- endmacro %}


{# Keep the rows of `alias` in the claimed periods on an incremental run, and all of them on a full one. #}
{% macro where_claimed(alias) -%}
    {#- Called outside the condition: dbt learns what a model depends on when nothing is incremental yet. -#}
    {%- set claimed = claimed_periods() -%}
    {%- if is_incremental() %}
    inner join {{ claimed }} as claimed
        on
            {{ alias }}.tenant = claimed.tenant
            and {{ alias }}.period_start >= claimed.period_start
            and {{ alias }}.period_start < claimed.period_end
    {%- endif -%}
{%- endmacro %}


{# The model's grain: hour, day, week or month. While dbt only parses, configurations are not known: any will do. #}
{% macro model_period() -%}
    {%- if not execute -%}
        {{ return("hour") }}
    {%- endif -%}
    {%- set meta = config.get("meta") or {} -%}
    {%- if meta.get("period") not in ("hour", "day", "week", "month") or not meta.get("event_type") -%}
        {{ exceptions.raise_compiler_error(model.name ~ ": meta needs event_type and period (hour, day, week or month)") }}
    {%- endif -%}
    {{ return(meta["period"]) }}
{%- endmacro %}
