"""Numbers beside those of another time, both up to the same elapsed part, so that the comparison is fair."""

# ruff: noqa: S608 (composing SQL is what this module does; tests feed it hostile values)

from collections.abc import Mapping, Sequence

from superset_config.families import family_of
from superset_config.literals import MacroError, among
from superset_config.merges import merged
from superset_config.periods import CHOSEN
from superset_config.rows import span_rows

LAST_DAYS = 14
"""How many days before the newest one :func:`each_day` goes back where days are asked for."""
COMPARED_DAY = 7
"""With which of them, by how many days before, the tiles over :func:`each_day` compare the newest."""


def so_far(
    family: str,
    keys: Sequence[str],
    measures: Mapping[str, int],
    condition: str = "true",
    *,
    distinct: str | None = None,
    more: Sequence[str] = (),
) -> str:
    """The CTEs ``part_rows`` and ``so_far``: the measures of each row of a CTE ``wanted``, up to its ``until``.

    ``wanted`` has tenant, the ``keys``, since, until, and running. Where it is not running, an hour that ``until``
    falls into counts in proportion: the running hour is compared with as much of another. Nothing is 0. Of a family
    without hours, days that are touched count whole. ``counted`` is referred to once, so that Postgres leaves out of it
    what a chart does not show: distinct users, which cost a hundred times what the sums do.
    Of a span that ends within an hour, that hour is apart, with its weight: so sketches are merged once. A day that
    begins within it begins its part, too: no day is read by its hours that is whole.

    :param measures: the decimals that each is rounded to, by name; ``distinct`` is merged from sketches instead
    :param more: further columns of the mart for ``part_rows``, where the hour of ``until`` is whole
    """
    listed = ", ".join(["tenant", *keys])
    of_part = ", ".join(["s.tenant", *(f"s.{key}" for key in keys), "s.weight"])
    names = [*measures, *([distinct] if distinct else [])]
    columns = [*measures, *([distinct, f"{distinct}_sketch"] if distinct else []), *more]
    rows = span_rows(family, columns, condition, ("parts", "s.since", "s.until"), of_part)
    counted = (
        merged("part_rows", listed, tuple(measures), distinct, weight="weight")
        if distinct
        else f"select {listed}, {', '.join(f'sum(weight * {name}) as {name}' for name in measures)}"
        f" from part_rows group by {listed}"
    )
    shown = ",\n        ".join(
        f"round(coalesce(c.{name}, 0)::numeric, {measures.get(name, 0)}) as {name}" for name in names
    )
    return f"""parts as (
    {_parts(family, listed)}
),
part_rows as (
    {rows}
),
counted as (
    {counted}
),
so_far as (
    select
        {", ".join(["w.tenant", *(f"w.{key}" for key in keys)])},
        {shown}
    from wanted as w
    left join counted as c using ({listed})
)"""


def _parts(family: str, listed: str) -> str:
    """A ``select`` of each span of ``wanted`` (``listed``, since, until, weight), the hour that it ends in apart."""
    marts = family_of(family)
    if marts.hour is None:
        return f"select {listed}, since, until, 1.0 as weight from wanted"
    midnight = "calendar.period_start('day', w.until, z.time_zone)"
    if marts.day is None:  # hours alone: none is cut at midnight, unless the span ends there
        midnight = f"case when w.until = {midnight} then w.until end"
    return f"""select {listed}, p.since, p.until, p.weight
    from (
        select
            w.*, date_trunc('hour', w.until, 'UTC') as hour,
            greatest(w.since, date_trunc('hour', w.until, 'UTC'), {midnight}) as apart
        from wanted as w
        inner join newest as z using (tenant)
    ) as s
    cross join lateral (
        select s.since, s.until, 1.0 as weight where s.running or s.until = s.hour
        union all
        select s.since, s.apart, 1.0 where not s.running and s.until > s.hour
        union all
        select s.apart, s.until, (date_part('epoch', s.until - s.hour) / 3600)::numeric
        where not s.running and s.until > s.hour
    ) as p"""


