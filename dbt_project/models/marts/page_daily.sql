{% set claims = {"event_types": ["page_view"], "period": "day"} %}
{{
    config(
        meta=claims,
        tags=claims["event_types"],
        indexes=[{"columns": ["tenant", "period_start", "page_name"], "unique": true}],
    )
}}

{{ page_views_by(["page_name"], ref("int_page_views_hourly"), claims) }}
