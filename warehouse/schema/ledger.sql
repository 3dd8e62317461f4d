-- The ledger: what is landed, what is loaded, what still has to be, and what was published. Idempotent.

create table if not exists ledger.landed (
    type text primary key,
    land_seq bigint not null,              -- of the last commit that carried rows or moved offsets
    through timestamptz not null,          -- everything Kafka took before this instant is in the lake
    updated_at timestamptz not null default now()
);
comment on table ledger.landed is 'Written by the lander: how far each type''s topic is in the lake.';

create table if not exists ledger.collectors (
    collector_id text primary key,
    assigned bigint not null,              -- sequences 1..assigned were handed out
    acknowledged bigint not null,          -- of these, so many were answered with 2xx
    durable_through timestamptz not null,  -- everything acknowledged before this instant is in Kafka (not only in a spool)
    closed boolean not null default false, -- stopped cleanly, or settled by a later start: nothing more will come
    seen_at timestamptz not null default now()
);
alter table ledger.collectors add column if not exists retired_by text;
alter table ledger.collectors add column if not exists retired_because text;
comment on table ledger.collectors is 'What the receipts of each collector process come to, written by the lander.';
comment on column ledger.collectors.retired_by is
    'Who closed it, with `watershed collectors retire`, after it was lost with its state; null: nobody had to.';

create table if not exists ledger.receipts_read (
    topic_id text,                         -- of collector_receipts; a topic made anew has another
    partition int,
    next_offset bigint not null,           -- every receipt before it is in ledger.collectors
    primary key (topic_id, partition)
);
comment on table ledger.receipts_read is 'How far the lander has read the receipts: what it promises waits for that.';

create table if not exists ledger.cursors (
    type text primary key,
    land_seq bigint not null default 0,    -- rows with a greater land_seq have not been looked at
    metadata_location text,                -- the table's metadata then: equal means nothing new
    loaded_through timestamptz,            -- everything received before this is in rollups, but for what is in ledger.touched
    updated_at timestamptz not null default now()
);
comment on table ledger.cursors is 'How far each type has been loaded from the lake.';

create sequence if not exists ledger.change_seq;

create table if not exists ledger.touched (
    type text not null,
    tenant text not null,
    minute timestamptz not null,
    change_id bigint not null default nextval('ledger.change_seq'),
    cause text not null,                   -- load, late, repair, reprocess, erasure
    received_from timestamptz not null,    -- the oldest receipt among what touched it
    events bigint not null default 0,      -- how many events touched it: an estimate to size chunks by
    touched_at timestamptz not null default now(),
    primary key (type, tenant, minute)
);
create index if not exists touched_newest_first on ledger.touched (type, minute desc);
comment on table ledger.touched is 'Minutes to recompute from the lake; what is not reprocessed as a whole reaches the rollups this way.';

create table if not exists ledger.cells (
    type text not null,
    tenant text not null,
    minute timestamptz not null,           -- of occurrence
    received_hour timestamptz not null,    -- of receipt
    landed bigint not null,                -- rows in the lake
    counted bigint not null,               -- the winners: what the rollups count
    duplicates bigint not null,            -- same id, same content
    collisions bigint not null,            -- same id, other content: kept, booked, not charted
    copies bigint not null,                -- of the duplicates: the very same (collector_id, sequence) again
    minted bigint not null,                -- of counted: the collector minted the id
    over_cap bigint not null,              -- of counted: summed under (other)
    primary key (type, tenant, minute, received_hour)
);
alter table ledger.cells add column if not exists quarantined bigint not null default 0;
alter table ledger.cells add column if not exists erased bigint not null default 0;
comment on column ledger.cells.erased is
    'Of landed, whatever it is booked as: whose personal data is gone, because somebody was forgotten. It counts as before.';
comment on table ledger.cells is
    'landed = counted + duplicates + collisions + quarantined, by minute of occurrence and hour of receipt.';
comment on column ledger.cells.quarantined is 'Arrived when their minute lay below the floor of the lake: never counted.';

create table if not exists ledger.unpublished (
    type text not null,
    tenant text not null,
    hour timestamptz not null,
    change_id bigint not null default nextval('ledger.change_seq'),
    cause text not null,
    received_from timestamptz not null,
    changed_at timestamptz not null default now(),
    claimed_by uuid,                       -- the build run that has it in hand
    claimed_change_id bigint,              -- change_id when it was claimed: a later change survives the publication
    primary key (type, tenant, hour)
);
comment on table ledger.unpublished is 'Hours whose rollups changed and whose marts do not show it yet.';

