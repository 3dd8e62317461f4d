-- Balance hours of receipt, one row for each tenant and type, in one statement and so in one snapshot.
--
-- Given are `hours`; `known`, the event types; `types`, those of which the ledger knows every file, with `through`, before
-- which everything received was in the lake when its files were listed (`rejects_through`: the rejected events); `apart_…`,
-- minutes in which the rollups show another number of events than ledger.cells count; and `stray_…`, what they show by hour
-- in minutes of which ledger.cells know nothing.
with wanted as (
    select t.type, least(t.through, l.through) as through, c.land_seq
    from unnest(%(types)s::text[], %(through)s::timestamptz[]) as t (type, through)
    left join ledger.landed as l on l.type = t.type
    left join ledger.cursors as c on c.type = t.type
    union all
    select '', null, null
),

held as (
    select
        r.kind,
        r.type,
        r.tenant,
        r.received_hour,
        r.collector_id,
        coalesce(range_agg(r.sequences) filter (where f.state <> 'missing'), '{}') as sequences,
        coalesce(sum(r.rows) filter (where f.state <> 'missing'), 0) as rows,
        coalesce(range_agg(r.sequences) filter (where f.state = 'missing'), '{}') as gone,
        coalesce(sum(r.rows) filter (where f.state = 'missing'), 0) as gone_rows
    from ledger.file_ranges as r
    inner join ledger.lake_files as f on r.file_id = f.file_id
    where r.received_hour = any(%(hours)s)
    group by r.kind, r.type, r.tenant, r.received_hour, r.collector_id
),

by_collector as (
    select
        k.type,
        k.tenant,
        k.received_hour,
        c.collector_id is not null as known,
        int8multirange(int8range(least(coalesce(c.assigned, 0), 9223372036854775806) + 1, null)) as beyond,
        coalesce(c.void, '{}') as void,
        coalesce(c.in_doubt, '{}') as in_doubt,
        coalesce(s.accepted, 0) as accepted,
        coalesce(s.rejected, 0) as rejected,
        coalesce(s.minted, 0) as minted,
        coalesce(e.sequences, '{}') as landed,
        coalesce(e.rows, 0) as rows,
        coalesce(e.gone, '{}') - coalesce(e.sequences, '{}') as gone,
        coalesce(e.gone_rows, 0) as gone_rows,
        coalesce(a.sequences, '{}') - coalesce(e.sequences, '{}') as aside,
        coalesce(r.sequences, '{}') as refused
    from (
        select type, tenant, received_hour, collector_id from held
        union
        select type, tenant, received_hour, collector_id from ledger.receipt_cells
        where received_hour = any(%(hours)s)
    ) as k
    left join ledger.collectors as c on c.collector_id = k.collector_id
    left join ledger.receipt_cells as s
        on (s.received_hour, s.tenant, s.type, s.collector_id) = (k.received_hour, k.tenant, k.type, k.collector_id)
    left join held as e
        on e.kind = 'event'
        and (e.received_hour, e.tenant, e.type, e.collector_id) = (k.received_hour, k.tenant, k.type, k.collector_id)
    left join held as a
        on a.kind = 'set aside'
        and (a.received_hour, a.tenant, a.type, a.collector_id) = (k.received_hour, k.tenant, k.type, k.collector_id)
    left join held as r
        on r.kind = 'rejected'
        and (r.received_hour, r.tenant, r.type, r.collector_id) = (k.received_hour, k.tenant, k.type, k.collector_id)
),

-- Of nobody that is known, or with a number that was never handed out.
told_apart as (
    select
        *,
        case when known then (landed + aside) * beyond else landed + aside end as strange,
        case when known then refused * beyond else refused end as strange_refused
    from by_collector
),

against_receipts as (
    select
        *,
        (landed + aside - strange) * void as landed_void,
        (landed + aside - strange) * in_doubt - void as landed_in_doubt,
        accepted - ledger.size(landed + aside - strange - void - in_doubt) as lack,
        -- A request that was refused whole has no tenant and no number: nothing of it is in the lake.
        case
            when tenant = '' then 0
            else rejected - ledger.size(refused - strange_refused - void - in_doubt)
        end as lack_refused
    from told_apart
),

