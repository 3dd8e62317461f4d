{% set claims = {"event_types": ["signup", "purchase"], "period": "day"} %}
{{
    config(
        materialized="incremental",
        incremental_strategy="claimed_periods",
        on_schema_change="append_new_columns",
        meta=claims,
        tags=claims["event_types"],
        grants={"select": ["gate"]},
        indexes=[
            {"columns": ["tenant", "user_hash", "period_start"], "unique": true},
            {"columns": ["tenant", "period_start"]},
        ],
    )
}}

-- The user history: each user, by keyed hash, on each day on which they were active; the first day is the first row.
-- Exact, because an hour's sketch of one key holds every hash. Nothing derived is kept that a late event could falsify.
with hours as (
    select
        signups.tenant,
        {{ period_start(claims, "signups.period_start") }} as period_start,
        unnest(signups.users_sketch) as user_hash,
        true as signed_up,
        false as bought
    from {{ ref("int_signups_hourly") }} as signups
    {{ where_claimed("signups", claims) }}
    union all
    select
        sales.tenant,
        {{ period_start(claims, "sales.period_start") }} as period_start,
        unnest(sales.buyers_sketch) as user_hash,
        false as signed_up,
        true as bought
    from {{ ref("int_sales_hourly") }} as sales
    {{ where_claimed("sales", claims) }}
),

final as (
    select
        tenant,
        user_hash,
        period_start,
        bool_or(signed_up) as signed_up,
        bool_or(bought) as bought
    from hours
    group by tenant, user_hash, period_start
)

select * from final
