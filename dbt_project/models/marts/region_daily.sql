{% set claims = {"event_types": ["page_view"], "period": "day"} %}
{{
    config(
        meta=claims,
        tags=claims["event_types"],
        indexes=[{"columns": ["tenant", "period_start", "region"], "unique": true}],
    )
}}

{{ page_views_by(["region"], ref("int_page_views_hourly"), claims) }}
