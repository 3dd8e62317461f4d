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
    a.audited_at
from ledger.id_audits as a
where session_user::text not like 'tenant.%' or a.tenant = substr(session_user::text, length('tenant.') + 1);
comment on view marts.id_audits is 'By day of receipt: ids that were used for more than one minute, and are counted in each.';
