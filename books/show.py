"""What the books say, for who asks."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString

import psycopg
from psycopg.rows import dict_row

NUMBERS = (
    "acknowledged", "landed", "unlanded", "missing", "set_aside", "copies", "counted", "duplicates", "collisions",
    "quarantined", "erased", "not_loaded", "unexplained", "charted_apart", "rejected", "rejected_unlanded", "minted",
    "in_doubt", "void", "foreign",
)  # fmt: skip
"""In the order of the two equations; see ledger.books."""

MOST_RANGES = 50
"""Of numbers of one collector that are nowhere."""


@dataclass(frozen=True)
class Asked:
    """Which books; None and empty: all."""

    tenant: str | None = None
    type: str | None = None
    first: datetime | None = None
    before: datetime | None = None
    red: bool = False

    def values(self) -> dict[str, Any]:
        """For the queries. Requests of which no type could be told are ``(none)`` to people, '' in the ledger."""
        return {
            "tenant": "" if self.tenant == "(none)" else self.tenant,
            "type": "" if self.type == "(none)" else self.type,
            "first": self.first,
            "before": self.before,
            "red": self.red,
        }


THESE_HOURS: LiteralString = """
    (%(tenant)s::text is null or tenant = %(tenant)s)
    and (%(type)s::text is null or type = %(type)s)
    and (%(first)s::timestamptz is null or received_hour >= %(first)s)
    and (%(before)s::timestamptz is null or received_hour < %(before)s)
"""
"""SQL: the rows by tenant, type and hour that are asked for, of whatever kind."""
THESE: LiteralString = f"""
    {THESE_HOURS}
    and (not %(red)s or closed and not balanced and signed_off_at is null)
"""
"""SQL: the rows of ``ledger.books`` that are asked for."""


def books(connection: psycopg.Connection[Any], asked: Asked) -> list[dict[str, Any]]:
    """Rows of ``ledger.books``, the newest hour first."""
    with connection.cursor(row_factory=dict_row) as cursor:
        cursor.execute(
            f"select * from ledger.books where {THESE} order by received_hour desc, tenant, type".encode(),  # noqa: S608
            asked.values(),
        )
        return cursor.fetchall()


def missing_files(connection: psycopg.Connection[Any]) -> list[dict[str, Any]]:
    """Data files that the lake names and whose objects are gone, or others: of ``found_size`` instead of ``size``."""
    with connection.cursor(row_factory=dict_row) as cursor:
        cursor.execute(
            """
            select f.type, f.path, f.rows, f.missing_since, f.size, f.found_size, count(h.minute)::int as minutes_held
            from ledger.lake_files as f
            left join ledger.held_minutes as h on h.file_id = f.file_id
            where f.state = 'missing'
            group by f.file_id
            order by f.missing_since, f.path
            """
        )
        return cursor.fetchall()


def lost(connection: psycopg.Connection[Any], asked: Asked) -> list[dict[str, Any]]:
    """Of collectors that miss something in the books ``asked`` for: their numbers that are nowhere, as ranges.

    Nowhere: handed out, neither void nor in doubt, and in no file that is there. A number has no hour before it lands,
    so these are all of the collector's; of one that still runs the newest may be on their way. ``sequences`` are the
    first ranges, ``events`` the number of all.
    """
    with connection.cursor(row_factory=dict_row) as cursor:
        cursor.execute(
            f"""
            select
                n.collector_id, n.closed, n.seen_at, ledger.size(n.nowhere) as events,
                array(
                    select array[lower(r.r), upper(r.r) - 1] from unnest(n.nowhere) as r (r) order by 1 limit %(most)s
                ) as sequences
            from (
                select
                    c.collector_id, c.closed, c.seen_at,
                    int8multirange(int8range(1, least(c.assigned, 9223372036854775806) + 1))
                    - coalesce(c.void, '{{}}') - coalesce(c.in_doubt, '{{}}') - coalesce(h.sequences, '{{}}') as nowhere
                from ledger.collectors as c
                left join lateral (
                    select range_agg(r.sequences) as sequences from ledger.file_ranges as r
                    inner join ledger.lake_files as f on f.file_id = r.file_id and f.state <> 'missing'
                    where r.collector_id = c.collector_id
                ) as h on true
                where c.collector_id in (
                    select s.collector_id from ledger.receipt_cells as s
                    inner join (
                        select b.received_hour, b.tenant, b.type from ledger.books as b
                        where closed and unlanded + rejected_unlanded > 0 and {THESE}
                    ) as b using (received_hour, tenant, type)
                )
            ) as n
            where not isempty(n.nowhere)
            order by n.collector_id
            """.encode(),  # noqa: S608
            {**asked.values(), "most": MOST_RANGES},
        )
        return cursor.fetchall()


def as_json(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Times in RFC 3339, tenant and type as people see them."""
    return [
        {
            name: value.isoformat() if isinstance(value, datetime) else value
            for name, value in {**row, **{n: row[n] or "(none)" for n in ("tenant", "type") if n in row}}.items()
        }
        for row in rows
    ]
