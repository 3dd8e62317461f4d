{% set claims = {"event_type": "page_view", "period": "hour"} %}
{{ config(meta=claims, indexes=[{"columns": ["tenant", "period_start", "region"], "unique": true}]) }}

{{ page_views_by("region", ref("int_page_views_hourly"), claims) }}
