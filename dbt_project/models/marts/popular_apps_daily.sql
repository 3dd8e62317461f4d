{%
    set claims = {
        "event_types": ["app_created", "app_verified", "purchase"],
        "period": "day",
        "onward": ["app_created", "app_verified", "purchase"],
    }
%}
{{
    config(
        meta=claims,
        tags=claims["event_types"],
        indexes=[{"columns": ["tenant", "period_start", "ranked_by", "currency", "app_id"], "unique": true}],
    )
}}

{{ popular_apps_by(ref("int_app_sales_daily"), claims) }}
