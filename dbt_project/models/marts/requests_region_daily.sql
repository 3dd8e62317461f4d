{% set claims = {"event_types": ["request_log"], "period": "day"} %}
{{
    config(
        meta=claims,
        tags=claims["event_types"],
        indexes=[{"columns": ["tenant", "period_start", "service", "region"], "unique": true}],
    )
}}

{{ requests_by(["service", "region"], ref("int_requests_region_hourly"), claims) }}
