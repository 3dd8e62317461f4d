{#
    Incremental strategy `claimed_periods`: what the run has claimed is replaced, whole periods at a time, and only that.

    The periods come from the claim and not from the new rows, so a period that became empty is removed, and the tenant is
    part of the key, so another tenant's rows stay. Delete and insert are one transaction. A model

        {% set claims = {"event_type": "page_view", "period": "day"} %}

    gives this as its `meta`, has columns `tenant` and `period_start`, and reads its input with where_claimed().
#}
{% macro get_incremental_claimed_periods_sql(arg_dict) %}
    {%- set columns = arg_dict["dest_columns"] | map(attribute="quoted") | join(", ") -%}
    delete from {{ arg_dict["target_relation"] }} as target
    using {{ claimed_periods(config.get("meta")) }} as claimed
    where
        target.tenant = claimed.tenant
        and target.period_start = claimed.period_start;

    insert into {{ arg_dict["target_relation"] }} ({{ columns }})
    select {{ columns }}
    from {{ arg_dict["temp_relation"] }}
{% endmacro %}


{# The periods that hold a claimed hour, as a subquery of (tenant, period_start, period_end). #}
{% macro claimed_periods(claims) -%}
    {%- if claims["period"] not in ("hour", "day", "week", "month") or not claims["event_type"] -%}
        {{ exceptions.raise_compiler_error("claims need event_type and period (hour, day, week, month), not " ~ claims) }}
    {%- endif -%}
    (
        select distinct
            tenant,
            date_trunc('{{ claims["period"] }}', hour, 'UTC') as period_start,
            -- Added without a time zone: a month of UTC, whatever the session's zone is.
            (date_trunc('{{ claims["period"] }}', hour at time zone 'UTC') + interval '1 {{ claims["period"] }}')
            at time zone 'UTC' as period_end
        from {{ ref("int_claimed_hours") }}
        where event_type = '{{ claims["event_type"] }}'
    )
{%- endmacro %}


{#
    Keep the rows of `alias` in the claimed periods on an incremental run, and all of them on a full one.

    The period is asked for twice: as a range, for which a claim of a few hours finds an index, and as an equality, by which
    a claim of everything is one hash join instead of every row beside every period.
#}
{% macro where_claimed(alias, claims) -%}
    {#- Called outside the condition: dbt learns what a model depends on when nothing is incremental yet. -#}
    {%- set claimed = claimed_periods(claims) -%}
    {%- if is_incremental() %}
    inner join {{ claimed }} as claimed
        on
            {{ alias }}.tenant = claimed.tenant
            and date_trunc('{{ claims["period"] }}', {{ alias }}.period_start, 'UTC') = claimed.period_start
            and {{ alias }}.period_start >= claimed.period_start
            and {{ alias }}.period_start < claimed.period_end
    {%- endif -%}
{%- endmacro %}
