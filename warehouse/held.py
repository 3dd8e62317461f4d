"""Files of the lake whose objects are gone, as the books found (``watershed books reconcile``)."""

import psycopg


def missing_files(connection: psycopg.Connection, type_: str) -> frozenset[str]:
    """Paths of the data files that the lake names and that are not there: whoever opened one would fail."""
    rows = connection.execute("select path from ledger.lake_files where type = %s and state = 'missing'", (type_,))
    return frozenset(path for (path,) in rows)
