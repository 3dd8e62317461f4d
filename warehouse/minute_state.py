"""Checksums of what the warehouse has of a minute: the same rows, in whatever order, give the same."""

from psycopg import sql

STATES = sql.SQL("""
    select s.tenant, s.minute, md5(string_agg(s.sum, '' order by s.sum)) as state
    from (
        select r.tenant, r.minute, 'rollup ' || md5(r::text) as sum from {rollup} as r {which}
        union all
        select r.tenant, r.minute, 'cells ' || md5(r::text) as sum from {cells} as r {which} and r.type = %(type)s
    ) as s
    group by s.tenant, s.minute
""")
"""SQL of (tenant, minute, state) of a type's minutes that have rows. ``which`` ends in conditions on its row ``r``.

A row's text depends on the session's time zone and date style: both are set where the loader connects.
"""


def states(rollup: sql.Identifier, cells: sql.Identifier, which: sql.Composable) -> sql.Composed:
    """:data:`STATES` of two tables; its parameter ``type`` is of the caller's query."""
    return STATES.format(rollup=rollup, cells=cells, which=which)
