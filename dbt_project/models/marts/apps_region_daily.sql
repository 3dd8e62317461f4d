{% set claims = {"event_types": ["app_created", "app_verified"], "period": "day"} %}
{{
    config(
        meta=claims,
        tags=claims["event_types"],
        indexes=[{"columns": ["tenant", "period_start", "region", "category"], "unique": true}],
    )
}}

{{ sums_by(["region", "category"], ["created", "verified"], ref("int_apps_hourly"), claims) }}
