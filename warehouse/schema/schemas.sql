-- One schema for each stage of the way; who may do what in them is in grants.sql.

create schema if not exists rollups;
comment on schema rollups is 'Events summed by tenant and minute, recomputed from the lake; made from the contracts.';

create schema if not exists ledger;
comment on schema ledger is 'The books: what is landed, loaded, still to do, and published.';

create schema if not exists sketch;
comment on schema sketch is 'Functions over the mergeable sketches that rollups and marts carry.';

create schema if not exists calendar;
comment on schema calendar is 'Functions that say which period an instant falls into, by time zone.';

create schema if not exists staging;
comment on schema staging is 'dbt: the rollups as they are, renamed.';

create schema if not exists intermediate;
comment on schema intermediate is 'dbt: what several marts share.';

create schema if not exists marts_build;
comment on schema marts_build is 'dbt: the candidates for marts, before the gate.';

create schema if not exists marts;
comment on schema marts is 'What readers see: replaced by publish, in one transaction.';
