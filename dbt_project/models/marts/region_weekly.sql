{{
    config(
        meta={"event_type": "page_view", "period": "week"},
        indexes=[{"columns": ["tenant", "period_start", "region"], "unique": true}],
    )
}}

{{ page_views_by("region", ref("region_daily")) }}
