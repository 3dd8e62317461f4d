-- What the alerts have told, so that each incident is told once, and its end too. Idempotent.

create table if not exists ledger.incidents (
    incident_id bigint generated always as identity primary key,
    alert text not null,                   -- name of its file in alerts/definitions
    tenant text not null,
    key text not null default '',          -- what of the tenant: a service, a currency
    opened_at timestamptz not null default now(),
    opened_value text not null,            -- the measured value that broke the rule, as told
    told_at timestamptz,                   -- null: the mail could not be sent yet
    closed_at timestamptz,                 -- null: goes on
    closed_value text,
    closing_told_at timestamptz
);
create unique index if not exists incidents_open on ledger.incidents (alert, tenant, key) where closed_at is null;
comment on table ledger.incidents is 'When an alert''s rule was broken and when it held again, and what was told of it.';

create table if not exists ledger.reports (
    tenant text,
    day date,
    dashboard text,
    sent_at timestamptz not null default now(),
    primary key (tenant, day, dashboard)
);
comment on table ledger.reports is 'Which daily reports were mailed: each once.';
