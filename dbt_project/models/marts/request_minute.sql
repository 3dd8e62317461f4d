{% set claims = {"event_types": ["request_log"], "period": "minute"} %}
{{
    config(
        meta=claims,
        tags=claims["event_types"],
        indexes=[{"columns": ["tenant", "period_start", "service", "route", "method"], "unique": true}],
    )
}}

{{ requests_by(["service", "route", "method"], ref("int_requests_minute"), claims) }}
