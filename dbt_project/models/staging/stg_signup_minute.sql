with source as (
    select * from {{ source("rollups", "signup_minute") }}
),

renamed as (
    select
        tenant,
        minute as period_start,
        region,
        channel,
        plan,
        signups,
        users as users_sketch
    from source
)

select * from renamed
