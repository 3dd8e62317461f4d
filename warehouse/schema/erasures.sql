-- Who asked to be forgotten, how far that is, and what it still has to have counted anew (ADR 0038). Idempotent.
--
-- Of the person there is a keyed hash here and nothing else.

create table if not exists ledger.erasures (
    erasure_id uuid primary key,
    tenant text not null,
    subject text not null,                 -- user or visitor
    subject_hash text not null,            -- as in the lake's quality.suppressed
    by_whom text not null,
    asked_at timestamptz not null default now(),
    suppressed_at timestamptz,             -- from then on nothing lands that points to them
    lake_at timestamptz,                   -- no newest snapshot has them any more, and what they counted in is touched; null
                                           -- also when files were missing, in which they may be
    gone_at timestamptz,                   -- nor has any older snapshot, or an object that no snapshot knows
    events bigint not null default 0,      -- tombstones that were made of what had landed; not of what came later
    rejections bigint not null default 0,  -- rejected events that lost their body
    unique (tenant, subject, subject_hash)
);
comment on table ledger.erasures is 'Each `watershed forget --apply`: of whom, by keyed hash, and how far it is.';

create table if not exists ledger.erasure_touches (
    erasure_id uuid not null references ledger.erasures (erasure_id) on delete cascade,
    type text not null,                    -- rejected_events: tenant is '' and minute an hour of receipt
    tenant text not null,
    minute timestamptz not null,
    primary key (erasure_id, type, tenant, minute)
);
comment on table ledger.erasure_touches is
    'Noted before the lake is changed and touched after: an erasure that was killed in between touches them when it goes on.';

create table if not exists ledger.erasure_files (
    erasure_id uuid not null references ledger.erasures (erasure_id) on delete cascade,
    path text not null,                    -- of the lake, with rows of theirs: noted before it is replaced
    type text not null,
    rows bigint not null,
    primary key (erasure_id, path)
);
comment on table ledger.erasure_files is
    'How many rows of theirs were in which file: an erasure that was killed and goes on counts each once, whether it was replaced by then or not.';
