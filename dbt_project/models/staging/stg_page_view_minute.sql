with source as (
    select * from {{ source("rollups", "page_view_minute") }}
),

renamed as (
    select
        tenant,
        minute as period_start,
        region,
        page_name,
        page_views,
        bot_page_views,
        visitors as visitors_sketch
    from source
)

select * from renamed
