"""Who waits for whom around a publication: advisory locks of the transaction, in the order in which they stand here."""

import psycopg


def alone_with_claims(connection: psycopg.Connection) -> None:
    """Wait until no publication and no other claim runs, and let none begin before the transaction ends.

    What a publication reads first, its claim, must be its own until it has settled it.
    """
    connection.execute("select pg_advisory_xact_lock(hashtextextended('publish', 0))")


def alone_with_candidates(connection: psycopg.Connection) -> None:
    """Wait until no build runs (``dbt_project/build.py``), and let none begin before the transaction ends.

    A publication copies mart after mart: a build in between would have it publish what no gate has seen, and marts that
    disagree with each other.
    """
    connection.execute("select pg_advisory_xact_lock(hashtextextended('marts_build', 0))")
