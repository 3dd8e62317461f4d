"""Pieces of SQL that the datasets share, offered to their Jinja templates by :data:`MACROS`.

A dataset reads marts only. Three things cannot be said in one `select` over a mart and are the same in every dataset,
so they are said once, here:

- **Which time is shown.** Charts end at the newest data, not at the reader's clock, so that a log from 2015 opens
  as well as today's traffic. :func:`spans` turns the dashboard's choice into one row per tenant with the span's ends.
- **Which mart answers.** :func:`region_rows` covers a span with whole days and, at its ragged ends, hours.
- **Visitors.** They may not be added over regions or periods. :func:`merged` counts them from the sketches.

Every value that a reader can type goes through :func:`literals` or a pattern: SQL is never built from raw input.
"""

# ruff: noqa: S608 (composing SQL is what this module does; tests feed it hostile values)

import csv
import re
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

SKETCH_SIZE = 65_536
"""Hashes in a full sketch (k of the k-minimum-values sketch); with fewer, the sketch holds every visitor."""

HASH_RANGE = "9223372036854775808.0"
"""2^63: visitor hashes are even over [0, 2^63)."""

DEFAULT_PERIOD = "Last 14 days"

PERIODS: dict[str, tuple[str, str, str | None]] = {
    "Last 24 hours": ("data_end - interval '24 hours'", "data_end", "24 hours"),
    "Last 7 days": ("today_end - interval '7 days'", "today_end", "7 days"),
    DEFAULT_PERIOD: ("today_end - interval '14 days'", "today_end", "14 days"),
    "Last 30 days": ("today_end - interval '30 days'", "today_end", "30 days"),
    "Last 90 days": ("today_end - interval '90 days'", "today_end", "90 days"),
    "Last 365 days": ("today_end - interval '365 days'", "today_end", "365 days"),
    "Day so far": ("today", "today_end", "1 day"),
    "Week so far": ("week", "week + interval '7 days'", "7 days"),
    "Month so far": ("month", "month + interval '1 month'", "1 month"),
    "All data": ("first_day", "today_end", None),
}
"""The periods to choose from, in the order shown: start, end, and the length of the period before (None: none).

`data_end` is the end of the newest hour with data; today, week and month are the ones that this hour falls into.
"""

CHOSEN = "Chosen period"
SCOPES = (CHOSEN, "Day so far", "Week so far", "Month so far")
"""What totals are compared over: the dashboard's period, and three that follow the calendar."""

GRAINS: dict[str, tuple[str, str, str]] = {
    "PT1H": ("hour", "region_hourly", "FMDD Mon HH24:MI"),
    "P1D": ("day", "region_daily", "Dy FMDD Mon"),
    "P1W": ("week", "region_weekly", '"from" FMDD Mon'),
    "P1M": ("month", "region_monthly", "Mon"),
    "P3M": ("quarter", "region_monthly", '"Q"Q'),
    "P1Y": ("year", "region_monthly", "YYYY"),
}
"""Superset's code of a time grain: the unit, the mart whose periods nest in it, and how `to_char` names a period."""

_INSTANT = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")


class MacroError(ValueError):
    """A template passed something that may not become SQL; the message names it."""


def literals(values: Sequence[object]) -> str:
    """``('a', 'b')``: the values as SQL string literals, quotes doubled; ``(null)`` when there are none."""
    return "(" + (", ".join("'" + str(value).replace("'", "''") + "'" for value in values) or "null") + ")"


def among(column: str, values: Sequence[object]) -> str:
    """A condition that ``column`` is one of ``values``; ``true`` when nothing was chosen."""
    return f"{column} in {literals(values)}" if values else "true"


def _instant(value: str | None) -> str | None:
    if not value:
        return None
    if not _INSTANT.fullmatch(value):
        raise MacroError(f"not an instant: {value!r}")
    return f"timestamptz '{value}+00'"


