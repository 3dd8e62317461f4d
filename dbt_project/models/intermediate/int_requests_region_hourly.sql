{% set claims = {"event_types": ["request_log"], "period": "hour"} %}
{{
    config(
        materialized="incremental",
        incremental_strategy="claimed_periods",
        on_schema_change="append_new_columns",
        meta=claims,
        tags=claims["event_types"],
        grants={"select": ["gate"]},
        indexes=[{"columns": ["tenant", "period_start", "service", "region"], "unique": true}],
    )
}}

-- By piece (an hour, cut where the tenant's day begins): hours and days are made of it, and not of minutes each time.
{{ requests_summed(["service", "region"], ref("int_requests_minute"), claims, piece_start("finer.period_start")) }}

select * from merged
