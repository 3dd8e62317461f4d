{#-
    The claim to build (ledger.unpublished.claimed_by); without one nothing is claimed, and a bare `dbt run` changes
    nothing. Builds give it in the environment: another value of a var has dbt parse the whole project anew, each minute.
-#}
{%- set run_id = var("run_id", env_var("DBT_RUN_ID", "00000000-0000-0000-0000-000000000000")) -%}
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
        run_id = '{{ run_id }}'
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
        unpublished.claimed_by = '{{ run_id }}'
        -- What the gate holds is not built either: its numbers must not be able to fail the run of the others.
        and not exists (
            select 1
            from held
            where held.tenant in (unpublished.tenant, '*')
        )
)

select * from final
