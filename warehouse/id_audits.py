"""``ledger.id_audits``: by day of receipt, ids that were used for more than one minute."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import psycopg
from psycopg.types.json import Jsonb


@dataclass(frozen=True)
class Audited:
    """What a day's ids of one tenant came to; ``surplus``: how often they count too often, all together."""

    tenant: str
    ids: int
    reused: int
    surplus: int
    examples: Sequence[Mapping[str, Any]]


def write(  # noqa: PLR0917 - as its one caller has them
    connection: psycopg.Connection,
    type_: str,
    day: date,
    looked_back_to: datetime,
    found: Iterable[Audited],
    missing: Collection[str] = (),
) -> None:
    """Make the day's rows of a type those of ``found``; a second audit of a day replaces the first.

    ``missing``: paths of files that were not there to be looked into. When they are the audit is :func:`due` again.
    """
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute("delete from ledger.id_audits where type = %s and day = %s", (type_, day))
        cursor.executemany(
            """
            insert into ledger.id_audits (
                day, type, tenant, ids, reused, surplus, examples, looked_back_to, files_missing
            )
            values (%s, %s, %s, %s, %s, %s, %s, %s, %s)
            """,
            [
                (
                    day,
                    type_,
                    a.tenant,
                    a.ids,
                    a.reused,
                    a.surplus,
                    Jsonb(list(a.examples)),
                    looked_back_to,
                    len(missing),
                )
                for a in found
            ],
        )
        cursor.execute("delete from ledger.id_audits_due where type = %s and day = %s", (type_, day))
        if missing:
            cursor.execute(
                "insert into ledger.id_audits_due (day, type, files) values (%s, %s, %s)", (day, type_, sorted(missing))
            )


def due(connection: psycopg.Connection, types: Collection[str]) -> dict[date, list[str]]:
    """Days that were audited beside files of which none is missing now, with the types of ``types``; the oldest first.

    A file that the table names no more is not missing: its rows are in others, or were deleted for good.
    """
    rows = connection.execute(
        """
        select d.day, array_agg(d.type order by d.type) from ledger.id_audits_due as d
        where
            d.type = any(%s)
            and not exists (
                select from ledger.lake_files as f
                where f.type = d.type and f.path = any(d.files) and f.state = 'missing'
            )
        group by d.day
        order by d.day
        """,
        (list(types),),
    ).fetchall()
    return dict(rows)
