-- How many events were rejected and why, by hour of receipt (ADR 0025). Idempotent.
--
-- The events themselves, untouched, stay in the lake (quality.rejected_events): here are counts, and of what a sender wrote
-- only what a contract knows, so that no personal data comes this way.

create table if not exists ledger.rejects (
    tenant text not null,                  -- '(none)': nothing said whose it was
    event_type text not null,              -- '(none)': it claimed none; '(unknown)': one that has no contract
    received_hour timestamptz not null,
    reason text not null,                  -- the keyword: of JSON Schema, or one of the collector's own
    field text not null,                   -- where, as a JSON pointer; '' of the event itself; '(unknown)' no contract has it
    rejected bigint not null,              -- events of which this is the first reason: they add up to the events rejected
    named bigint not null,                 -- events that name this reason at all: one with two reasons is in both
    primary key (received_hour, tenant, event_type, reason, field)
);
comment on table ledger.rejects is 'Rejected events by reason and hour of receipt; an hour is counted anew, never added to.';

alter table ledger.rejects add column if not exists key_id text not null default '(none)';
alter table ledger.rejects add column if not exists schema_version text not null default '(none)';
comment on column ledger.rejects.key_id is 'The write key that sent them, never the key itself; (none): of a message, or a line.';
comment on column ledger.rejects.schema_version is
    'The contract version that they name; (none): none, or received before it was kept; (unknown): one that there is not.';
do $$
begin
    if not exists (
        select from information_schema.key_column_usage
        where table_schema = 'ledger' and constraint_name = 'rejects_pkey' and column_name = 'schema_version'
    ) then
        alter table ledger.rejects
        drop constraint rejects_pkey,
        add constraint rejects_pkey primary key (
            received_hour, tenant, event_type, reason, field, key_id, schema_version
        );
    end if;
end
$$;

create table if not exists ledger.rejects_touched (
    received_hour timestamptz primary key,
    change_id bigint not null default nextval('ledger.change_seq'),
    touched_at timestamptz not null default now()
);
comment on table ledger.rejects_touched is 'Hours of receipt to count anew from the lake; the only way anything reaches rejects.';

-- Of the accepted the ledger has the hour of receipt too: with both, what came in and how much of it was taken.
create index if not exists cells_received_hour on ledger.cells (received_hour);

-- Windows on the ledger, as in published.sql: each says itself whose rows it shows.

create or replace view marts.rejects_hourly with (security_barrier = true) as
select
    r.tenant, r.event_type, r.received_hour as period_start, r.reason, r.field, r.rejected, r.named, r.key_id,
    r.schema_version
from ledger.rejects as r
where session_user::text not like 'tenant.%' or r.tenant = substr(session_user::text, length('tenant.') + 1);
comment on view marts.rejects_hourly is
'Rejected events by event type, reason, field, write key, contract version and hour of receipt (UTC).';

create or replace view marts.arrivals_hourly with (security_barrier = true) as
select
    a.tenant,
    a.event_type,
    a.received_hour as period_start,
    sum(a.landed)::bigint as landed,
    sum(a.counted)::bigint as counted,
    sum(a.duplicates)::bigint as duplicates,
    sum(a.collisions)::bigint as collisions,
    sum(a.quarantined)::bigint as quarantined,
    sum(a.rejected)::bigint as rejected
from (
    select c.tenant, c.type as event_type, c.received_hour, c.landed, c.counted, c.duplicates, c.collisions, c.quarantined, 0 as rejected
    from ledger.cells as c
    union all
    select r.tenant, r.event_type, r.received_hour, 0, 0, 0, 0, 0, r.rejected
    from ledger.rejects as r
) as a
where session_user::text not like 'tenant.%' or a.tenant = substr(session_user::text, length('tenant.') + 1)
group by a.tenant, a.event_type, a.received_hour;
comment on view marts.arrivals_hourly is
'What came in, by event type and hour of receipt (UTC): landed in the lake, of these counted and not, and rejected.';
