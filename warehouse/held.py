"""Files of the lake whose objects are gone, as the books found (``watershed books reconcile``)."""

from typing import Any, LiteralString

import psycopg
from psycopg.rows import tuple_row

NOT_TO_BE_COMPUTED: LiteralString = """
    (
        exists (
            select from ledger.touched as t
            where t.type = %(type)s and t.tenant = {m}.tenant and t.minute = {m}.minute
        ) or exists (
            select from ledger.held_minutes as h
            where h.type = %(type)s and h.tenant = {m}.tenant and h.minute = {m}.minute
        ) or exists (
            select from ledger.lake_files as f
            where
                f.type = %(type)s and f.state = 'missing' and not f.read
                and coalesce(f.day = ({m}.minute at time zone 'UTC')::date, true)
        )
    )
"""
"""SQL: whether the minute of a row ``{m}`` is to be left alone by who computes spans. It is the load's to do; or a file
with events of it is missing; or one is of which nobody knows what it held, and that is of its day.
"""


def missing_files(connection: psycopg.Connection[Any], type_: str) -> frozenset[str]:
    """Paths of the data files that the lake names and that are not there: whoever opened one would fail.

    ``type_`` is an event type, or the topic of a table that has none: ``rejected_events``.
    """
    with connection.cursor(row_factory=tuple_row) as cursor:
        rows = cursor.execute("select path from ledger.lake_files where type = %s and state = 'missing'", (type_,))
        return frozenset(path for (path,) in rows)
