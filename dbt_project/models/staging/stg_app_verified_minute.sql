with source as (
    select * from {{ source("rollups", "app_verified_minute") }}
),

renamed as (
    select
        tenant,
        minute as period_start,
        region,
        category,
        app_id,
        apps as verified,
        app_name,
        app_name_at,
        developer,
        developer_at
    from source
)

select * from renamed
