"""``ledger.id_audits``: by day of receipt, ids that were used for more than one minute."""

from collections.abc import Iterable, Mapping, Sequence
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


def write(
    connection: psycopg.Connection, type_: str, day: date, looked_back_to: datetime, found: Iterable[Audited]
) -> None:
    """Make the day's rows of a type those of ``found``; a second audit of a day replaces the first."""
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute("delete from ledger.id_audits where type = %s and day = %s", (type_, day))
        cursor.executemany(
            """
            insert into ledger.id_audits (day, type, tenant, ids, reused, surplus, examples, looked_back_to)
            values (%s, %s, %s, %s, %s, %s, %s, %s)
            """,
            [
                (day, type_, a.tenant, a.ids, a.reused, a.surplus, Jsonb(list(a.examples)), looked_back_to)
                for a in found
            ],
        )
