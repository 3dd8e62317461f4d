-- Month partitions of the rollup tables, made when the first minute of a month arrives.

-- The loader calls this before it writes. It runs as the tables' owner, so that the loader needs no right to create or
-- drop anything. A partition is made beside the table and then attached, because `create table … partition of` would
-- lock out every reader of the whole table, and attaching does not.
create or replace function rollups.ensure_months(rollup text, months date[]) returns integer
language plpgsql
security definer
set search_path = pg_catalog
as $$
declare
    wanted date;
    partition_name text;
    made integer := 0;
begin
    if not exists (
        select from pg_partitioned_table as p
        inner join pg_class as c on p.partrelid = c.oid
        where c.relnamespace = 'rollups'::regnamespace and c.relname = rollup
    ) then
        raise exception 'there is no rollup table rollups.% (run `watershed warehouse migrate`)', rollup
            using errcode = 'undefined_table';
    end if;
    for wanted in select distinct date_trunc('month', m)::date as start from unnest(months) as m order by start loop
        partition_name := rollup || to_char(wanted, '_YYYYMM');
        continue when to_regclass(format('rollups.%I', partition_name)) is not null;
        perform pg_advisory_xact_lock(hashtextextended('months:' || rollup, 0));
        continue when to_regclass(format('rollups.%I', partition_name)) is not null;
        execute format('create table rollups.%I (like rollups.%I including all)', partition_name, rollup);
        execute format(
            'alter table rollups.%I attach partition rollups.%I for values from (%L) to (%L)',
            rollup, partition_name, wanted || ' 00:00:00+00', (wanted + interval '1 month')::date || ' 00:00:00+00'
        );
        made := made + 1;
    end loop;
    return made;
end;
$$;
comment on function rollups.ensure_months is 'Makes the missing month partitions of a rollup table; gives how many.';
revoke all on function rollups.ensure_months from public;
