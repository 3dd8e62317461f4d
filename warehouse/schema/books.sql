-- The books: of every event that was acknowledged, where it is (ADR 0032). Idempotent.
--
-- `ledger.receipt_cells` is the collectors' own word. `ledger.file_ranges` and `ledger.file_minutes` are what the lake's data
-- files hold, each file read once when it appears. `ledger.books` sets one against the other, and both against
-- `ledger.cells`, by hour of receipt. Sequences are sets (multiranges), so that a loss is a loss and no remainder.

alter table ledger.collectors add column if not exists void int8multirange;
alter table ledger.collectors add column if not exists in_doubt int8multirange;
alter table ledger.collectors add column if not exists cells_sought_at timestamptz;
comment on column ledger.collectors.void is 'Sequences that were never acknowledged; they may still have landed.';
comment on column ledger.collectors.in_doubt is
    'Sequences without an answer when it spoke last; of a process that was killed: for ever.';
comment on column ledger.collectors.cells_sought_at is
    'Its cells do not add up to what it acknowledged: when the lake''s copies of its receipts were last asked for the rest.';

create table if not exists ledger.receipt_cells (
    collector_id text not null,
    tenant text not null,                  -- '': a request that was refused whole, as for a wrong key: it has no sequence
    type text not null,                    -- '': what was refused and is of no known type, a broken body for one
    received_hour timestamptz not null,
    accepted bigint not null,
    rejected bigint not null,
    minted bigint not null,                -- of accepted: without an id of the client's
    updated_at timestamptz not null default now(),
    primary key (received_hour, tenant, type, collector_id)
);
create index if not exists receipt_cells_updated on ledger.receipt_cells (updated_at);
create index if not exists receipt_cells_collector on ledger.receipt_cells (collector_id);
comment on table ledger.receipt_cells is 'What each collector acknowledged, by its own word; written by the lander.';

create table if not exists ledger.lake_files (
    file_id bigint generated always as identity primary key,
    type text not null,                    -- an event type, or rejected_events
    path text not null unique,
    manifest text not null,                -- the newest of the lake's manifests that was seen to name it
    day date,                              -- of its partition
    rows bigint not null,                  -- as the lake's metadata say
    read boolean not null default false,   -- what it holds is in file_ranges and file_minutes
    land_seq bigint,                       -- the greatest of its rows
    state text not null default 'here' check (state in ('here', 'missing', 'expired')),
    missing_since timestamptz,
    seen_at timestamptz not null default now()
);
create index if not exists lake_files_type on ledger.lake_files (type, state);
create index if not exists lake_files_land_seq on ledger.lake_files (type, land_seq);
comment on table ledger.lake_files is 'The data files of the lake''s tables, and whether their objects are there.';
comment on column ledger.lake_files.state is
    'here; missing: a snapshot names it and its object is gone, or is of another size; expired: left the lake below the floor, having landed.';

alter table ledger.lake_files add column if not exists size bigint;
alter table ledger.lake_files add column if not exists found_size bigint;
comment on column ledger.lake_files.size is 'In bytes, as the lake''s metadata say; null: from before it was noted, until its manifest is opened again.';
comment on column ledger.lake_files.found_size is
    'Of a missing file: the bytes of what is at its name instead, overwritten or cut short; null: nothing is.';

create table if not exists ledger.file_ranges (
    file_id bigint not null references ledger.lake_files (file_id) on delete cascade,
    kind text not null check (kind in ('event', 'rejected', 'set aside')),
    type text not null,                    -- of the events; '' of a rejection of no known type
    tenant text not null,
    received_hour timestamptz not null,
    collector_id text not null,
    sequences int8multirange not null,
    rows bigint not null,
    primary key (file_id, kind, type, tenant, received_hour, collector_id)
);
create index if not exists file_ranges_hour on ledger.file_ranges (received_hour);
create index if not exists file_ranges_collector on ledger.file_ranges (collector_id);
comment on table ledger.file_ranges is
    'Which sequences each file of the lake holds; set aside: accepted by the collector, refused by a lander.';

create table if not exists ledger.file_minutes (
    file_id bigint not null references ledger.lake_files (file_id) on delete cascade,
    tenant text not null,
    minute timestamptz not null,           -- of occurrence
    received_hour timestamptz not null,
    rows bigint not null,
    primary key (file_id, tenant, minute, received_hour)
);
create index if not exists file_minutes_hour on ledger.file_minutes (received_hour);
comment on table ledger.file_minutes is 'How many events each file of the lake holds, as ledger.cells counts them.';

create table if not exists ledger.held_minutes (
    type text not null,
    tenant text not null,
    minute timestamptz not null,
    file_id bigint not null references ledger.lake_files (file_id) on delete cascade,
    held_at timestamptz not null default now(),
    primary key (type, tenant, minute, file_id)
);
comment on table ledger.held_minutes is
    'Minutes that are not recomputed while a file with events of theirs is missing: they would come out too small.';

create table if not exists ledger.books_touched (
    received_hour timestamptz primary key,
    touched_at timestamptz not null default now()
);
comment on table ledger.books_touched is 'Hours of receipt to balance anew.';

