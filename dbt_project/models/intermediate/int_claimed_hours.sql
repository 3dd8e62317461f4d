{{
    config(
        materialized="table",
        grants={"select": ["gate", "publisher"]},
        post_hook="analyze {{ this }}",
    )
}}

-- Read once at the start of the run, so that every model builds the same claim, and publish publishes what was built.
with unpublished as (
    select * from {{ source("ledger", "unpublished") }}
),

gate_results as (
    select * from {{ source("ledger", "gate_results") }}
),

held as (
    select distinct tenant
    from gate_results
    where
        run_id = '{{ var("run_id") }}'
        and stage = 'rollups'
        and severity = 'stop'
        and not success
),

final as (
    select
        unpublished.claimed_by as run_id,
        unpublished.type as event_type,
        unpublished.tenant,
        unpublished.hour,
        unpublished.claimed_change_id as change_id,
        now() as built_at
    from unpublished
    where
        unpublished.claimed_by = '{{ var("run_id") }}'
        -- What the gate holds is not built either: its numbers must not be able to fail the run of the others.
        and not exists (
            select 1
            from held
            where held.tenant in (unpublished.tenant, '*')
        )
)

select * from final
