"""Which rows of which mart answer for a span: whole days and hours at its ends, or those of the time grain."""

# ruff: noqa: S608 (composing SQL is what this module does; tests feed it hostile values)

from collections.abc import Mapping, Sequence

from superset_config.families import family_marts, family_of, grain_mart, grain_unit, grain_zone
from superset_config.literals import MacroError, among, literals

NEVER_ADDED = {"currency": ("revenue_region_monthly", "purchases"), "metric_type": ("metric_hourly", "samples")}
"""Columns of whose values one is shown at a time: the mart that tells which is the most frequent, and by what."""


def span_rows(
    family: str,
    columns: Sequence[str],
    condition: str = "true",
    span: tuple[str, str, str] = ("spans", "s.span_start", "s.span_end"),
    keys: str = "s.tenant",
) -> str:
    """A ``select`` of the family's rows in a span: whole days, and hours at its ends where the family has them.

    Days are few and hours are many, so that a month is 30 sketches a region and not 720. Days are the tenant's; where
    they begin within an hour, that hour is not told apart, and no part of it counted, beside a day that it touches.

    :param columns: what is selected of the mart ``r``, beside ``keys`` of the span and ``period_start``
    :param span: a CTE, named ``s`` here, and its columns of start and end; an hour that the end falls into is whole
    """
    marts = family_of(family)
    cte, start, end = span
    selected = ", ".join([keys, "r.period_start", *(f"r.{column}" for column in columns)])

    def of(mart: str, source: str, first: str, last: str) -> str:
        return f"""select {selected}
    from {source} as s
    {ranged(mart, first, last)}
    where {condition}"""

    if marts.hour is None:
        bounds = {"start_day": f"calendar.period_start('day', {start}, z.time_zone)"}
        return of(marts.by_day, with_bounds(cte, bounds), "s.start_day", end)
    if marts.day is None:
        return of(marts.hour, cte, start, end)
    before = f"calendar.period_start('day', {start} - interval '1 microsecond', z.time_zone)"
    whole = {
        "day_from": f"calendar.period_after('day', {before}, z.time_zone)",
        "day_to": f"calendar.period_start('day', {end}, z.time_zone)",
    }
    days = of(marts.day, with_bounds(cte, whole), "s.day_from", "s.day_to")
    hours = of(marts.hour, _ends(with_bounds(cte, whole), start, end), "s.hour_from", "s.hour_to")
    return f"{days}\n    union all\n    {hours}"


def ranged(mart: str, first: str, last: str) -> str:
    """A join of each span ``s`` with its rows of ``mart`` as ``r``, from ``first`` until before ``last``.

    Read by the index, span by span. Postgres takes spans, which it knows nothing of, for a thousand, and would compare
    each row of the mart with each of them instead: two million pairs for two weeks of days.
    """
    return f"""cross join lateral (
        select *
        from marts.{mart} as m
        where m.tenant = s.tenant and m.period_start >= {first} and m.period_start < {last}
        offset 0
    ) as r"""


def _ends(source: str, start: str, end: str) -> str:
    """The rows of ``source``, twice: with the hours before its whole days and those after, hour_from and hour_to.

    As two ranges an index finds these hours alone, where one condition would read those of the days between, too.
    Without a whole day, the first has all of them.
    """
    return f"""(
        select s.*, e.hour_from, e.hour_to
        from {source} as s
        cross join lateral (values
            ({start}, case
                when s.day_from > s.day_to then {end}
                else s.day_from - interval '1 hour' + interval '1 microsecond'
            end),
            (s.day_to, case when s.day_from <= s.day_to then {end} end)
        ) as e (hour_from, hour_to)
        offset 0
    )"""


def with_bounds(cte: str, bounds: Mapping[str, str]) -> str:
    """The rows of ``cte`` (``s``) with ``bounds``, SQL over ``s`` and the tenant's ``z.time_zone``, as further columns.

    Worked out once for each of its rows: in the condition of a join Postgres works them out for each pair of rows,
    and a second goes by over a few thousand. ``offset 0`` keeps it from moving them there.
    """
    if not bounds:
        return cte
    columns = ", ".join(f"{sql} as {name}" for name, sql in bounds.items())
    return f"""(
        select s.*, {columns}
        from {cte} as s
        inner join newest as z
            on z.tenant = s.tenant
        offset 0
    )"""


def grain_rows(family: str, grain: str | None, columns: Sequence[str], condition: str = "true") -> str:
    """A ``select`` of the rows of each whole period that touches ``spans``, from the mart of the time grain.

    So distinct users of a week are those that the week counted. Columns: tenant, period_start (as that of
    :func:`superset_config.periods.timeline`), ``columns``.
    """
    unit, zone = grain_unit(grain, family), grain_zone(grain, family)
    first = f"calendar.midnight(date_trunc('{unit}', s.span_start at time zone {zone}), {zone})"
    return f"""select
        s.tenant,
        date_trunc('{unit}', r.period_start at time zone {zone}) at time zone 'UTC' as period_start,
        {", ".join(f"r.{c}" for c in columns)}
    from {with_bounds("spans", {"first_period": first})} as s
    {ranged(grain_mart(grain, family), "s.first_period", "s.span_end")}
    where {condition}"""


def in_apps(names: Sequence[str]) -> str:
    """A condition that the app of a row of the mart ``r`` has or once had one of the ``names``; without any, its id."""
    if not names:
        return "true"
    had = among("coalesce(a.app_name, a.app_id)", names)
    return f"(r.tenant, r.app_id) in (select a.tenant, a.app_id from marts.app_daily as a where {had})"


def in_sales_of(names: Sequence[str]) -> str:
    """A condition that a row of a ranking ``r`` is of the revenue, within a currency, of one of the apps ``names``."""
    return f"r.ranked_by = 'revenue' and {in_apps(names)}"


def the_one(column: str, tenants: Sequence[str], chosen: Sequence[str]) -> str:
    """The CTE ``the_one``: the one value of ``column`` that each tenant's numbers are of, (tenant, ``column``).

    The chosen one; without a choice, the most frequent. For what may never be added up: currencies, kinds of metric.

    :raises MacroError: for several, or a column that may be added up
    """
    if column not in NEVER_ADDED:
        raise MacroError(f"no such column: {column!r}")
    if len(chosen) > 1:
        raise MacroError(f"choose one {column}: amounts of several are never added")
    mart, measure = NEVER_ADDED[column]
    return f"""the_one as (
    select distinct on (c.tenant) c.tenant, c.{column}
    from (
        select m.tenant, m.{column}, sum(m.{measure}) as frequency
        from marts.{mart} as m
        where {among("m.tenant", tenants)} and {among(f"m.{column}", chosen)}
        group by m.tenant, m.{column}
    ) as c
    order by c.tenant, c.frequency desc, c.{column}
)"""


def restated_by_family() -> str:
    """A `select` of tenant, family and periods: how many closed periods of its marts were restated in seven days.

    One pass for all families (``families.family_marts``). Where a chart does not show it Postgres leaves it out.
    """
    rows = ", ".join(literals(each) for each in family_marts())
    return f"""select p.tenant, m.family, count(*) as periods
    from (
        select distinct r.tenant, r.mart, r.period_start
        from marts.restated_periods as r
        where r.restated_at >= now() - interval '7 days'
    ) as p
    inner join (values {rows}) as m (family, mart) on m.mart = p.mart
    group by p.tenant, m.family"""
