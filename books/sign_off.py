"""The word of an operator who looked into hours that do not balance, given or taken back; each is kept for good."""

from typing import Any

import psycopg
from psycopg.rows import dict_row

from books.show import THESE, THESE_HOURS, Asked


def sign_off(connection: psycopg.Connection[Any], asked: Asked, by: str, because: str) -> list[dict[str, Any]]:
    """Sign off the closed hours of ``asked`` that do not balance; gives them.

    They stay out of balance, and no longer hold anything back; what else goes wrong in them is red again.
    """
    return _done(
        connection,
        "signed off",
        f"""
        update ledger.books set signed_off_by = %(by)s, signed_off_because = %(because)s, signed_off_at = now()
        where closed and not balanced and signed_off_at is null and {THESE}
        returning *
        """,  # noqa: S608
        asked,
        by,
        because,
    )


def take_back(connection: psycopg.Connection[Any], asked: Asked, by: str, because: str) -> list[dict[str, Any]]:
    """Take back that hours of ``asked`` were signed off; gives them. Those that do not balance are red again."""
    return _done(
        connection,
        "taken back",
        f"""
        update ledger.books set signed_off_by = null, signed_off_because = null, signed_off_at = null
        where signed_off_at is not null and {THESE}
        returning *
        """,  # noqa: S608
        asked,
        by,
        because,
    )


def _done(  # noqa: PLR0917 - as its callers have them
    connection: psycopg.Connection[Any], deed: str, update: str, asked: Asked, by: str, because: str
) -> list[dict[str, Any]]:
    """Do it and write it down, in one statement."""
    with connection.cursor(row_factory=dict_row) as cursor:
        cursor.execute(
            f"""
            with done as ({update}),

            written as (
                insert into ledger.sign_offs (tenant, type, received_hour, deed, by, because, lacking)
                select d.tenant, d.type, d.received_hour, %(deed)s, %(by)s, %(because)s,
                    ledger.lacking(
                        d.unlanded, d.missing, d.unexplained, d.charted_apart, d.rejected_unlanded, d."foreign"
                    )
                from done as d
                order by d.received_hour, d.tenant, d.type
            )

            select * from done order by received_hour, tenant, type
            """.encode(),  # noqa: S608
            {**asked.values(), "deed": deed, "by": by, "because": because},
        )
        return cursor.fetchall()


def signed_off(connection: psycopg.Connection[Any], asked: Asked) -> list[dict[str, Any]]:
    """The hours of ``asked`` that are signed off now."""
    with connection.cursor(row_factory=dict_row) as cursor:
        cursor.execute(
            f"select * from ledger.books where signed_off_at is not null and {THESE} order by received_hour".encode(),  # noqa: S608
            asked.values(),
        )
        return cursor.fetchall()


def history(connection: psycopg.Connection[Any], asked: Asked) -> list[dict[str, Any]]:
    """What was ever signed off of ``asked``, taken back, or lapsed: the newest first, with what was lacking then."""
    with connection.cursor(row_factory=dict_row) as cursor:
        cursor.execute(
            f"""
            select tenant, type, received_hour, deed, by, because, at, lacking from ledger.sign_offs
            where {THESE_HOURS}
            order by sign_off_id desc
            """.encode(),  # noqa: S608
            asked.values(),
        )
        return cursor.fetchall()
