"""Which time is shown: a reader's choice of period or dates as SQL, one row per tenant.

Charts end at the newest data, not at the reader's clock, so that a log from 2015 opens as well as today's traffic.
Days, weeks and months are the tenant's own: they begin in its time zone, as those of the marts do (ADR 0022).
"""

# ruff: noqa: S608 (composing SQL is what this module does; tests feed it hostile values)

from collections.abc import Sequence

from superset_config.families import family_of, grain_label, grain_step, grain_unit, grain_zone
from superset_config.literals import MacroError, among, instant, literals

DEFAULT_PERIOD = "Last 14 days"


def _after(grain: str, start: str, by: int) -> str:
    """SQL of the start of the period ``by`` after (or, if negative, before) the one that begins at ``start``."""
    return f"calendar.period_after('{grain}', {start}, time_zone, {by})"


def _last(days: int) -> tuple[str, str, str | None]:
    first = _after("day", "today_end", -days)
    return first, "today_end", _after("day", first, -days)


PERIODS: dict[str, tuple[str, str, str | None]] = {
    "Last 24 hours": ("data_end - interval '24 hours'", "data_end", "data_end - interval '48 hours'"),
    "Last 7 days": _last(7),
    DEFAULT_PERIOD: _last(14),
    "Last 30 days": _last(30),
    "Last 90 days": _last(90),
    "Last 365 days": _last(365),
    "Day so far": ("today", "today_end", _after("day", "today", -1)),
    "Week so far": ("week", _after("week", "week", 1), _after("week", "week", -1)),
    "Month so far": ("month", _after("month", "month", 1), _after("month", "month", -1)),
    "All data": ("first_day", "today_end", None),
}
"""The periods to choose from, in the order shown: start, end, and start of the period before (None: none).

`data_end` is the end of the newest hour with data; today, week and month are the ones that this hour falls into.
"""

CHOSEN = "Chosen period"
SCOPES = (CHOSEN, "Day so far", "Week so far", "Month so far")
"""What totals are compared over: the dashboard's period, and three that follow the calendar."""


def _bounds(periods: Sequence[str], since: str | None, until: str | None) -> tuple[str, str, str | None]:
    """Start, end and start of the period before, as SQL over the columns of ``newest``."""
    start, end = instant(since), instant(until)
    if start or end:
        first, last = start or "first_day", end or "data_end"
        return first, last, f"{first} - ({last} - {first})" if start else None
    if len(periods) > 1:
        raise MacroError("choose one period, not several")
    chosen = periods[0] if periods else DEFAULT_PERIOD
    if chosen not in PERIODS:
        raise MacroError(f"no such period: {chosen!r}")
    return PERIODS[chosen]


