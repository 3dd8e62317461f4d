{% set claims = {"event_types": ["page_view"], "period": "month"} %}
{{
    config(
        meta=claims,
        tags=claims["event_types"],
        indexes=[{"columns": ["tenant", "period_start", "region"], "unique": true}],
    )
}}

{{ page_views_by(["region"], ref("region_daily"), claims) }}
