-- What the planner takes for granted in this database (ADR 0035). Idempotent; a value that an operator set here stays.

do $$
begin
    if not exists (
        select
        from pg_db_role_setting as s
        inner join pg_database as d on d.oid = s.setdatabase
        cross join unnest(s.setconfig) as given
        where d.datname = current_database() and s.setrole = 0 and given like 'random_page_cost=%'
    ) then
        -- A page that is not the next one is hardly dearer, on solid-state disks and in the cache. With the default of 4, meant
        -- for disks that turn, gates and builds of one hour read the whole history instead of an index.
        execute format('alter database %I set random_page_cost = 1.1', current_database());
    end if;
end
$$;
