-- Sketches that merge over any range of time, in stock Postgres (ADR 0008).
--
-- distinct: the k = 65,536 least of the 63-bit keyed hashes, ascending ("k minimum values"). Fewer than k: all of them,
-- so the count is exact; else its standard error is 0.4 % (ADR 0008, 0015). The merge of two is the k least of their union: associative,
-- commutative, idempotent. Over thousands of rows into one, plain SQL does it five times as fast as the aggregate:
--     (array_agg(distinct h order by h))[:65536]   …   from t left join lateral unnest(t.sketch) as h on true
-- quantile: {"<bucket>": count}, bucket i holds (γ^(i-1), γ^i] with γ = 1.01/0.99 ("DDSketch", Masson et al. 2019,
-- relative accuracy 1 %); "zero" holds what is not positive. The merge of two adds the counts.

create or replace function sketch.k() returns integer
language sql immutable parallel safe
return 65536;
comment on function sketch.k is 'How many of the least hashes a distinct sketch keeps.';

-- The k-th least of n uniform values in [0, 2^63) is near k/n · 2^63; (k-1)/value is the unbiased estimate of n
-- (Bar-Yossef et al. 2002; Beyer et al. 2007).
create or replace function sketch.distinct_estimate(hashes bigint []) returns bigint
language sql immutable parallel safe
return case
    when hashes is null then 0
    when cardinality(hashes) < 65536 then cardinality(hashes)
    else round(65535 * 9223372036854775808.0 / hashes[65536])::bigint
end;
comment on function sketch.distinct_estimate is 'How many distinct values a sketch has seen: exact below 65,536, else near.';

create or replace function sketch.least(hashes bigint []) returns bigint []
language sql immutable parallel safe
return array(
    select distinct h from unnest(hashes) as h
    order by h
    limit 65536
);
comment on function sketch.least is 'A distinct sketch of any array of hashes: sorted, without doubles, the k least.';

-- State: hashes in any order. Cut back only when it has outgrown two sketches: to sort at every row would cost a sort a row.
create or replace function sketch.merge_distinct_step(state bigint [], hashes bigint []) returns bigint []
language plpgsql immutable parallel safe
as $$
begin
    if hashes is null or cardinality(hashes) = 0 then
        return state;
    end if;
    if cardinality(state) + cardinality(hashes) > 131072 then
        return sketch.least(state || hashes);
    end if;
    return state || hashes;
end;
$$;

create or replace aggregate sketch.merge_distinct(bigint []) (
    sfunc = sketch.merge_distinct_step,
    stype = bigint [],
    initcond = '{}',
    combinefunc = sketch.merge_distinct_step,
    finalfunc = sketch.least,
    parallel = safe
);
comment on aggregate sketch.merge_distinct(bigint []) is 'The sketch of the union.';

create or replace function sketch.quantile(buckets jsonb, q numeric) returns numeric
language sql immutable parallel safe
return (
    select case when b.bucket is null then 0 else round((2 * power(1.01 / 0.99, b.bucket) / (1 + 1.01 / 0.99))::numeric, 6) end
    from (
        select
            c.bucket,
            sum(c.n) over (order by c.bucket nulls first) as reached,
            sum(c.n) over () as total
        from (
            select nullif(e.key, 'zero')::integer as bucket, e.value::numeric as n
            from jsonb_each_text(buckets) as e
        ) as c
    ) as b
    where b.reached > q * (b.total - 1)
    order by b.bucket nulls first
    limit 1
);
comment on function sketch.quantile is 'The value at quantile q (0 to 1), within 1 % where positive; null of an empty sketch.';

create or replace function sketch.merge_buckets_step(state jsonb, buckets jsonb) returns jsonb
language sql immutable parallel safe
return case
    when buckets is null or buckets = '{}' then state
    when state = '{}' then buckets
    else (
        select jsonb_object_agg(b.key, b.n)
        from (
            select e.key, sum(e.value::numeric) as n
            from (
                select s.key, s.value from jsonb_each_text(state) as s
                union all
                select a.key, a.value from jsonb_each_text(buckets) as a
            ) as e
            group by e.key
        ) as b
    )
end;

create or replace aggregate sketch.merge_buckets(jsonb) (
    sfunc = sketch.merge_buckets_step,
    stype = jsonb,
    initcond = '{}',
    combinefunc = sketch.merge_buckets_step,
    parallel = safe
);
comment on aggregate sketch.merge_buckets(jsonb) is 'The quantile sketch of everything together.';
