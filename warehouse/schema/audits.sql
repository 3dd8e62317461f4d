-- What the nightly audit found: ids that a sender used for two times, and that are counted at each (ADR 0037). Idempotent.

create table if not exists ledger.id_audits (
    day date not null,                     -- UTC, of receipt
    type text not null,
    tenant text not null,
    ids bigint not null,                   -- distinct ids received on the day
    reused bigint not null,                -- of these, such as lie in more than one minute
    surplus bigint not null,               -- the minutes that these have beyond the first: so many times they count too often
    examples jsonb not null,               -- some of the reused: event_id, first and last minute, number of minutes
    looked_back_to timestamptz not null,   -- an earlier use is not found, unless it arrived on the day too
    audited_at timestamptz not null default now(),
    primary key (day, type, tenant)
);
comment on table ledger.id_audits is 'By day of receipt: how many ids were used for more than one minute; such an event counts in each.';

alter table ledger.id_audits add column if not exists files_missing integer not null default 0;
comment on column ledger.id_audits.files_missing is
    'Files of the type''s table that were missing then and not looked into: an id in one is not found until the day is audited anew.';

create table if not exists ledger.id_audits_due (
    day date not null,
    type text not null,
    files text [] not null,                -- paths of those that were missing when the day was audited
    audited_at timestamptz not null default now(),
    primary key (day, type)
);
comment on table ledger.id_audits_due is 'Audits beside missing files of the lake: made anew when none of these is missing any more.';

-- A window on the ledger, as in published.sql.
create or replace view marts.id_audits with (security_barrier = true) as
select
    a.tenant,
    a.type as event_type,
    a.day,
    a.ids,
    a.reused,
    a.surplus,
    a.examples,
    a.looked_back_to,
    a.audited_at,
    a.files_missing
from ledger.id_audits as a
where session_user::text not like 'tenant.%' or a.tenant = substr(session_user::text, length('tenant.') + 1);
comment on view marts.id_audits is 'By day of receipt: ids that were used for more than one minute, and are counted in each.';