create table if not exists ledger.loads (
    run_id uuid not null,
    type text not null,
    started_at timestamptz not null,
    finished_at timestamptz,
    land_seq_from bigint not null,
    land_seq_to bigint not null,
    events_read bigint not null default 0,
    minutes_touched bigint not null default 0,
    minutes_recomputed bigint not null default 0,
    rows_written bigint not null default 0,
    minutes_left bigint not null default 0,
    primary key (run_id, type)
);

create table if not exists ledger.gate_results (
    run_id uuid not null,
    stage text not null check (stage in ('rollups', 'marts')),
    suite text not null,
    expectation text not null,
    severity text not null check (severity in ('stop', 'warn')),
    tenant text not null,                  -- '*' when it passed for all
    success boolean not null,
    observed text,
    checked_at timestamptz not null default now()
);
create index if not exists gate_results_run on ledger.gate_results (run_id);

create table if not exists ledger.publications (
    run_id uuid not null,
    tenant text not null,
    published_at timestamptz not null default now(),
    rows_written bigint not null,
    held_because text,                     -- a stop expectation that kept this tenant's candidate out; null when published
    primary key (run_id, tenant)
);

create table if not exists ledger.restatements (
    restatement_id bigint generated always as identity primary key,
    run_id uuid not null,
    mart text not null,
    tenant text not null,
    period_start timestamptz not null,
    key jsonb not null,                    -- the row's other key columns
    old jsonb,                             -- the measures before; null: the row was not there
    new jsonb,                             -- the measures after; null: the row is gone
    cause text not null,
    restated_at timestamptz not null default now()
);
create index if not exists restatements_mart_period on ledger.restatements (mart, tenant, period_start);
-- The newest of a tenant, as dashboards show them; the index on restated_at alone made them sort all of a publication.
create index if not exists restatements_newest on ledger.restatements (tenant, restated_at desc, mart, period_start);
drop index if exists ledger.restatements_restated_at;
-- What was written down before somebody's keyed hash was left out.
update ledger.restatements
set old = old - 'developer', new = new - 'developer'
where mart = 'app_daily' and (old ? 'developer' or new ? 'developer');

create table if not exists ledger.restated_periods (
    run_id uuid not null,
    mart text not null,
    tenant text not null,
    period_start timestamptz not null,
    cause text not null,
    rows bigint not null,                  -- of ledger.restatements
    restated_at timestamptz not null default now(),
    primary key (run_id, mart, tenant, period_start, cause)
);
create index if not exists restated_periods_restated_at on ledger.restated_periods (restated_at);
comment on table ledger.restated_periods is
    'ledger.restatements summed up by period, in the same transaction: one late hour may restate a thousand rows of a mart.';
-- Of what was restated before there was this table.
insert into ledger.restated_periods (run_id, mart, tenant, period_start, cause, rows, restated_at)
select r.run_id, r.mart, r.tenant, r.period_start, r.cause, count(*), min(r.restated_at)
from ledger.restatements as r
where not exists (select from ledger.restated_periods)
group by r.run_id, r.mart, r.tenant, r.period_start, r.cause
on conflict do nothing;

create table if not exists ledger.fillings (
    mart text not null,
    tenant text not null,
    columns text [],                       -- those that are new; null: the mart is
    change_id bigint not null,             -- ends when no hour of the tenant that was marked up to here is unpublished
    marked_at timestamptz not null default now(),
    primary key (mart, tenant)
);
comment on table ledger.fillings is
    'Marts and columns that a migration made and a tenant''s readers do not have yet: filling them restates nothing.';
alter table ledger.cursors add column if not exists sequence_number bigint not null default 0;
comment on column ledger.cursors.sequence_number is
    'Of the snapshot that was read: a manifest that is not younger holds no row above the cursor, and is not opened.';

alter table ledger.loads add column if not exists over_cap bigint not null default 0;
comment on column ledger.loads.over_cap is 'Events summed under (other), of the minutes recomputed.';

alter table ledger.loads add column if not exists quarantined bigint not null default 0;
comment on column ledger.loads.quarantined is 'Of the events read, those below the floor of the lake.';

create table if not exists ledger.lake_floor (
    type text primary key,
    floor timestamptz not null,            -- a day's start: the lake need not have what occurred before
    downsampled_to timestamptz,            -- rollups before it are quarter-hours; never above the floor
    raised_at timestamptz not null default now()
);
comment on table ledger.lake_floor is
    'Below it nothing is recomputed, ever. Raised first, by maintenance; the lake''s files are deleted after.';