def compared(
    family: str,
    measures: Mapping[str, int],
    condition: str = "true",
    *,
    distinct: str | None = None,
    more: Sequence[str] = (),
    together: Sequence[str] = (),
) -> str:
    """The CTEs of :func:`so_far` over ``spans``, and ``compared``: tenant, scope, position, period_start, newest, ...

    Its other columns are the measures. ``newest`` is true of the last period of a scope, of whatever tenant: a tile's
    number is of it alone. Position 0 is the span, -1 what it is compared with. There, in the chosen period, a measure
    that is 0 is null: a tile works out the change itself, and from 0 to anything it would say +0.0 %. In the other
    scopes 0 is 0. Of a family without hours there is a position -1 only where it is whole days: a part of a day cannot
    be told.

    :param together: measures that a metric adds to one another: null only where all of them are 0
    """
    names = [*measures, *([distinct] if distinct else [])]
    nothing = " + ".join(f"t.{name}" for name in together)

    def comparable(name: str) -> str:
        zero = f"case when {nothing} = 0 then 0 end" if name in together else "0"
        of_tile = f"w.position = -1 and {among('w.scope', [CHOSEN])}"
        return f"case when {of_tile} then nullif(t.{name}, {zero}) else t.{name} end as {name}"

    shown = ",\n        ".join(comparable(name) for name in names)
    known = "before_start is not null"
    if family_of(family).hour is None:
        for instant in ("before_start", "before_end"):
            known += f" and {instant} = calendar.period_start('day', {instant}, time_zone)"
    return f"""wanted as (
    select tenant, scope, 0 as position, span_start as since, span_end as until, true as running from spans
    union all
    select tenant, scope, -1, before_start, before_end, false from spans where {known}
),
{so_far(family, ("scope", "position"), measures, condition, distinct=distinct, more=more)},
compared as (
    select
        w.tenant, w.scope, w.position, w.since at time zone z.time_zone as period_start,
        w.since at time zone z.time_zone
        = max(w.since at time zone z.time_zone) over (partition by w.scope) as newest,
        {shown}
    from wanted as w
    inner join newest as z on z.tenant = w.tenant
    inner join so_far as t on t.tenant = w.tenant and t.scope = w.scope and t.position = w.position
)"""


def each_day(
    family: str,
    measures: Mapping[str, int],
    condition: str = "true",
    *,
    asked: Sequence[object],
    grown: str | None = None,
    more: Sequence[str] = (),
) -> str:
    """The CTEs of :func:`so_far` over ``spans`` of 'Day so far', and ``each_day``: tenant, day, newest, the measures.

    For the newest day, and 14 before where a query has columns: without any it is after the number of a tile, which is
    of the newest alone. ``day`` is the local date, as if it began in UTC. Each day counts up to the time
    of day that the newest has reached, so that its last point is not a fall. On the day that tiles compare with, a
    measure that is 0 is null: from 0 to anything they would say +0.0 %.

    :param asked: the query's columns
    :param grown: a distinct measure of which the mart of days tells how many there were by each of its hours
    :raises MacroError: for a family that has no hours
    """
    if family_of(family).hour is None:
        raise MacroError(f"{family} is counted by day: a part of a day cannot be told")
    days = LAST_DAYS if asked else 0
    shown = ",\n        ".join(
        f"case when d.of_tile then nullif(d.{name}, 0) else d.{name} end as {name}"
        for name in [*measures, *([grown] if grown else [])]
    )
    return f"""wanted as (
    select
        s.tenant, (d.day at time zone s.time_zone) at time zone 'UTC' as day, d.day as since,
        case when d.day = s.span_start then s.span_end else d.day + (s.through - s.span_start) end as until,
        d.day = s.span_start as running
    from spans as s
    cross join lateral generate_series(
        greatest(calendar.period_after('day', s.span_start, s.time_zone, -{days}), s.first_day), s.span_start,
        interval '1 day', s.time_zone
    ) as d (day)
),
{so_far(family, ("day",), measures, condition, more=more)},
each_day as (
    select
        d.tenant, d.day, d.day = max(d.day) over () as newest,
        {shown}
    from (
        select
            s.*, s.day = max(s.day) over (partition by s.tenant) - interval '{24 * COMPARED_DAY} hours' as of_tile
            {_grown(family, grown)}
    ) as d
)"""


def _grown(family: str, measure: str | None) -> str:
    """The rest of a ``select`` from ``so_far`` (``s``), after its columns: ``measure``, if any, by ``wanted``'s until.

    Within an hour it grows evenly. A day that the mart has not is 0; one that was built before it counted hours, null.
    """
    if measure is None:
        return "from so_far as s"
    counts = f"m.{measure}_by_hour"

    def by(hour: str) -> str:
        return f"coalesce({counts}[least({hour}, cardinality({counts}))::integer], 0)"  # there is no element 0

    before, after = by("floor(h.hours)"), by("ceil(h.hours)")
    return f""", case
                when m.tenant is null then 0
                when cardinality({counts}) > 0 or m.{measure} = 0
                    then round({before} + (h.hours - floor(h.hours)) * ({after} - {before}), 0)
            end as {measure}
        from so_far as s
        inner join wanted as w on w.tenant = s.tenant and w.day = s.day
        cross join lateral (
            select (date_part('epoch', w.until - date_trunc('hour', w.since, 'UTC')) / 3600)::numeric as hours
        ) as h
        left join marts.{family_of(family).by_day} as m on m.tenant = w.tenant and m.period_start = w.since"""
