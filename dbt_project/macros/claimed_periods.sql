{#
    Incremental strategy `claimed_periods`: what the run has claimed is replaced, whole periods at a time, and only that.

    The periods come from the claim and not from the new rows, so a period that became empty is removed, and the tenant is
    part of the key, so another tenant's rows stay. Delete and insert are one transaction. A model

        {% set claims = {"event_types": ["page_view"], "period": "day"} %}

    gives this as its `meta` and its types as its tags, has columns `tenant` and `period_start`, and reads its input with
    where_claimed(). An hour of any of the types claims the periods that it lies in; one of the types in "onward" claims all
    later periods too. Period "ever" is one period, from 1970-01-01; minutes are claimed by whole hours. Where a period
    begins is said by the warehouse's calendar, in the tenant's time zone (time_zones.sql).
#}
{% macro get_incremental_claimed_periods_sql(arg_dict) %}
    {%- set columns = arg_dict["dest_columns"] | map(attribute="quoted") | join(", ") -%}
    {%- set claims = config.get("meta") -%}
    {#- What began elsewhere when the tenant had another time zone lies within a period, too: there, only the range counts. -#}
    delete from {{ arg_dict["target_relation"] }} as target
    using {{ claimed_periods(claims) }} as claimed
    where
        {{ is_claimed("target", claims, equal=not is_local(claims["period"])) }};

    insert into {{ arg_dict["target_relation"] }} ({{ columns }})
    select {{ columns }}
    from {{ arg_dict["temp_relation"] }}
{% endmacro %}


{# The periods that hold a claimed hour, as a subquery of (tenant, period_start, period_end) without overlaps. #}
{% macro claimed_periods(claims) -%}
    {%- set period = claims["period"] -%}
    {%- if period not in ("minute", "hour", "day", "week", "month", "ever") or not claims["event_types"] -%}
        {{ exceptions.raise_compiler_error("claims need event_types and a period, not " ~ claims) }}
    {%- endif -%}
    {%- set types = "('" ~ claims["event_types"] | join("', '") ~ "')" -%}
    {%- set onward = "('" ~ claims.get("onward", []) | join("', '") ~ "')" -%}
    (
        select
            periods.tenant,
            periods.period_start,
            {%- if claims.get("onward") %}
            case
                when periods.period_start = periods.since then timestamptz 'infinity'
                else {{ neighbour(period, "periods.period_start", 1, "periods.time_zone") }}
            end as period_end
            {%- else %}
            {{ neighbour(period, "periods.period_start", 1, "periods.time_zone") }} as period_end
            {%- endif %}
        from (
            select
                hours.tenant,
                {{ time_zone() }} as time_zone,
                {{ claimed_start(period, "touched.instant") }} as period_start
                {%- if claims.get("onward") %},
                min({{ claimed_start(period, "touched.instant") }}) filter (where hours.event_type in {{ onward }})
                    over (partition by hours.tenant) as since
                {%- endif %}
            from {{ ref("int_claimed_hours") }} as hours
            {{ with_time_zone("hours") }}
            {#- An hour of UTC lies in two days where one begins within it. #}
            cross join lateral (
                values (hours.hour){% if is_local(period) %}, (hours.hour + interval '3599 seconds'){% endif %}
            ) as touched (instant)
            where hours.event_type in {{ types }}
        ) as periods
        {%- if claims.get("onward") %}
        where coalesce(periods.period_start <= periods.since, true)
        {%- endif %}
        group by periods.tenant, periods.time_zone, periods.period_start{{ ", periods.since" if claims.get("onward") }}
    )
{%- endmacro %}


{#
    Whether a row of `alias` lies in a period of `claimed`; with `back`, or within so many hours before it.

    The period is asked for twice where it can be: as a range, for which a claim of a few hours finds an index, and, if
    `equal`, as an equality, by which a claim of everything is one hash join instead of every row beside every period.
#}
{% macro is_claimed(alias, claims, back=0, equal=true) -%}
    {{ alias }}.tenant = claimed.tenant
    {%- if claims["period"] != "ever" %}
        {%- if equal and not claims.get("onward") and not back %}
            and {{ claimed_start(claims["period"], alias ~ ".period_start") }} = claimed.period_start
        {%- endif %}
            and {{ alias }}.period_start >= claimed.period_start{{ " - interval '" ~ back ~ " hours'" if back }}
            and {{ alias }}.period_start < claimed.period_end
    {%- endif -%}
{%- endmacro %}


{#
    Joins of `alias`: its tenant's time zone, for period_start() and neighbour(); and on an incremental run only the rows in
    the claimed periods (or up to `back` hours before).
#}
{% macro where_claimed(alias, claims, back=0) -%}
    {#- Called outside the condition: dbt learns what a model depends on when nothing is incremental yet. -#}
    {%- set claimed = claimed_periods(claims) -%}
    {{ with_time_zone(alias) }}
    {%- if is_incremental() %}
    inner join {{ claimed }} as claimed
        on
            {{ is_claimed(alias, claims, back) }}
    {%- endif -%}
{%- endmacro %}
