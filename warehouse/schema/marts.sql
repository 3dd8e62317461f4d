-- The published marts: what charts read. Only publish writes them, whole periods at a time. Idempotent.
--
-- Every mart has tenant, period_start (an instant: days, weeks and months begin in the tenant's time zone, calendar.sql), its
-- dimension, its measures and, as `<measure>_sketch`, the hashes from which distinct counts merge over any range of time:
-- sorted, the 65536 least (exact below that, see sketch.sql). `visitors_by_hour`, empty until an old day is built anew, is how
-- many distinct visitors a day had by the end of each of its hours: a day so far is compared with as much of another.
-- The columns equal those of the model of the same name in dbt_project/models/marts: a test compares them.

create table if not exists marts.page_views_hourly (
    tenant text not null,
    period_start timestamptz not null,
    page_views bigint not null,
    visitors bigint not null,
    bot_page_views bigint not null,
    visitors_sketch bigint[] not null,
    primary key (tenant, period_start)
);
comment on table marts.page_views_hourly is 'Page views by hour, over all regions and pages.';

create table if not exists marts.page_views_daily (like marts.page_views_hourly including all);
comment on table marts.page_views_daily is 'Page views by day, over all regions and pages.';
alter table marts.page_views_daily add column if not exists visitors_by_hour bigint[] not null default '{}';
alter table marts.page_views_daily alter column visitors_by_hour drop default;

create table if not exists marts.page_views_weekly (like marts.page_views_hourly including all);
comment on table marts.page_views_weekly is 'Page views by ISO week (from Monday), over all regions and pages.';

create table if not exists marts.page_views_monthly (like marts.page_views_hourly including all);
comment on table marts.page_views_monthly is 'Page views by month, over all regions and pages.';

create table if not exists marts.region_hourly (
    tenant text not null,
    region text not null,
    period_start timestamptz not null,
    page_views bigint not null,
    visitors bigint not null,
    bot_page_views bigint not null,
    visitors_sketch bigint[] not null,
    primary key (tenant, period_start, region)
);
comment on table marts.region_hourly is 'Page views by region and hour.';

create table if not exists marts.region_daily (like marts.region_hourly including all);
comment on table marts.region_daily is 'Page views by region and day.';

create table if not exists marts.region_weekly (like marts.region_hourly including all);
comment on table marts.region_weekly is 'Page views by region and ISO week (from Monday).';

create table if not exists marts.region_monthly (like marts.region_hourly including all);
comment on table marts.region_monthly is 'Page views by region and month.';

create table if not exists marts.page_daily (
    tenant text not null,
    page_name text not null,
    period_start timestamptz not null,
    page_views bigint not null,
    visitors bigint not null,
    bot_page_views bigint not null,
    visitors_sketch bigint[] not null,
    primary key (tenant, period_start, page_name)
);
comment on table marts.page_daily is 'Page views by page and day.';

create table if not exists marts.page_region_hourly (
    tenant text not null,
    page_name text not null,
    region text not null,
    period_start timestamptz not null,
    page_views bigint not null,
    visitors bigint not null,
    bot_page_views bigint not null,
    visitors_sketch bigint[] not null,
    primary key (tenant, period_start, page_name, region)
);
comment on table marts.page_region_hourly is 'Page views by page, region and hour.';

create table if not exists marts.page_region_daily (like marts.page_region_hourly including all);
comment on table marts.page_region_daily is 'Page views by page, region and day.';

-- App store. `(other)` as app_id sums what was over the rollup's cap of distinct keys in a minute.
create table if not exists marts.app_daily (
    tenant text not null,
    app_id text not null,
    region text not null,
    period_start timestamptz not null,
    app_name text,                         -- the three as last seen by the end of the day; null: never seen by then
    category text,
    developer text,                        -- a keyed hash, never the id
    created bigint not null,
    verified bigint not null,
    purchases bigint not null,
    refunds bigint not null,
    quantity bigint not null,
    primary key (tenant, period_start, app_id, region)
);
comment on table marts.app_daily is 'What happened to each app, by region and day.';

create table if not exists marts.apps_region_hourly (
    tenant text not null,
    region text not null,
    category text not null,
    period_start timestamptz not null,
    created bigint not null,
    verified bigint not null,
    primary key (tenant, period_start, region, category)
);
comment on table marts.apps_region_hourly is 'Apps created and verified by region, category and hour.';

create table if not exists marts.apps_region_daily (like marts.apps_region_hourly including all);
comment on table marts.apps_region_daily is 'Apps created and verified by region, category and day.';

create table if not exists marts.apps_region_weekly (like marts.apps_region_hourly including all);
comment on table marts.apps_region_weekly is 'Apps created and verified by region, category and ISO week (from Monday).';

create table if not exists marts.apps_region_monthly (like marts.apps_region_hourly including all);
comment on table marts.apps_region_monthly is 'Apps created and verified by region, category and month.';

create table if not exists marts.app_totals (
    tenant text not null,
    region text not null,
    category text not null,
    period_start timestamptz not null,     -- 1970-01-01: of all time
    created bigint not null,
    verified bigint not null,
    share_verified numeric(12, 4),         -- verified_apps / apps; null: none was created
    primary key (tenant, period_start, region, category)
);
alter table marts.app_totals add column if not exists apps bigint not null default 0;
alter table marts.app_totals add column if not exists verified_apps bigint not null default 0;
comment on column marts.app_totals.apps is 'Apps created, each once, where it was created first; created counts events.';
comment on column marts.app_totals.verified_apps is 'Those of apps that were verified, each once; verified counts events.';
comment on table marts.app_totals is 'Apps created and verified by region and category, of all time.';

create table if not exists marts.popular_apps_daily (
    tenant text not null,
    ranked_by text not null,               -- purchases: over all currencies; revenue: within one
    currency text not null,                -- (all) where ranked by purchases
    app_id text not null,
    period_start timestamptz not null,
    app_name text,                         -- as last seen by the end of the period
    category text,
    rank bigint not null,                  -- 1 is most; equals share a rank
    previous_rank bigint,                  -- in the period before; null: not in it
    movement bigint,                       -- places climbed since then; negative: fallen
    purchases bigint not null,
    quantity bigint not null,
    revenue numeric(38, 4),                -- gross, in the currency; null where ranked by purchases
    primary key (tenant, period_start, ranked_by, currency, app_id)
);
comment on table marts.popular_apps_daily is 'Apps by rank of each day, against the day before.';

create table if not exists marts.popular_apps_weekly (like marts.popular_apps_daily including all);
comment on table marts.popular_apps_weekly is 'Apps by rank of each ISO week (from Monday), against the week before.';

create table if not exists marts.popular_apps_monthly (like marts.popular_apps_daily including all);
comment on table marts.popular_apps_monthly is 'Apps by rank of each month, against the month before.';

create or replace view marts.popular_apps as
select 'day'::text as grain, d.* from marts.popular_apps_daily as d
union all
select 'week'::text as grain, w.* from marts.popular_apps_weekly as w
union all
select 'month'::text as grain, m.* from marts.popular_apps_monthly as m;
comment on view marts.popular_apps is 'Apps by rank of each day, week and month; choose a grain.';

-- Revenue: always by currency, and never to be summed across currencies.
create table if not exists marts.revenue_region_hourly (
    tenant text not null,
    region text not null,
    currency text not null,
    period_start timestamptz not null,
    revenue numeric(38, 4) not null,       -- gross: of purchases
    refunded numeric(38, 4) not null,
    net_revenue numeric(38, 4) not null,   -- revenue - refunded, each in the period in which it happened
    purchases bigint not null,
    refunds bigint not null,
    quantity bigint not null,
    buyers bigint not null,
    average_purchase numeric(38, 4),       -- revenue / purchases; null: none
    buyers_sketch bigint [] not null,
    primary key (tenant, period_start, region, currency)
);
comment on table marts.revenue_region_hourly is 'Revenue and refunds by region, currency and hour.';

create table if not exists marts.revenue_daily (like marts.revenue_region_hourly including all);
comment on table marts.revenue_daily is 'Revenue and refunds by region, currency and day.';

create table if not exists marts.revenue_region_weekly (like marts.revenue_region_hourly including all);
comment on table marts.revenue_region_weekly is 'Revenue and refunds by region, currency and ISO week (from Monday).';

create table if not exists marts.revenue_region_monthly (like marts.revenue_region_hourly including all);
comment on table marts.revenue_region_monthly is 'Revenue and refunds by region, currency and month.';

-- Users: who signed up or bought something is active.
create table if not exists marts.signups_region_hourly (
    tenant text not null,
    region text not null,
    channel text not null,
    plan text not null,
    period_start timestamptz not null,
    signups bigint not null,
    primary key (tenant, period_start, region, channel, plan)
);
comment on table marts.signups_region_hourly is 'Sign-ups by region, channel, plan and hour.';

create table if not exists marts.signups_region_daily (like marts.signups_region_hourly including all);
comment on table marts.signups_region_daily is 'Sign-ups by region, channel, plan and day.';

create table if not exists marts.signups_region_weekly (like marts.signups_region_hourly including all);
comment on table marts.signups_region_weekly is 'Sign-ups by region, channel, plan and ISO week (from Monday).';

create table if not exists marts.signups_region_monthly (like marts.signups_region_hourly including all);
comment on table marts.signups_region_monthly is 'Sign-ups by region, channel, plan and month.';

create table if not exists marts.user_activity_daily (
    tenant text not null,
    period_start timestamptz not null,
    signups bigint not null,
    daily_active_users bigint not null,
    weekly_active_users bigint not null,   -- in the 7 days that end with this one
    monthly_active_users bigint not null,  -- in the 30 days that end with this one
    stickiness numeric(10, 4) not null,    -- daily / monthly active users
    first_seen_users bigint not null,      -- active on this day and on none before
    returning_users bigint not null,       -- active on this day and on one before
    primary key (tenant, period_start)
);
comment on table marts.user_activity_daily is 'Active users by day, exact, of every day from a tenant''s first to its newest with any.';

-- Metrics.
create table if not exists marts.metric_hourly (
    tenant text not null,
    source text not null,
    metric_type text not null,
    period_start timestamptz not null,
    samples bigint not null,
    value_sum numeric(38, 10),
    value_avg numeric(38, 10),             -- value_sum / samples
    value_min numeric(28, 10),
    value_max numeric(28, 10),
    value_last numeric(28, 10),
    value_last_at timestamptz,
    unit text,                             -- the latest that was given; null: none was
    primary key (tenant, period_start, source, metric_type)
);
comment on table marts.metric_hourly is 'What each source measured, by hour.';

-- Requests. A route is a path with numbers and ids in it written as `{id}`.
create table if not exists marts.request_minute (
    tenant text not null,
    service text not null,
    route text not null,
    method text not null,
    period_start timestamptz not null,
    requests bigint not null,
    client_errors bigint not null,         -- status 400 to 499
    errors bigint not null,                -- status 500 and over
    timed bigint not null,                 -- requests whose duration is known
    duration_sum bigint not null,          -- of the timed, in milliseconds
    satisfied bigint not null,             -- timed, no error, up to 500 ms
    tolerating bigint not null,            -- timed, no error, over 500 up to 2,000 ms
    apdex numeric(6, 4),                   -- (satisfied + tolerating / 2) / timed; null: none is timed
    duration_p50 numeric(20, 6),           -- in milliseconds, within 1 %
    duration_p95 numeric(20, 6),
    duration_p99 numeric(20, 6),
    duration_sketch jsonb not null,        -- sketch.merge_buckets merges, sketch.quantile reads
    primary key (tenant, period_start, service, route, method)
);
comment on table marts.request_minute is 'Requests by service, route, method and minute.';

create table if not exists marts.request_hourly (like marts.request_minute including all);
comment on table marts.request_hourly is 'Requests by service, route, method and hour.';

create table if not exists marts.requests_region_hourly (
    tenant text not null,
    service text not null,
    region text not null,
    period_start timestamptz not null,
    requests bigint not null,
    client_errors bigint not null,
    errors bigint not null,
    timed bigint not null,
    duration_sum bigint not null,
    satisfied bigint not null,
    tolerating bigint not null,
    apdex numeric(6, 4),
    duration_p50 numeric(20, 6),
    duration_p95 numeric(20, 6),
    duration_p99 numeric(20, 6),
    duration_sketch jsonb not null,
    primary key (tenant, period_start, service, region)
);
comment on table marts.requests_region_hourly is 'Requests by service, region and hour.';

create table if not exists marts.requests_region_daily (like marts.requests_region_hourly including all);
comment on table marts.requests_region_daily is 'Requests by service, region and day.';

create table if not exists marts.requests_region_weekly (like marts.requests_region_hourly including all);
comment on table marts.requests_region_weekly is 'Requests by service, region and ISO week (from Monday).';

create table if not exists marts.requests_region_monthly (like marts.requests_region_hourly including all);
comment on table marts.requests_region_monthly is 'Requests by service, region and month.';

create table if not exists marts.freshness (
    tenant text not null,
    event_type text not null,
    complete_through timestamptz,
    pending_minutes bigint not null,
    pending_hours bigint not null,
    newest_period_start timestamptz,
    published_at timestamptz not null,
    held_because text,
    primary key (tenant, event_type)
);
comment on table marts.freshness is 'How far the marts can be trusted, by tenant and event type.';
comment on column marts.freshness.complete_through
is 'Everything received before this instant is in the charts; null: not yet known.';
comment on column marts.freshness.pending_minutes
is 'Minutes with events that are in the lake and not yet in the rollups.';
comment on column marts.freshness.pending_hours
is 'Hours whose rollups changed and whose change is not in the charts.';
comment on column marts.freshness.newest_period_start is 'The newest hour that has data; null: none has.';
comment on column marts.freshness.held_because
is 'The expectations that keep this tenant''s newest numbers out; null: nothing is held.';

alter table marts.freshness add column if not exists time_zone text not null default 'UTC';
comment on column marts.freshness.time_zone
is 'The time zone in which the published days, weeks and months of this tenant begin (IANA name).';
alter table marts.freshness add column if not exists first_published_at timestamptz not null default now();
comment on column marts.freshness.first_published_at
is 'When this row came: complete_through may have been unknown since. Nothing writes it after that.';

-- What a claim knows and the publication needs.
alter table ledger.unpublished add column if not exists claimed_at timestamptz;
alter table ledger.unpublished add column if not exists claimed_complete_through timestamptz;
comment on column ledger.unpublished.claimed_at is 'When it was claimed: a gate that looked before has not seen it.';
comment on column ledger.unpublished.claimed_complete_through
is 'Everything received before this was in the rollups when the hour was claimed; null: unknown.';

-- The gates forget what they found long ago.
create index if not exists gate_results_checked_at on ledger.gate_results (checked_at);
