"""The lake in SQL Lab: DuckDB in Superset's process over the Iceberg tables, read-only, for who sees every tenant.

DuckDB knows no rights of rows, and who can type SQL into it can read any file of the lake. So it is for people who see
every tenant. Who can type SQL into it could also read any file of this machine and load code: before a person's SQL
runs, it is confined to the lake's bucket and its configuration locked (https://duckdb.org/docs/stable/operations_manual/securing_duckdb/overview).
Its key pair at S3 reads only. Each connection is made anew, so that it shows the newest commit.
"""

import os
from collections.abc import Iterator
from contextlib import closing
from importlib.resources import files
from typing import Any
from urllib.parse import urlsplit

import duckdb
import psycopg2
from duckdb_engine import ConnectionWrapper

EXTENSIONS = ("httpfs", "avro", "iceberg")
"""In this order: the last needs the others. Each is a package of DuckDB's own version, so nothing is downloaded."""
LIMITS = {"memory_limit": "256MB", "threads": "1"}
LOCKED = ("set enable_external_access = false", "set lock_configuration = true")


def connect() -> ConnectionWrapper:
    """A connection that has a view of each table of the lake and can reach nothing else.

    :raises psycopg2.Error: the lake's catalog does not answer
    :raises duckdb.Error: S3 does not answer, or a table cannot be read
    """
    connection = confined()
    for namespace, table, location in _tables():
        connection.execute(f"create schema if not exists {_name(namespace)}")
        view = f"create view {_name(namespace)}.{_name(table)} as select * from iceberg_scan({_text(location)})"  # noqa: S608 (quoted)
        connection.execute(view)
    for statement in LOCKED:
        connection.execute(statement)
    return ConnectionWrapper(connection)


def empty() -> ConnectionWrapper:
    """A connection without any table, for a program's own work: it may ask before the lake is there."""
    return ConnectionWrapper(duckdb.connect(":memory:", config=LIMITS))


def confined() -> Any:
    """DuckDB with what it needs to read the lake's bucket."""
    config = {**LIMITS, "autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}
    connection = duckdb.connect(":memory:", config=config)
    for name in EXTENSIONS:
        file = files(f"duckdb_extension_{name}") / "extensions" / f"v{duckdb.__version__}" / f"{name}.duckdb_extension"
        connection.execute(f"load {_text(str(file))}")
    endpoint, lake = urlsplit(os.environ["S3_ENDPOINT"]), urlsplit(os.environ["LAKE_WAREHOUSE"])
    connection.execute(
        f"""
        create secret lake (
            type s3, scope {_text(f"s3://{lake.netloc}")}, endpoint {_text(endpoint.netloc)},
            key_id {_text(os.environ["LAKE_ACCESS_KEY_ID"])}, secret {_text(os.environ["LAKE_SECRET_ACCESS_KEY"])},
            region {_text(os.environ["AWS_REGION"])}, url_style 'path',
            use_ssl {str(endpoint.scheme == "https").lower()}
        )
        """
    )
    connection.execute(f"set allowed_directories = [{_text(f's3://{lake.netloc}/')}]")
    return connection


def _tables() -> Iterator[tuple[str, str, str]]:
    """Namespace, name and newest metadata file of each table, from the lake's catalog."""
    dsn = os.environ["LAKE_CATALOG_URI"].replace("+psycopg", "", 1)
    with closing(psycopg2.connect(dsn, connect_timeout=5)) as catalog, catalog.cursor() as cursor:
        cursor.execute(
            "select table_namespace, table_name, metadata_location from iceberg_tables"
            " where catalog_name = 'lake' order by 1, 2"
        )
        yield from cursor.fetchall()


def _name(identifier: str) -> str:
    return '"' + identifier.replace('"', '""') + '"'


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
