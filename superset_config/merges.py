"""What may not be added up is merged from its sketches: distinct users by their hashes, latencies by their buckets."""

# ruff: noqa: S608 (composing SQL is what this module does; tests feed it hostile values)

from collections.abc import Sequence

SKETCH_SIZE = 65_536
"""Hashes in a full sketch (k of the k-minimum-values sketch); with fewer, the sketch holds every visitor."""

HASH_RANGE = "9223372036854775808.0"
"""2^63: visitor hashes are even over [0, 2^63)."""

GROUPS = 64
"""Into which keys are set apart while their sketches are merged."""

PAGE_VIEWS = ("page_views", "bot_page_views")
NO_DURATION = -2_147_483_648
"""As the number of a bucket: the one before all others, of durations of nothing."""
QUANTILES = {"p50": "0.5", "p95": "0.95", "p99": "0.99"}


def merged(
    rows: str,
    keys: str,
    sums: Sequence[str] = PAGE_VIEWS,
    distinct: str = "visitors",
    weight: str | None = None,
) -> str:
    """A ``select`` of ``keys`` and the measures of the CTE ``rows``, one row per key; ``distinct`` from its sketches.

    A visitor in two of the rows counts once. Of a single row they are what the mart says, exact for closed days. Of
    several, while no sketch is full (65,536 visitors), the count is exact; else it is (n - 1) / theta, n the distinct
    hashes up to theta, theta the least greatest hash of a full sketch as a part of the range: the theta-sketch union of
    Dasgupta, Lang, Rhodes and Thaler (2015); standard error under 1 %.
    Keys are numbered first, then the hashes of one at a time are sorted: numbers alone sort five times as fast as keys
    and hashes are hashed or sorted together, and seldom need a disk. That a key's rows are found among those of all
    does not take keys times rows, they are set apart in `GROUPS` first. Materialized, all of this is done once,
    whatever Postgres makes of the join; grouped by the number, not at all for a chart that shows only sums.

    :param weight: a column of ``rows`` in (0, 1]: by how much each counts. A visitor counts by the greatest of those of
        their rows: whoever came in a whole hour and in part of another, once. Of full sketches the hashes below theta
        are summed, which are n - 1.
    """
    sketch = f"{distinct}_sketch"
    weighed = f"{weight} * " if weight else ""
    carried, floating = (f", {weight}", f", {weight}::double precision") if weight else ("", "")
    summed = ", ".join(f"sum({weighed}{name}) as {name}" for name in sums)
    if weight:
        counted = f"""select sum(d.{weight})
                    from (
                        select max(u.{weight}) as {weight}
                        from (select unnest(s.{sketch}) as h, s.{weight} from apart as s where s.number = o.number) as u
                        where o.theta is null or u.h < o.theta
                        group by u.h
                    ) as d"""
    else:
        counted = f"""select count(distinct u.h)
                    from (select unnest(s.{sketch}) as h from apart as s where s.number = o.number) as u
                    where o.theta is null or u.h <= o.theta"""
    return f"""with numbered as materialized (
        select
            {keys}, {", ".join(sums)}, {distinct}, {sketch}{carried},
            dense_rank() over (order by {keys}) as number,
            count(*) over (partition by {keys}) as parts,
            min({sketch}[{SKETCH_SIZE}]) over (partition by {keys}) as theta
        from {rows}
    ),
    counted as materialized (
        select k.number, k.n
        from generate_series(0, {GROUPS - 1}) as g (remainder)
        cross join lateral (
            with apart as materialized (
                select number, theta, {sketch}{floating} from numbered
                where parts > 1 and number % {GROUPS} = g.remainder
            )
            select
                o.number,
                (
                    {counted}
                ) as n
            from (select number, min(theta) as theta from apart group by number) as o
        ) as k
    )
    select
        {keys}, {", ".join(f"b.{name}" for name in sums)},
        case
            when b.parts = 1 then b.{distinct}
            when b.theta is null then coalesce(v.n, 0)
            else round({"v.n" if weight else "(v.n - 1)"} / (b.theta / {HASH_RANGE}))
        end as {distinct}
    from (
        select
            number, {keys}, {summed}, min(theta) as theta, min(parts) as parts, min({weighed}{distinct}) as {distinct}
        from numbered group by number, {keys}
    ) as b
    left join (
        select number, max(n) as n from counted group by number
    ) as v using (number)"""


def quantiles(rows: str, keys: str) -> str:
    """A ``select`` of ``keys`` and p50, p95, p99 (milliseconds) of the CTE ``rows``, from its ``duration_sketch``.

    The same numbers as `sketch.quantile` of `sketch.merge_buckets` (within 1 %), but the buckets are added by one
    grouping: thousands of rows merge ten times as fast. Keys whose rows have no duration have no row.
    """
    buckets = ", ".join(
        f"min(bucket) filter (where reached > {q} * (total - 1)) as {name}" for name, q in QUANTILES.items()
    )
    return f"""select {keys}, {", ".join(f"{_duration(name)} as {name}" for name in QUANTILES)}
    from (
        select {keys}, {buckets}
        from (
            select
                {keys}, bucket,
                sum(n) over (partition by {keys} order by bucket) as reached,
                sum(n) over (partition by {keys}) as total
            from (
                select
                    {keys},
                    case when e.key = 'zero' then {NO_DURATION} else e.key::integer end as bucket,
                    sum(e.value::bigint)::bigint as n
                from {rows} cross join lateral jsonb_each_text(duration_sketch) as e
                group by {keys}, e.key
            ) as counted
        ) as cumulated
        group by {keys}
    ) as reached"""


def _duration(bucket: str) -> str:
    """The milliseconds of a bucket: those of `sketch.quantile`."""
    value = f"round((2 * power(1.01 / 0.99, {bucket}) / (1 + 1.01 / 0.99))::numeric, 6)"
    return f"case when {bucket} = {NO_DURATION} then 0 else {value} end"
