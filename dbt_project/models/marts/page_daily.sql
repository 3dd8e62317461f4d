{% set claims = {"event_type": "page_view", "period": "day"} %}
{{ config(meta=claims, indexes=[{"columns": ["tenant", "period_start", "page_name"], "unique": true}]) }}

{{ page_views_by("page_name", ref("int_page_views_hourly"), claims) }}
