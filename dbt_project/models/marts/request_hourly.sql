{% set claims = {"event_types": ["request_log"], "period": "hour"} %}
{{
    config(
        meta=claims,
        tags=claims["event_types"],
        indexes=[{"columns": ["tenant", "period_start", "service", "route", "method"], "unique": true}],
    )
}}

{{ requests_by(["service", "route", "method"], ref("request_minute"), claims) }}
