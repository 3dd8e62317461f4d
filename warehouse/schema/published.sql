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

create or replace function ledger.changes(before jsonb, after jsonb) returns text
language sql immutable parallel safe
return (
    select string_agg(
        format('%s %s → %s', m.name, coalesce(before ->> m.name, '(none)'), coalesce(after ->> m.name, '(none)')),
        ', ' order by m.name
    )
    from jsonb_object_keys(coalesce(before, '{}') || coalesce(after, '{}')) as m (name)
    where before -> m.name is distinct from after -> m.name
);
comment on function ledger.changes is 'Each measure that differs, as it was and as it is.';

create or replace view marts.restatements with (security_barrier = true) as
select
    r.tenant,
    r.mart,
    r.period_start,
    r.key,
    r.old,
    r.new,
    ledger.changes(r.old, r.new) as changes,
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

create or replace view marts.restated_periods with (security_barrier = true) as
select r.tenant, r.mart, r.period_start, r.cause, r.rows, r.run_id, r.restated_at
from ledger.restated_periods as r
where session_user::text not like 'tenant.%' or r.tenant = substr(session_user::text, length('tenant.') + 1);
comment on view marts.restated_periods is
'marts.restatements by period, cause and run: quick to count, however many rows of a period changed.';

-- Each tenant's by the index: of a barrier that hides rows Postgres sorts all, and tells the changes of all, for a few.
create or replace view marts.newest_restatements with (security_barrier = true) as
select
    t.tenant,
    r.mart,
    r.period_start,
    r.key,
    ledger.changes(r.old, r.new) as changes,
    r.cause,
    r.run_id,
    r.restated_at
from (select distinct f.tenant from marts.freshness as f) as t
cross join lateral (
    select n.mart, n.period_start, n.key, n.old, n.new, n.cause, n.run_id, n.restated_at
    from ledger.restatements as n
    where n.tenant = t.tenant
    order by n.restated_at desc, n.mart, n.period_start
    limit 1000
) as r
where session_user::text not like 'tenant.%' or t.tenant = substr(session_user::text, length('tenant.') + 1);
comment on view marts.newest_restatements is
'The newest thousand of marts.restatements of each tenant.';

-- The dashboard reads the newest days of a table that grows by the minute.
create index if not exists loads_started_at on ledger.loads (started_at);
create index if not exists publications_published_at on ledger.publications (published_at);