def _bounds(periods: Sequence[str], since: str | None, until: str | None) -> tuple[str, str, str | None]:
    """Start, end and start of the period before, as SQL over the columns of ``newest``."""
    start, end = _instant(since), _instant(until)
    if start or end:
        first, last = start or "first_day", end or "data_end"
        return first, last, f"{first} - ({last} - {first})" if start else None
    if len(periods) > 1:
        raise MacroError("choose one period, not several")
    chosen = periods[0] if periods else DEFAULT_PERIOD
    if chosen not in PERIODS:
        raise MacroError(f"no such period: {chosen!r}")
    first, last, before = PERIODS[chosen]
    return first, last, f"({first}) - interval '{before}'" if before else None


def spans(
    tenants: Sequence[str] = (),
    periods: Sequence[str] = (),
    since: str | None = None,
    until: str | None = None,
    scopes: Sequence[str] = (CHOSEN,),
) -> str:
    """The CTEs ``newest`` and ``spans``: one row per tenant and scope.

    ``spans`` has tenant, scope, complete_through, data_end, first_day, span_start, span_end, through (how far of the
    span has elapsed), before_start and before_end (the same elapsed part of the period before; null where the tenant's
    data do not reach back so far, as a comparison with nothing would mislead). All timestamptz.

    :param since: ``YYYY-MM-DD HH:MM:SS`` in UTC; with it or ``until`` the period is what the reader typed
    :raises MacroError: for a period, a scope or an instant that is none
    """
    unknown = sorted(set(scopes) - set(SCOPES))
    if unknown:
        raise MacroError(f"no such scope: {unknown}")
    rows = []
    for scope in scopes or SCOPES:
        first, last, before = _bounds(periods, since, until) if scope == CHOSEN else _bounds([scope], None, None)
        rows.append(
            f"select tenant, {literals([scope])[1:-1]}::text as scope, complete_through, data_end, first_day, elapsed,"
            f" {first} as span_start, {last} as span_end, {before or 'null::timestamptz'} as before_start from newest"
        )
    scoped = "\n    union all\n    ".join(rows)
    return f"""newest as (
    select
        f.tenant, f.complete_through,
        f.newest_period_start + interval '1 hour' as data_end,
        date_trunc('day', f.newest_period_start, 'UTC') as today,
        date_trunc('day', f.newest_period_start, 'UTC') + interval '1 day' as today_end,
        date_trunc('week', f.newest_period_start, 'UTC') as week,
        date_trunc('month', f.newest_period_start, 'UTC') as month,
        (select min(d.period_start) from marts.region_daily as d where d.tenant = f.tenant) as first_day,
        -- the newest hour may be running: it has elapsed as far as the data are complete
        case
            when f.complete_through > f.newest_period_start
                then least(f.complete_through, f.newest_period_start + interval '1 hour')
            else f.newest_period_start + interval '1 hour'
        end as elapsed
    from marts.freshness as f
    where f.event_type = 'page_view' and f.newest_period_start is not null and {among("f.tenant", tenants)}
),
scoped as (
    {scoped}
),
spans as (
    select
        tenant, scope, complete_through, data_end, first_day, span_start, span_end,
        least(span_end, elapsed) as through,
        case when before_start >= first_day then before_start end as before_start,
        case
            when before_start >= first_day
                then least(before_start + greatest(least(span_end, elapsed) - span_start, interval '0'), span_start)
        end as before_end
    from scoped
)"""


def region_rows(cte: str, start: str, end: str, condition: str = "true", columns: str = "s.tenant") -> str:
    """A ``select`` of the region rows between two columns of the CTE ``cte as s``: whole days, and hours at the ends.

    Days are few and hours are many, so that a month is 30 sketches a region and not 720.
    """
    day_from = f"date_trunc('day', {start} + interval '1 day' - interval '1 microsecond', 'UTC')"
    day_to = f"date_trunc('day', {end}, 'UTC')"
    measures = "r.region, r.period_start, r.page_views, r.visitors, r.bot_page_views, r.visitors_sketch"
    return f"""select {columns}, {measures}
    from {cte} as s
    inner join marts.region_daily as r
        on r.tenant = s.tenant and r.period_start >= {day_from} and r.period_start < {day_to}
    where {condition}
    union all
    select {columns}, {measures}
    from {cte} as s
    inner join marts.region_hourly as r
        on r.tenant = s.tenant and r.period_start >= {start} and r.period_start < {end}
        and (r.period_start < {day_from} or r.period_start >= {day_to})
    where {condition}"""


