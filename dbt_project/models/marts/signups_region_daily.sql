{% set claims = {"event_types": ["signup"], "period": "day"} %}
{{
    config(
        meta=claims,
        tags=claims["event_types"],
        indexes=[{"columns": ["tenant", "period_start", "region", "channel", "plan"], "unique": true}],
    )
}}

{{ sums_by(["region", "channel", "plan"], ["signups"], ref("int_signups_hourly"), claims) }}
