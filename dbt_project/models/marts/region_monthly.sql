{% set claims = {"event_type": "page_view", "period": "month"} %}
{{ config(meta=claims, indexes=[{"columns": ["tenant", "period_start", "region"], "unique": true}]) }}

{{ page_views_by("region", ref("region_daily"), claims) }}