create table if not exists ledger.books (
    tenant text not null,
    type text not null,                    -- '': requests of which no event of a known type could be read
    received_hour timestamptz not null,
    acknowledged bigint not null,          -- accepted, by the collectors' own word
    landed bigint not null,                -- distinct events in files that are there
    unlanded bigint not null,              -- acknowledged and not landed
    missing bigint not null,               -- events in files whose objects are gone
    set_aside bigint not null,             -- accepted, but no row: a lander refused the message, and kept it
    copies bigint not null,                -- rows beyond the distinct ones
    counted bigint not null,
    duplicates bigint not null,
    collisions bigint not null,
    quarantined bigint not null,
    erased bigint not null,                -- of the rows above, whatever they are booked as: without personal data now
    not_loaded bigint not null,
    unexplained bigint not null,           -- rows of which the load knows another number than the lake
    charted_apart bigint not null,         -- counted in another number than the rollups show
    rejected bigint not null,              -- by the collectors' own word
    rejected_unlanded bigint not null,     -- of these, not among the rejected events of the lake
    reasons jsonb not null,                -- rejected by first reason, as ledger.rejects counts
    minted bigint not null,
    in_doubt bigint not null,              -- landed, and never answered: the collector was killed meanwhile
    void bigint not null,                  -- landed, although the sender was told to send again
    "foreign" bigint not null,             -- landed, and no collector says it took them
    closed boolean not null,
    balanced boolean not null,
    checked_at timestamptz not null,
    signed_off_by text,
    signed_off_because text,
    signed_off_at timestamptz,
    primary key (received_hour, tenant, type)
);
create index if not exists books_red on ledger.books (type, tenant, received_hour)
where closed and not balanced and signed_off_at is null;
create index if not exists books_at_work on ledger.books (received_hour)
where not (closed and balanced and not_loaded = 0);
comment on table ledger.books is
    'acknowledged = landed and unlanded; landed = counted + duplicates + collisions + quarantined + not yet loaded.';
comment on column ledger.books.closed is 'Everything received in the hour was to be in the lake when it was checked.';

create table if not exists ledger.sign_offs (
    sign_off_id bigint generated always as identity primary key,
    tenant text not null,
    type text not null,
    received_hour timestamptz not null,
    deed text not null check (deed in ('signed off', 'taken back', 'lapsed')),
    by text not null,
    because text not null,
    at timestamptz not null default now(),
    lacking jsonb not null                 -- what did not balance then: the numbers of ledger.books that were not 0
);
create index if not exists sign_offs_hour on ledger.sign_offs (received_hour, tenant, type);
comment on table ledger.sign_offs is
    'Who signed off which hour, or took it back, when and why; only ever added to. Lapsed: something else went wrong in it.';

create or replace function ledger.lacking(
    unlanded bigint, missing bigint, unexplained bigint, charted_apart bigint, rejected_unlanded bigint, "foreign" bigint
) returns jsonb
language sql immutable parallel safe
return (
    select coalesce(jsonb_object_agg(n.name, n.number), '{}')
    from (
        values
        ('unlanded', unlanded),
        ('missing', missing),
        ('unexplained', unexplained),
        ('charted_apart', charted_apart),
        ('rejected_unlanded', rejected_unlanded),
        ('foreign', "foreign")
    ) as n (name, number)
    where n.number <> 0
);
comment on function ledger.lacking is 'What keeps an hour from balancing, by name.';

-- Of what was signed off before there was this table.
insert into ledger.sign_offs (tenant, type, received_hour, deed, by, because, at, lacking)
select b.tenant, b.type, b.received_hour, 'signed off', coalesce(b.signed_off_by, ''), coalesce(b.signed_off_because, ''),
    b.signed_off_at,
    ledger.lacking(b.unlanded, b.missing, b.unexplained, b.charted_apart, b.rejected_unlanded, b."foreign")
from ledger.books as b
where b.signed_off_at is not null and not exists (select from ledger.sign_offs);

create table if not exists ledger.reconciliations (
    run_id uuid primary key,
    started_at timestamptz not null,
    finished_at timestamptz,
    everything boolean not null,
    hours integer,
    red integer                            -- closed hours of a tenant and type that do not balance and nobody signed off
);
comment on table ledger.reconciliations is 'When the books were balanced.';

create or replace function ledger.size(sequences int8multirange) returns bigint
language sql immutable parallel safe
return (select coalesce(sum(upper(r.r) - lower(r.r)), 0)::bigint from unnest(sequences) as r (r));
comment on function ledger.size is 'How many numbers are in a multirange.';

-- A window on the ledger, as in published.sql.
create or replace view marts.books_hourly with (security_barrier = true) as
select
    case b.tenant when '' then '(none)' else b.tenant end as tenant,
    case b.type when '' then '(none)' else b.type end as event_type,
    b.received_hour as period_start,
    b.acknowledged,
    b.landed,
    b.unlanded,
    b.missing,
    b.set_aside,
    b.copies,
    b.counted,
    b.duplicates,
    b.collisions,
    b.quarantined,
    b.erased,
    b.not_loaded,
    b.unexplained,
    b.charted_apart,
    b.rejected,
    b.rejected_unlanded,
    b.reasons,
    b.minted,
    b.in_doubt,
    b.void,
    b."foreign",
    b.balanced,
    b.closed,
    b.checked_at,
    b.signed_off_by,
    b.signed_off_because,
    b.signed_off_at
from ledger.books as b
where session_user::text not like 'tenant.%' or b.tenant = substr(session_user::text, length('tenant.') + 1);
comment on view marts.books_hourly is
'The books by event type and hour of receipt (UTC): what was acknowledged, and where it is.';
