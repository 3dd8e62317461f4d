-- What was done to the marts, for who reads them: views, as readers see no other schema. Idempotent.
--
-- `tenant` is '*' where something was done for all tenants at once. These views read the ledger as their owner, so each says
-- itself whose rows it shows: a tenant's people (row_security.sql) see their own, and nothing that was done for all at once.

create or replace view marts.loads with (security_barrier = true) as
select
    '*'::text as tenant,
    l.run_id,
    l.type as event_type,
    l.started_at,
    l.finished_at,
    l.events_read,
    l.minutes_touched,
    l.minutes_recomputed,
    l.rows_written,
    l.minutes_left,
    l.over_cap
from ledger.loads as l
where session_user::text not like 'tenant.%';
comment on view marts.loads is 'Loads from the lake into the rollups, of all tenants together; finished_at is null of what runs.';

create or replace view marts.gate_results with (security_barrier = true) as
select g.tenant, g.run_id, g.stage, g.suite, g.expectation, g.severity, g.success, g.observed, g.checked_at
from ledger.gate_results as g
where session_user::text not like 'tenant.%' or g.tenant = substr(session_user::text, length('tenant.') + 1);
comment on view marts.gate_results is 'What each expectation of the gates found; tenant is * where it passed for all.';

create or replace view marts.publications with (security_barrier = true) as
select p.tenant, p.run_id, p.published_at, p.rows_written, p.held_because
from ledger.publications as p
where session_user::text not like 'tenant.%' or p.tenant = substr(session_user::text, length('tenant.') + 1);
comment on view marts.publications is 'Publications by tenant; held_because names what kept one out, null when it was published.';

create or replace view marts.restatements with (security_barrier = true) as
select
    r.tenant,
    r.mart,
    r.period_start,
    r.key,
    r.old,
    r.new,
    (
        select string_agg(
            format('%s %s → %s', m.name, coalesce(r.old ->> m.name, '(none)'), coalesce(r.new ->> m.name, '(none)')),
            ', ' order by m.name
        )
        from jsonb_object_keys(coalesce(r.old, '{}') || coalesce(r.new, '{}')) as m (name)
        where r.old -> m.name is distinct from r.new -> m.name
    ) as changes,
    r.cause,
    r.run_id,
    r.restated_at,
    r.reprocessed_by
from ledger.restatements as r
where session_user::text not like 'tenant.%' or r.tenant = substr(session_user::text, length('tenant.') + 1);
comment on view marts.restatements is
'Rows of marts that changed after their period was final: old and new measures, the cause, and the run that published it.';
comment on column marts.restatements.cause is
'late, repair, reprocess, erasure, load, or another; several where several changed the hours of the period.';
comment on column marts.restatements.reprocessed_by is
'Where the cause is a reprocessing: the runs of `watershed reprocess` that the publication showed of the tenant.';

-- The dashboard reads the newest days of a table that grows by the minute.
create index if not exists loads_started_at on ledger.loads (started_at);
create index if not exists publications_published_at on ledger.publications (published_at);
create index if not exists restatements_restated_at on ledger.restatements (restated_at);
