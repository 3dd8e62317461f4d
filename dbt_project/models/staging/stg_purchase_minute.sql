with source as (
    select * from {{ source("rollups", "purchase_minute") }}
),

renamed as (
    select
        tenant,
        minute as period_start,
        region,
        currency,
        app_id,
        revenue,
        purchases,
        quantity,
        buyers as buyers_sketch
    from source
)

select * from renamed
