with source as (
    select * from {{ source("rollups", "app_created_minute") }}
),

renamed as (
    select
        tenant,
        minute as period_start,
        region,
        category,
        app_id,
        apps as created,
        app_name,
        app_name_at,
        developer,
        developer_at
    from source
)

select * from renamed
