"""Which time is shown: a reader's choice of period or dates as SQL, one row per tenant.

Charts end at the newest data, not at the reader's clock, so that a log from 2015 opens as well as today's traffic.
"""

# ruff: noqa: S608 (composing SQL is what this module does; tests feed it hostile values)

from collections.abc import Sequence

from superset_config.families import family_of, grain_label, grain_step, grain_unit
from superset_config.literals import MacroError, among, instant, literals

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
    first, last, before = PERIODS[chosen]
    return first, last, f"({first}) - interval '{before}'" if before else None


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

    ``spans`` has tenant, scope, complete_through, data_end, first_day, span_start, span_end, through (how far of the
    span has elapsed), before_start and before_end (the same elapsed part of the period before; null where the tenant's
    data do not reach back so far, as a comparison with nothing would mislead). All timestamptz.

    :param since: ``YYYY-MM-DD HH:MM:SS`` in UTC; with it or ``until`` the period is what the reader typed
    :raises MacroError: for a period, a scope, a family or an instant that is none
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
    made_from = family_of(family)
    return f"""fresh as (
    -- of several event types, the newest hour of any, and complete as far as all are
    select
        f.tenant,
        max(f.newest_period_start) as newest_period_start,
        case when bool_and(f.complete_through is not null) then min(f.complete_through) end as complete_through
    from marts.freshness as f
    where f.event_type in {literals(made_from.event_types)} and {among("f.tenant", tenants)}
    group by f.tenant
),
newest as (
    select
        f.tenant, f.complete_through,
        f.newest_period_start + interval '1 hour' as data_end,
        date_trunc('day', f.newest_period_start, 'UTC') as today,
        date_trunc('day', f.newest_period_start, 'UTC') + interval '1 day' as today_end,
        date_trunc('week', f.newest_period_start, 'UTC') as week,
        date_trunc('month', f.newest_period_start, 'UTC') as month,
        (
            select date_trunc('day', min(d.period_start), 'UTC')
            from marts.{made_from.by_day} as d where d.tenant = f.tenant
        ) as first_day,
        -- the newest hour may be running: it has elapsed as far as the data are complete
        case
            when f.complete_through > f.newest_period_start
                then least(f.complete_through, f.newest_period_start + interval '1 hour')
            else f.newest_period_start + interval '1 hour'
        end as elapsed
    from fresh as f
    where f.newest_period_start is not null
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


def timeline(grain: str | None, family: str = "page_views") -> str:
    """A ``select`` of every period that touches ``spans``, also those in which nothing happened.

    Columns: tenant, period_start (timestamptz), label (what stands under a bar; with the year where it is not this
    one, so that no two are the same), complete (over, and everything received until its end is counted).
    """
    unit, step = grain_unit(grain, family), grain_step(grain, family)
    year = (
        "''"
        if unit == "year"
        else (
            "case when to_char(p.period_start, 'YYYY') = to_char(now(), 'YYYY') then '' "
            "else to_char(p.period_start, ' YYYY') end"
        )
    )
    return f"""select
        s.tenant,
        p.period_start,
        to_char(p.period_start, '{grain_label(grain, family)}') || {year} as label,
        coalesce(p.period_start + interval '{step}' <= s.complete_through, false) as complete
    from spans as s
    cross join lateral generate_series(
        date_trunc('{unit}', greatest(s.span_start, s.first_day), 'UTC'),
        least(s.span_end, s.data_end) - interval '1 microsecond',
        interval '{step}'
    ) as p (period_start)"""


def period_rows() -> str:
    """The periods to choose from, as rows of a `values` list: label and order."""
    return ", ".join(f"({literals([label])[1:-1]}, {order})" for order, label in enumerate(PERIODS))
