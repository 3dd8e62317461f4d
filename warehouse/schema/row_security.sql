-- Whose rows of the marts who sees, whatever they ask and with whatever tool (ADR 0016). Idempotent.
--
-- A person of a tenant is connected as the role `tenant.<name>`, a member of `tenants`. Its policy compares with
-- session_user, which, unlike a setting or the current role, nobody can change who is logged in. A table that has policies
-- for its readers and none that fits shows nothing. A mart without a column `tenant` is not given to them.

do $$
declare
    mart regclass;
    rule record;
    existing oid;
begin
    revoke all on all tables in schema marts from tenants;
    -- A view reads as its owner, who sees everything, unless it is told to read as who asks. Those with a security barrier
    -- are windows on the ledger, which who asks may not read: they say themselves whose rows they show (published.sql).
    for mart in
        select c.oid::regclass from pg_class as c
        where c.relnamespace = 'marts'::regnamespace and c.relkind = 'v'
    loop
        if not exists (
            select from pg_class as c where c.oid = mart and 'security_barrier=true' = any(c.reloptions)
        ) then
            execute format('alter view %s set (security_invoker = true)', mart);
        end if;
        execute format('grant select on %s to tenants', mart);
    end loop;
    for mart in
        select c.oid::regclass from pg_class as c
        where c.relnamespace = 'marts'::regnamespace and c.relkind in ('r', 'p')
        and exists (
            select from pg_attribute as a
            where a.attrelid = c.oid and a.attname = 'tenant' and not a.attisdropped
        )
        order by c.relname
    loop
        -- As a subquery the tenant's name is worked out once a query, not once a row: a third of the time.
        -- Each change of a table's security waits for its readers, so nothing is done twice: what a policy says is
        -- kept in its comment.
        if not (select relrowsecurity from pg_class where oid = mart) then
            execute format('alter table %s enable row level security', mart);
        end if;
        for rule in
            select * from (values
                ('own_tenant', 'for select to tenants using (tenant = (select substr(session_user::text, length(''tenant.'') + 1)))'),
                ('every_tenant', 'to reader, publisher, alerter, tracer using (true) with check (true)')
            ) as r (name, words)
        loop
            select p.oid into existing from pg_policy as p where p.polrelid = mart and p.polname = rule.name;
            continue when existing is not null and obj_description(existing, 'pg_policy') = rule.words;
            execute format('drop policy if exists %I on %s', rule.name, mart);
            execute format('create policy %I on %s %s', rule.name, mart, rule.words);
            execute format('comment on policy %I on %s is %L', rule.name, mart, rule.words);
        end loop;
        execute format('grant select on %s to tenants', mart);
    end loop;
end;
$$;

grant usage on schema marts, sketch, calendar to tenants;
