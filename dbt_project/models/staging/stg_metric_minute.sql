with source as (
    select * from {{ source("rollups", "metric_minute") }}
),

renamed as (
    select
        tenant,
        minute as period_start,
        source,
        metric_type,
        samples,
        value_sum,
        value_min,
        value_max,
        value_last,
        value_last_at,
        unit,
        unit_at
    from source
)

select * from renamed
