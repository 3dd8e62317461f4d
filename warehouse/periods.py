"""Which periods of a mart some changed hours touch, as SQL that gate and publish share; dbt's is claimed_periods.sql.

Where a period begins is said by ``warehouse/schema/calendar.sql``: days, weeks and months in the tenant's time zone.
"""

from typing import LiteralString

from warehouse.marts import Mart

TIME_ZONE: LiteralString = "coalesce(zones.marts_time_zone, 'UTC')"
"""SQL of a tenant's time zone, beside ``left join ledger.tenants as zones``; who has no row there is in UTC."""
LOCAL = frozenset({"day", "week", "month"})
"""Grains whose periods depend on the tenant's time zone."""


def touched(mart: Mart, hours: str, tables: tuple[str, ...]) -> str:
    """SQL of the periods of ``mart`` that ``hours`` lie in: (tenant, period_start, period_end, cause), each once.

    ``hours`` is SQL of a relation (tenant, event_type, hour, cause). ``tables`` are those whose periods there are: of a
    mart with ``onward`` types a changed hour touches every later period in them. ``cause`` names all causes.
    """
    types = _list(mart.event_types)
    if mart.grain == "minute":
        return (
            "select h.tenant, m.start as period_start, m.start + interval '1 minute' as period_end, h.cause"  # noqa: S608 - our own names
            f" from (select tenant, hour, string_agg(distinct cause, ',' order by cause) as cause from {hours} as h"
            f" where event_type in {types} group by tenant, hour) as h cross join lateral"
            " generate_series(h.hour, h.hour + interval '59 minutes', interval '1 minute') as m (start)"
        )
    start = f"calendar.period_start('{mart.grain}', {{instant}}, {TIME_ZONE})"
    # An hour of UTC lies in two days where one begins within it.
    instants = "(h.hour), (h.hour + interval '3599 seconds')" if mart.grain in LOCAL else "(h.hour)"
    holding = (
        f"select h.tenant, {TIME_ZONE} as time_zone, {start.format(instant='i.instant')} as period_start, h.cause"  # noqa: S608
        f" from {hours} as h left join ledger.tenants as zones on zones.tenant = h.tenant"
        f" cross join lateral (values {instants}) as i (instant)"
        f" where h.event_type in {types}"
    )
    if mart.onward:
        holding += "".join(
            # The period is asked for anew: the row may be of a time zone that the tenant had before.
            f" union all select later.tenant, h.time_zone, {start.format(instant='later.period_start')}, h.cause"  # noqa: S608
            f" from (select distinct tenant, period_start from {table}) as later"
            " left join ledger.tenants as zones on zones.tenant = later.tenant"
            f" inner join (select h.tenant, {TIME_ZONE} as time_zone, min({start.format(instant='h.hour')}) as since,"
            f" string_agg(distinct h.cause, ',' order by h.cause) as cause from {hours} as h"
            " left join ledger.tenants as zones on zones.tenant = h.tenant"
            f" where h.event_type in {_list(mart.onward)} group by h.tenant, zones.marts_time_zone) as h"
            " on later.tenant = h.tenant and later.period_start > h.since"
            for table in tables
        )
    return (
        f"select tenant, period_start, calendar.period_after('{mart.grain}', period_start, time_zone) as period_end,"  # noqa: S608
        f" string_agg(distinct cause, ',' order by cause) as cause"
        f" from ({holding}) as p group by tenant, time_zone, period_start"
    )


def _list(names: tuple[str, ...]) -> str:
    return "(" + ", ".join(f"'{name}'" for name in names) + ")"
