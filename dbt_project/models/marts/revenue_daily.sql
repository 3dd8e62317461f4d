{% set claims = {"event_types": ["purchase", "refund"], "period": "day"} %}
{{
    config(
        meta=claims,
        tags=claims["event_types"],
        indexes=[{"columns": ["tenant", "period_start", "region", "currency"], "unique": true}],
    )
}}

{{ revenue_by(ref("int_sales_hourly"), claims) }}