taken as (
    select
        type,
        tenant,
        received_hour,
        sum(accepted) as acknowledged,
        sum(rejected) as rejected,
        sum(minted) as minted,
        sum(ledger.size(landed)) as landed,
        sum(rows) as rows,
        sum(ledger.size(gone)) as missing,
        sum(gone_rows) as missing_rows,
        sum(ledger.size(aside)) as set_aside,
        sum(greatest(lack, 0)) as unlanded,
        sum(greatest(lack_refused, 0)) as rejected_unlanded,
        -- More landed than was acknowledged, though every number is one that was handed out: nobody's either.
        sum(
            ledger.size(strange) + ledger.size(strange_refused) + greatest(-lack, 0) + greatest(-lack_refused, 0)
        ) as strange,
        sum(ledger.size(landed_in_doubt)) as in_doubt,
        sum(ledger.size(landed_void)) as void
    from against_receipts
    group by type, tenant, received_hour
),

-- By minute, because a minute that waits to be recomputed is known to be behind, and no other may be.
above_cursor as (
    select distinct f.type, m.tenant, m.minute
    from ledger.lake_files as f
    inner join wanted as w on w.type = f.type
    inner join ledger.file_minutes as m on m.file_id = f.file_id
    where f.land_seq > coalesce(w.land_seq, 0)
),

waiting as (
    select type, tenant, minute from above_cursor
    union
    select type, tenant, minute from ledger.touched
),

in_lake as (
    select f.type, m.tenant, m.minute, m.received_hour, sum(m.rows) as rows
    from ledger.file_minutes as m
    inner join ledger.lake_files as f on m.file_id = f.file_id
    where m.received_hour = any(%(hours)s)
    group by f.type, m.tenant, m.minute, m.received_hour
),

by_minute as (
    select
        type,
        tenant,
        minute,
        received_hour,
        coalesce(i.rows, 0) as rows,
        coalesce(c.landed, 0) as landed,
        coalesce(c.counted, 0) as counted,
        coalesce(c.duplicates, 0) as duplicates,
        coalesce(c.collisions, 0) as collisions,
        coalesce(c.quarantined, 0) as quarantined,
        coalesce(c.erased, 0) as erased
    from in_lake as i
    full join (select * from ledger.cells where received_hour = any(%(hours)s)) as c
        using (type, tenant, minute, received_hour)
),

loaded as (
    select
        m.type,
        m.tenant,
        m.received_hour,
        sum(m.counted) as counted,
        sum(m.duplicates) as duplicates,
        sum(m.collisions) as collisions,
        sum(m.quarantined) as quarantined,
        sum(m.erased) as erased,
        sum(greatest(m.rows - m.landed, 0)) filter (where w.minute is not null) as not_loaded,
        sum(
            abs(m.landed - m.counted - m.duplicates - m.collisions - m.quarantined)
            + case when w.minute is null then abs(m.rows - m.landed) else greatest(m.landed - m.rows, 0) end
        ) as unexplained,
        sum(coalesce(p.apart, 0)) as charted_apart
    from by_minute as m
    left join unnest(
        %(apart_types)s::text[], %(apart_tenants)s::text[], %(apart_minutes)s::timestamptz[], %(apart)s::bigint[]
    ) as p (type, tenant, minute, apart) on (p.type, p.tenant, p.minute) = (m.type, m.tenant, m.minute)
    left join waiting as w on (w.type, w.tenant, w.minute) = (m.type, m.tenant, m.minute)
    group by m.type, m.tenant, m.received_hour
),

stray as (
    select type, tenant, received_hour, sum(shown) as charted_apart
    from unnest(
        %(stray_types)s::text[], %(stray_tenants)s::text[], %(stray_hours)s::timestamptz[], %(stray)s::bigint[]
    ) as s (type, tenant, received_hour, shown)
    group by type, tenant, received_hour
),

refused as (
    select
        case when r.event_type = any(%(known)s) then r.event_type else '' end as type,
        case r.tenant when '(none)' then '' else r.tenant end as tenant,
        r.received_hour,
        r.reason,
        sum(r.rejected) as rejected
    from ledger.rejects as r
    where r.received_hour = any(%(hours)s)
    group by 1, 2, 3, 4
),

reasons as (
    select type, tenant, received_hour, jsonb_object_agg(reason, rejected) as reasons
    from refused
    group by type, tenant, received_hour
),