def merged(rows: str, keys: str) -> str:
    """A ``select`` of ``keys`` and the measures of the CTE ``rows``, one row per key; visitors from the sketches.

    A visitor in two of the rows counts once. While no sketch is full (65,536 visitors), the count is exact; else
    it is (n - 1) / theta, n the distinct hashes up to theta, theta the least greatest hash of a full sketch as a part
    of the range: the theta-sketch union of Dasgupta, Lang, Rhodes and Thaler (2015); standard error under 1 %.
    """
    using = f"({keys})"
    return f"""select {keys}, b.page_views, b.bot_page_views, coalesce(v.visitors, 0) as visitors
    from (
        select {keys}, sum(page_views) as page_views, sum(bot_page_views) as bot_page_views
        from {rows} group by {keys}
    ) as b
    left join (
        select
            {keys},
            case
                when t.theta is null then count(distinct h)
                else round((count(distinct h) - 1) / (t.theta / {HASH_RANGE}))
            end as visitors
        from {rows}
        inner join (
            select {keys}, min(visitors_sketch[{SKETCH_SIZE}]) as theta from {rows} group by {keys}
        ) as t using {using}
        cross join lateral unnest(visitors_sketch) as h
        where t.theta is null or h <= t.theta
        group by {keys}, t.theta
    ) as v using {using}"""


def grain_unit(grain: str | None) -> str:
    """The unit of a time grain for `date_trunc` and intervals; without a grain, days."""
    return _grain(grain)[0]


def grain_mart(grain: str | None) -> str:
    """The mart whose periods nest in a time grain; without a grain, that of days."""
    return _grain(grain)[1]


def grain_step(grain: str | None) -> str:
    """The length of a time grain as an interval's text."""
    unit = grain_unit(grain)
    return "3 months" if unit == "quarter" else f"1 {unit}"


def grain_label(grain: str | None) -> str:
    """How `to_char` names one period of a time grain, without its year."""
    return _grain(grain)[2]


def _grain(grain: str | None) -> tuple[str, str, str]:
    if grain and grain not in GRAINS:
        raise MacroError(f"the marts hold no such time grain: {grain!r}")
    return GRAINS[grain or "P1D"]


@cache
def _region_names() -> dict[str, str]:
    with (Path(__file__).parent / "regions.csv").open(encoding="utf-8", newline="") as file:
        return {row["region"]: row["region_name"] for row in csv.DictReader(file)}


def region_names() -> str:
    """The names of the regions, as rows of a `values` list: ISO 3166-1 alpha-2 code and English name."""
    return ", ".join(literals([code, name]) for code, name in sorted(_region_names().items()))


def in_regions(column: str, names: Sequence[str]) -> str:
    """A condition that the code in ``column`` is that of one of the ``names``; an unknown name is taken as the code."""
    codes = {name: code for code, name in _region_names().items()}
    return among(column, [codes.get(name, name) for name in names])


def period_rows() -> str:
    """The periods to choose from, as rows of a `values` list: label and order."""
    return ", ".join(f"({literals([label])[1:-1]}, {order})" for order, label in enumerate(PERIODS))


MACROS: dict[str, Callable[..., str]] = {
    "spans": spans,
    "region_rows": region_rows,
    "merged": merged,
    "among": among,
    "grain_unit": grain_unit,
    "grain_mart": grain_mart,
    "grain_step": grain_step,
    "grain_label": grain_label,
    "period_rows": period_rows,
    "region_names": region_names,
    "in_regions": in_regions,
}
