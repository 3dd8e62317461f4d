"""What a file that came, went or is there again has others look at: hours to balance, minutes to recompute."""

from collections.abc import Sequence

import psycopg

from warehouse import rejects


def touch_hours(connection: psycopg.Connection, type_: str, file_ids: Sequence[int]) -> None:
    """Hours that the files' rows were received in, and those of other rows of the same minutes: a winner may change."""
    connection.execute(
        """
        insert into ledger.books_touched as t (received_hour)
        select received_hour from ledger.file_ranges where file_id = any(%(files)s)
        union
        select c.received_hour from ledger.file_minutes as m
        inner join ledger.cells as c on c.type = %(type)s and c.tenant = m.tenant and c.minute = m.minute
        where m.file_id = any(%(files)s)
        order by 1
        on conflict (received_hour) do update set touched_at = now()
        """,
        {"files": list(file_ids), "type": type_},
    )


def touch_minutes(connection: psycopg.Connection, type_: str, file_ids: Sequence[int]) -> None:
    """Have what files that came back hold computed anew: a load may have gone past them meanwhile."""
    if type_ == rejects.CURSOR:
        connection.execute(
            """
            insert into ledger.rejects_touched (received_hour)
            select distinct hour from ledger.lake_files as f
            cross join generate_series(
                f.day::timestamp at time zone 'UTC', (f.day + 1)::timestamp at time zone 'UTC' - interval '1 hour',
                interval '1 hour'
            ) as hour
            where f.file_id = any(%s)
            order by hour
            on conflict (received_hour) do update set change_id = excluded.change_id, touched_at = now()
            """,
            (list(file_ids),),
        )
    connection.execute(
        """
        insert into ledger.touched as t (type, tenant, minute, cause, received_from, events)
        select %(type)s, m.tenant, m.minute, 'repair', min(m.received_hour), sum(m.rows)
        from ledger.file_minutes as m where m.file_id = any(%(files)s)
        group by m.tenant, m.minute
        order by m.tenant, m.minute
        on conflict (type, tenant, minute) do update set change_id = excluded.change_id, touched_at = now()
        """,
        {"files": list(file_ids), "type": type_},
    )
