{% set claims = {"event_types": ["app_created", "app_verified"], "period": "month"} %}
{{
    config(
        meta=claims,
        tags=claims["event_types"],
        indexes=[{"columns": ["tenant", "period_start", "region", "category"], "unique": true}],
    )
}}

{{ sums_by(["region", "category"], ["created", "verified"], ref("apps_region_daily"), claims) }}
