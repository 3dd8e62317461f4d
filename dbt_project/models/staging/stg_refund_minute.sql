with source as (
    select * from {{ source("rollups", "refund_minute") }}
),

renamed as (
    select
        tenant,
        minute as period_start,
        region,
        currency,
        app_id,
        refunded,
        refunds
    from source
)

select * from renamed
