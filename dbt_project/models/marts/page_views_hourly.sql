{% set claims = {"event_types": ["page_view"], "period": "hour"} %}
{{
    config(
        meta=claims,
        tags=claims["event_types"],
        indexes=[{"columns": ["tenant", "period_start"], "unique": true}],
    )
}}

{{ page_views_by([], ref("region_hourly"), claims) }}