found as (
    select
        tenant,
        type,
        received_hour,
        coalesce(t.acknowledged, 0) as acknowledged,
        coalesce(t.landed, 0) as landed,
        coalesce(t.unlanded, 0) as unlanded,
        coalesce(t.missing_rows, 0) as missing,
        coalesce(t.set_aside, 0) as set_aside,
        coalesce(t.rows - t.landed, 0) as copies,
        coalesce(l.counted, 0) as counted,
        coalesce(l.duplicates, 0) as duplicates,
        coalesce(l.collisions, 0) as collisions,
        coalesce(l.quarantined, 0) as quarantined,
        coalesce(l.erased, 0) as erased,
        coalesce(l.not_loaded, 0) as not_loaded,
        coalesce(l.unexplained, 0) as unexplained,
        coalesce(l.charted_apart, 0) + coalesce(s.charted_apart, 0) as charted_apart,
        coalesce(t.rejected, 0) as rejected,
        coalesce(t.rejected_unlanded, 0) as rejected_unlanded,
        coalesce(r.reasons, '{}') as reasons,
        coalesce(t.minted, 0) as minted,
        coalesce(t.in_doubt, 0) as in_doubt,
        coalesce(t.void, 0) as void,
        coalesce(t.strange, 0) as "foreign",
        coalesce(
            received_hour + interval '1 hour'
            <= case when type = '' then %(rejects_through)s else least(w.through, %(rejects_through)s) end,
            false
        ) as closed
    from taken as t
    full join loaded as l using (type, tenant, received_hour)
    full join reasons as r using (type, tenant, received_hour)
    full join stray as s using (type, tenant, received_hour)
    inner join wanted as w using (type)
),

-- As they were when this statement began.
signed as (
    select * from ledger.books where received_hour = any(%(hours)s) and signed_off_at is not null
),

written as (
    insert into ledger.books as b (
        tenant, type, received_hour, acknowledged, landed, unlanded, missing, set_aside, copies, counted, duplicates, collisions,
        quarantined, erased, not_loaded, unexplained, charted_apart, rejected, rejected_unlanded, reasons, minted, in_doubt, void,
        "foreign", closed, balanced, checked_at
    )
    select
        f.*,
        f.unlanded + f.missing + f.unexplained + f.charted_apart + f.rejected_unlanded + f."foreign" = 0,
        %(checked_at)s
    from found as f
    on conflict (received_hour, tenant, type) do update set
        acknowledged = excluded.acknowledged,
        landed = excluded.landed,
        unlanded = excluded.unlanded,
        missing = excluded.missing,
        set_aside = excluded.set_aside,
        copies = excluded.copies,
        counted = excluded.counted,
        duplicates = excluded.duplicates,
        collisions = excluded.collisions,
        quarantined = excluded.quarantined,
        erased = excluded.erased,
        not_loaded = excluded.not_loaded,
        unexplained = excluded.unexplained,
        charted_apart = excluded.charted_apart,
        rejected = excluded.rejected,
        rejected_unlanded = excluded.rejected_unlanded,
        reasons = excluded.reasons,
        minted = excluded.minted,
        in_doubt = excluded.in_doubt,
        void = excluded.void,
        "foreign" = excluded."foreign",
        closed = excluded.closed,
        balanced = excluded.balanced,
        checked_at = excluded.checked_at,
        -- Signed off was what the books said then; what else goes wrong in the hour has to be looked at again.
        signed_off_at = case
            when
                excluded.balanced or (
                    (b.unlanded, b.missing, b.unexplained, b.charted_apart, b.rejected_unlanded, b."foreign")
                    = (
                        excluded.unlanded, excluded.missing, excluded.unexplained, excluded.charted_apart,
                        excluded.rejected_unlanded, excluded."foreign"
                    )
                ) then b.signed_off_at
        end
    returning b.*
)

insert into ledger.sign_offs (tenant, type, received_hour, deed, by, because, lacking)
select
    w.tenant, w.type, w.received_hour, 'lapsed', 'reconcile', 'something else does not balance',
    ledger.lacking(w.unlanded, w.missing, w.unexplained, w.charted_apart, w.rejected_unlanded, w."foreign")
from written as w
inner join signed as s using (tenant, type, received_hour)
where w.signed_off_at is null
order by w.received_hour, w.tenant, w.type
