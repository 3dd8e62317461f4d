{% set claims = {"event_types": ["request_log"], "period": "month"} %}
{{
    config(
        meta=claims,
        tags=claims["event_types"],
        indexes=[{"columns": ["tenant", "period_start", "service", "region"], "unique": true}],
    )
}}

{{ requests_by(["service", "region"], ref("requests_region_daily"), claims) }}