def spans(
    tenants: Sequence[str] = (),
    periods: Sequence[str] = (),
    since: str | None = None,
    until: str | None = None,
    scopes: Sequence[str] = (CHOSEN,),
    *,
    family: str = "page_views",
) -> str:
    """The CTEs ``newest`` and ``spans``: one row per tenant and scope.

    ``spans`` has tenant, scope, time_zone, complete_through, data_end, first_day, span_start, span_end, through (how
    far of the span has elapsed), before_start and before_end (the same elapsed part of the period before; null where
    the tenant's data do not reach back so far, as a comparison with nothing would mislead). All timestamptz.

    :param since: ``YYYY-MM-DD HH:MM:SS`` by the tenant's clock; with it or ``until`` the period is what was typed
    :raises MacroError: for a period, a scope, a family or an instant that is none
    """
    unknown = sorted(set(scopes) - set(SCOPES))
    if unknown:
        raise MacroError(f"no such scope: {unknown}")
    rows = []
    for scope in scopes or SCOPES:
        first, last, before = _bounds(periods, since, until) if scope == CHOSEN else _bounds([scope], None, None)
        rows.append(
            f"select tenant, {literals([scope])[1:-1]}::text as scope, time_zone, complete_through, data_end,"
            " first_day, elapsed,"
            f" {first} as span_start, {last} as span_end, {before or 'null::timestamptz'} as before_start from newest"
        )
    scoped = "\n    union all\n    ".join(rows)
    made_from = family_of(family)
    return f"""fresh as (
    -- of several event types, the newest hour of any, and complete as far as all are
    select
        f.tenant,
        max(f.time_zone) as time_zone,
        max(f.newest_period_start) as newest_period_start,
        case when bool_and(f.complete_through is not null) then min(f.complete_through) end as complete_through
    from marts.freshness as f
    where f.event_type in {literals(made_from.event_types)} and {among("f.tenant", tenants)}
    group by f.tenant
),
reached as (
    select
        f.*,
        -- the newest hour may be running: it has elapsed as far as the data are complete
        case
            when f.complete_through > f.newest_period_start
                then least(f.complete_through, f.newest_period_start + interval '1 hour')
            else f.newest_period_start + interval '1 hour'
        end as elapsed
    from fresh as f
    where f.newest_period_start is not null
),
newest as (
    select
        f.tenant, f.time_zone, f.complete_through, f.elapsed,
        f.newest_period_start + interval '1 hour' as data_end,
        calendar.period_start('day', f.elapsed - interval '1 microsecond', f.time_zone) as today,
        calendar.period_after(
            'day', calendar.period_start('day', f.elapsed - interval '1 microsecond', f.time_zone), f.time_zone
        ) as today_end,
        calendar.period_start('week', f.elapsed - interval '1 microsecond', f.time_zone) as week,
        calendar.period_start('month', f.elapsed - interval '1 microsecond', f.time_zone) as month,
        (
            select calendar.period_start('day', min(d.period_start), f.time_zone)
            from marts.{made_from.by_day} as d where d.tenant = f.tenant
        ) as first_day
    from reached as f
),
scoped as (
    {scoped}
),
spans as (
    select
        tenant, scope, time_zone, complete_through, data_end, first_day, span_start, span_end,
        least(span_end, elapsed) as through,
        case when before_start >= first_day then before_start end as before_start,
        case
            when before_start >= first_day
                then least(before_start + greatest(least(span_end, elapsed) - span_start, interval '0'), span_start)
        end as before_end
    from scoped
)"""


def timeline(grain: str | None, family: str = "page_views") -> str:
    """A ``select`` of every period that touches ``spans``, also those in which nothing happened.

    Columns: tenant, time_zone, period_start (the tenant's date and time, as if they were UTC's: for an axis, and to
    join with :func:`superset_config.rows.grain_rows`), label (what stands under a bar; with the year where it is not
    this one, so that no two are the same), complete (over, and everything received until its end is counted).
    """
    unit, step = grain_unit(grain, family), grain_step(grain, family)
    zone = grain_zone(grain, family)
    year = (
        "''"
        if unit == "year"
        else (
            f"case when to_char(p.shown, 'YYYY') = to_char(now() at time zone {zone}, 'YYYY') then '' "
            "else to_char(p.shown, ' YYYY') end"
        )
    )
    return f"""select
        s.tenant,
        s.time_zone,
        p.shown at time zone 'UTC' as period_start,
        to_char(p.shown, '{grain_label(grain, family)}') || {year} as label,
        coalesce(calendar.midnight(p.shown + interval '{step}', {zone}) <= s.complete_through, false) as complete
    from spans as s
    cross join lateral generate_series(
        date_trunc('{unit}', greatest(s.span_start, s.first_day) at time zone {zone}),
        (least(s.span_end, s.data_end) - interval '1 microsecond') at time zone {zone},
        interval '{step}'
    ) as p (shown)"""


def period_rows() -> str:
    """The periods to choose from, as rows of a `values` list: label and order."""
    return ", ".join(f"({literals([label])[1:-1]}, {order})" for order, label in enumerate(PERIODS))
