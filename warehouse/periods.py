"""Which periods of a mart some changed hours touch, as SQL that gate and publish share; dbt's is claimed_periods.sql.

The session's time zone has to be UTC: periods are those of UTC.
"""

from warehouse.marts import Mart

EVER = "timestamptz '1970-01-01 00:00:00+00'"
"""The one period of grain ``ever``."""


def touched(mart: Mart, hours: str, tables: tuple[str, ...]) -> str:
    """SQL of the periods of ``mart`` that hold ``hours``: (tenant, period_start, period_end, cause), each period once.

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
    start = EVER if mart.grain == "ever" else f"date_trunc('{mart.grain}', hour)"
    end = "timestamptz 'infinity'" if mart.grain == "ever" else f"period_start + interval '1 {mart.grain}'"
    holding = (
        f"select tenant, {start} as period_start, cause from {hours} as h"  # noqa: S608
        f" where event_type in {types}"
    )
    if mart.onward:
        holding += "".join(
            f" union all select later.tenant, later.period_start, h.cause from (select distinct tenant, period_start"  # noqa: S608
            f" from {table}) as later inner join (select tenant, min({start}) as since,"
            f" string_agg(distinct cause, ',' order by cause) as cause from {hours} as h"
            f" where event_type in {_list(mart.onward)} group by tenant) as h"
            " on later.tenant = h.tenant and later.period_start > h.since"
            for table in tables
        )
    return (
        f"select tenant, period_start, {end} as period_end, string_agg(distinct cause, ',' order by cause) as cause"  # noqa: S608
        f" from ({holding}) as p group by tenant, period_start"
    )


def _list(names: tuple[str, ...]) -> str:
    return "(" + ", ".join(f"'{name}'" for name in names) + ")"
