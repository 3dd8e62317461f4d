-- Which rejected events were mended and sent again, and as what (ADR 0031). Idempotent.
--
-- The events are in the lake: here is who each of them was and is, and of what was sent nothing but its identity.

create table if not exists ledger.repair_runs (
    run_id uuid primary key,
    by_whom text not null,
    chosen jsonb not null,                 -- which rejections were asked for
    patch jsonb,                           -- JSON Patch (RFC 6902) that was applied; null: only judged anew
    at_receipt boolean not null,           -- an event with an id and no time got the time of its receipt
    started_at timestamptz not null default now(),
    finished_at timestamptz,               -- null: at work, or cut short; the next run sends what it left
    result jsonb                           -- its numbers
);
comment on table ledger.repair_runs is 'Each `watershed repair --apply`: by whom, of what, with which patch, and what came of it.';

create table if not exists ledger.repairs (
    reject_id text primary key,            -- of quality.rejected_events: one that is here is never sent as anything else
    run_id uuid not null references ledger.repair_runs (run_id),
    tenant text not null,
    type text not null,
    event_id text not null,                -- with tenant and type the identity that it has in the lake
    occurred_at timestamptz not null,
    received_at timestamptz not null,      -- of the rejection
    noted_at timestamptz not null default now(),  -- before it was sent
    sent_at timestamptz,                   -- the collector has answered; null: perhaps it has it, to be sent again just so
    refused jsonb,                         -- keyword and place of the reasons for which the collector did not take it
    loaded_at timestamptz                  -- a load has met it in the lake
);
create index if not exists repairs_of_an_event on ledger.repairs (type, tenant, event_id);
create index if not exists repairs_unanswered on ledger.repairs (run_id) where sent_at is null;
create index if not exists repairs_awaited on ledger.repairs (type) where loaded_at is null and refused is null;
comment on table ledger.repairs is 'Rejected events that were repaired: which event of the lake each has become.';

-- Earlier versions kept messages, in which an unknown field's name is the sender's own text, and may be about somebody.
update ledger.repairs as r set
    refused = (select jsonb_agg(jsonb_build_object('keyword', e.reason -> 'keyword')) from jsonb_array_elements(r.refused) as e (reason))
where jsonb_path_exists(r.refused, '$[*].message');
update ledger.repair_runs as r set result = r.result - 'reasons'
where exists (
    select from jsonb_array_elements(r.result -> 'reasons') as e (reason)
    where
        e.reason ->> 'field' like '%(unknown)'
        and e.reason -> 'example' ->> 'message' not like '%(unknown)%'
);
