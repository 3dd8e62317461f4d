{#
    Incremental strategy `claimed_periods`: what the run has claimed is replaced, whole periods at a time, and only that.

    The periods come from the claim and not from the new rows, so a period that became empty is removed, and the tenant is
    part of the key, so another tenant's rows stay. Delete and insert are one transaction. A model

        {% set claims = {"event_types": ["page_view"], "period": "day"} %}

    gives this as its `meta` and its types as its tags, has columns `tenant` and `period_start`, and reads its input with
    where_claimed(). An hour of any of the types claims the period that holds it; one of the types in "onward" claims all
    later periods too. Period "ever" is one period, from 1970-01-01; minutes are claimed by whole hours.
#}
{% macro get_incremental_claimed_periods_sql(arg_dict) %}
    {%- set columns = arg_dict["dest_columns"] | map(attribute="quoted") | join(", ") -%}
    delete from {{ arg_dict["target_relation"] }} as target
    using {{ claimed_periods(config.get("meta")) }} as claimed
    where
        {{ is_claimed("target", config.get("meta")) }};

    insert into {{ arg_dict["target_relation"] }} ({{ columns }})
    select {{ columns }}
    from {{ arg_dict["temp_relation"] }}
{% endmacro %}


{# The start of the period that holds an instant; of minutes the hour, by which they are claimed. #}
{% macro claimed_start(period, instant) -%}
    {%- if period == "ever" -%}
        timestamptz '1970-01-01 00:00:00+00'
    {%- else -%}
        date_trunc('{{ "hour" if period == "minute" else period }}', {{ instant }}, 'UTC')
    {%- endif -%}
{%- endmacro %}


{# The period after (by = 1) or before (by = -1) the one that begins at `start`. #}
{% macro neighbour(period, start, by) -%}
    {%- if period == "ever" -%}
        timestamptz 'infinity'
    {%- else -%}
        {#- Added without a time zone: a month of UTC, whatever the session's zone is. -#}
        ({{ start }} at time zone 'UTC' + interval '{{ by }} {{ "hour" if period == "minute" else period }}')
        at time zone 'UTC'
    {%- endif -%}
{%- endmacro %}


{# The periods that hold a claimed hour, as a subquery of (tenant, period_start, period_end) without overlaps. #}
{% macro claimed_periods(claims) -%}
    {%- set period = claims["period"] -%}
    {%- if period not in ("minute", "hour", "day", "week", "month", "ever") or not claims["event_types"] -%}
        {{ exceptions.raise_compiler_error("claims need event_types and a period, not " ~ claims) }}
    {%- endif -%}
    {%- set types = "('" ~ claims["event_types"] | join("', '") ~ "')" -%}
    {%- set onward = "('" ~ claims.get("onward", []) | join("', '") ~ "')" -%}
    {%- if not claims.get("onward") -%}
    (
        select
            hours.tenant,
            hours.period_start,
            {{ neighbour(period, "hours.period_start", 1) }} as period_end
        from (
            select distinct
                tenant,
                {{ claimed_start(period, "hour") }} as period_start
            from {{ ref("int_claimed_hours") }}
            where event_type in {{ types }}
        ) as hours
    )
    {%- else -%}
    (
        select
            hours.tenant,
            hours.period_start,
            {{ neighbour(period, "hours.period_start", 1) }} as period_end
        from (
            select distinct
                tenant,
                {{ claimed_start(period, "hour") }} as period_start
            from {{ ref("int_claimed_hours") }}
            where event_type in {{ types }}
        ) as hours
        where
            not exists (
                select 1
                from {{ ref("int_claimed_hours") }} as onward
                where
                    onward.tenant = hours.tenant
                    and onward.event_type in {{ onward }}
                    and {{ claimed_start(period, "onward.hour") }} <= hours.period_start
            )
        union all
        select
            tenant,
            min({{ claimed_start(period, "hour") }}) as period_start,
            timestamptz 'infinity' as period_end
        from {{ ref("int_claimed_hours") }}
        where event_type in {{ onward }}
        group by tenant
    )
    {%- endif -%}
{%- endmacro %}


{#
    Whether a row of `alias` lies in a period of `claimed`; with `back`, or within so many hours before it.

    The period is asked for twice where it can be: as a range, for which a claim of a few hours finds an index, and as an
    equality, by which a claim of everything is one hash join instead of every row beside every period.
#}
{% macro is_claimed(alias, claims, back=0) -%}
    {{ alias }}.tenant = claimed.tenant
    {%- if claims["period"] != "ever" %}
        {%- if not claims.get("onward") and not back %}
            and {{ claimed_start(claims["period"], alias ~ ".period_start") }} = claimed.period_start
        {%- endif %}
            and {{ alias }}.period_start >= claimed.period_start{{ " - interval '" ~ back ~ " hours'" if back }}
            and {{ alias }}.period_start < claimed.period_end
    {%- endif -%}
{%- endmacro %}


{# Keep the rows of `alias` in the claimed periods (or up to `back` hours before) on an incremental run, else all. #}
{% macro where_claimed(alias, claims, back=0) -%}
    {#- Called outside the condition: dbt learns what a model depends on when nothing is incremental yet. -#}
    {%- set claimed = claimed_periods(claims) -%}
    {%- if is_incremental() %}
    inner join {{ claimed }} as claimed
        on
            {{ is_claimed(alias, claims, back) }}
    {%- endif -%}
{%- endmacro %}
