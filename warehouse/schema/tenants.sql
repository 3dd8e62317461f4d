-- The tenants that were created by name (`watershed tenant create`). Others may send and be shown all the same: what has
-- no row here has the defaults. Idempotent.

create table if not exists ledger.tenants (
    tenant text primary key,
    time_zone text not null default 'UTC',
    created_at timestamptz not null default now()
);
comment on table ledger.tenants is 'Tenants that were created; one that only ever sent events has no row.';
comment on column ledger.tenants.time_zone is 'IANA name of the zone in which the tenant''s business days are to begin.';
alter table ledger.tenants add column if not exists marts_time_zone text not null default 'UTC';
comment on column ledger.tenants.marts_time_zone is
'The zone in which its marts are built: a claim sets it to time_zone, and has everything of the tenant built anew.';
