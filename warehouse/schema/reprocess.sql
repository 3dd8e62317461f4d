-- Reprocessing (ADR 0034): each run, how far it is, what it found to differ, and what was there before. Idempotent.
--
-- Nothing here is read by who builds or reads the marts: a run compares and keeps its findings here, and puts them into the
-- rollups in one transaction. What it replaced stays for REPROCESS_KEEP_DAYS, so that it can be undone.

create table if not exists ledger.reprocesses (
    run_id uuid primary key,
    kind text not null check (kind in ('dry run', 'apply', 'undo')),
    range_from timestamptz not null,
    range_to timestamptz not null,
    types text [] not null,
    tenant text,                           -- null: all
    undoes uuid,                           -- of an undo: the run whose changes it takes back
    code text not null,                    -- of the contracts and the code that computes: another cannot go on with it
    state text not null check (state in ('comparing', 'compared', 'done', 'given up')),
    started_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    finished_at timestamptz
);
comment on table ledger.reprocesses is 'Runs of `watershed reprocess`; one that is not done goes on when the same is asked for again.';

create table if not exists ledger.reprocess_types (
    run_id uuid not null references ledger.reprocesses on delete cascade,
    type text not null,
    compared_through timestamptz not null, -- everything from range_from (or the floor) up to here is compared
    events bigint not null default 0,      -- of the lake, read so far
    minutes_compared bigint not null default 0,
    minutes_waiting bigint not null default 0,      -- left to the load, which has them in ledger.touched
    minutes_quarantined bigint not null default 0,  -- left out: rows of them are quarantined
    minutes_below_floor bigint not null default 0,  -- left out: the lake no longer has what they were made of
    primary key (run_id, type)
);
comment on table ledger.reprocess_types is 'How far a run of `watershed reprocess` is with each type, and what it left out.';

create table if not exists ledger.reprocess_minutes (
    run_id uuid not null references ledger.reprocesses on delete cascade,
    type text not null,
    tenant text not null,
    minute timestamptz not null,
    was text,                              -- checksum of the minute's rollup rows and cells as found; null: it had none
    becomes text,                          -- and as computed
    outcome text,                          -- replaced; newer, waiting, below the floor: left as it is; null: not applied
    primary key (run_id, type, tenant, minute)
);
comment on table ledger.reprocess_minutes is 'Minutes that a run of `watershed reprocess` found to differ from the lake.';

create table if not exists ledger.reprocess_rows (
    run_id uuid not null references ledger.reprocesses on delete cascade,
    type text not null,
    tenant text not null,
    minute timestamptz not null,
    part text not null check (part in ('rollup', 'cells')),
    side text not null check (side in ('old', 'new')),
    content jsonb not null                 -- the whole row, by column
);
create index if not exists reprocess_rows_run on ledger.reprocess_rows (run_id, type, part, side);
comment on table ledger.reprocess_rows is 'The rows of those minutes, before and after.';

-- From a restatement back to the run that caused it, also when its rows are forgotten.
alter table ledger.unpublished add column if not exists reprocessed_by uuid;
comment on column ledger.unpublished.reprocessed_by is 'The run of `watershed reprocess` that changed the hour last; null: none did.';
alter table ledger.restatements add column if not exists reprocessed_by uuid [];
comment on column ledger.restatements.reprocessed_by is
    'Where the cause is a reprocessing: the runs of `watershed reprocess` that the publication showed of the tenant.';
