{{
    config(
        meta={"event_type": "page_view", "period": "hour"},
        indexes=[{"columns": ["tenant", "period_start", "region"], "unique": true}],
    )
}}

{{ page_views_by("region", ref("int_page_views_hourly")) }}
