-- The published marts: what charts read. Only publish writes them, whole periods at a time. Idempotent.
--
-- Every mart has tenant, period_start (UTC), its dimension, its measures and, as `<measure>_sketch`, the hashes from
-- which distinct counts merge over any range of time: sorted, the 16384 least (exact below that, see sketch.sql).
-- The columns equal those of the model of the same name in dbt_project/models/marts: a test compares them.

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
comment on table marts.region_daily is 'Page views by region and day (UTC).';

create table if not exists marts.region_weekly (like marts.region_hourly including all);
comment on table marts.region_weekly is 'Page views by region and ISO week (UTC, from Monday).';

create table if not exists marts.region_monthly (like marts.region_hourly including all);
comment on table marts.region_monthly is 'Page views by region and month (UTC).';

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
comment on table marts.page_daily is 'Page views by page and day (UTC).';

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

-- What a claim knows and the publication needs.
alter table ledger.unpublished add column if not exists claimed_at timestamptz;
alter table ledger.unpublished add column if not exists claimed_complete_through timestamptz;
comment on column ledger.unpublished.claimed_at is 'When it was claimed: a gate that looked before has not seen it.';
comment on column ledger.unpublished.claimed_complete_through
is 'Everything received before this was in the rollups when the hour was claimed; null: unknown.';

-- The gates forget what they found long ago.
create index if not exists gate_results_checked_at on ledger.gate_results (checked_at);
