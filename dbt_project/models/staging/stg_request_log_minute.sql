with source as (
    select * from {{ source("rollups", "request_log_minute") }}
),

renamed as (
    select
        tenant,
        minute as period_start,
        service,
        method,
        path,
        status,
        region,
        requests,
        client_errors,
        errors,
        timed,
        satisfied,
        tolerating,
        duration_ms as duration_sketch,
        coalesce(duration_sum, 0) as duration_sum
    from source
)

select * from renamed
