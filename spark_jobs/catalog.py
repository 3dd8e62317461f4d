"""The Iceberg catalog's own table in Postgres: whether a table of the lake changed, asked in a millisecond."""

from collections.abc import Mapping, Sequence

import psycopg

from spark_jobs.settings import SparkSettings

CATALOG = "lake"
"""The catalog's name: a part of its rows, and the first word of ``lake.events.<type>`` in Spark."""


def catalog_dsn(settings: SparkSettings) -> str:
    """The catalog's database for psycopg, from its SQLAlchemy URL (``postgresql+psycopg://…``)."""
    scheme, _, rest = settings.lake_catalog_uri.get_secret_value().partition("://")
    return f"{scheme.partition('+')[0]}://{rest}"


def metadata_locations(connection: psycopg.Connection, tables: Sequence[str]) -> Mapping[str, str]:
    """Where the newest metadata of each of ``tables`` (``namespace.name``) lies; tables not there are left out."""
    rows = connection.execute(
        """
        select table_namespace || '.' || table_name, metadata_location from iceberg_tables
        where catalog_name = %s and table_namespace || '.' || table_name = any(%s)
        """,
        (CATALOG, list(tables)),
    )
    return dict(rows.fetchall())


def tables_in(connection: psycopg.Connection, namespace: str) -> list[str]:
    """The tables (``namespace.name``) of one namespace."""
    rows = connection.execute(
        """
        select table_namespace || '.' || table_name from iceberg_tables
        where catalog_name = %s and table_namespace = %s
        order by table_name
        """,
        (CATALOG, namespace),
    )
    return [name for (name,) in rows]
