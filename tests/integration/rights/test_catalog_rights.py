"""What each role must not do with the lake's catalog in Postgres, tried for real; the warehouse: load/test_roles.py."""

from collections.abc import Mapping
from typing import Any

import psycopg
import pytest

REFUSED = psycopg.errors.InsufficientPrivilege
SCHEMA = [
    "create table mine (x int)",
    "create schema mine",
    "drop table iceberg_tables",
    "truncate iceberg_tables",
    "alter table iceberg_tables add column x int",
]
READS_ONLY = [
    *SCHEMA,
    "insert into iceberg_tables (catalog_name, table_namespace, table_name) values ('x', 'x', 'x')",
    "update iceberg_tables set metadata_location = 'x'",
    "delete from iceberg_tables",
    "select from iceberg_tables for update",
    "insert into iceberg_namespace_properties (catalog_name, namespace, property_key) values ('x', 'x', 'x')",
    "delete from iceberg_namespace_properties",
]
MUST_NOT: Mapping[str, list[str]] = {
    "lander": SCHEMA,
    "maintain": [
        *SCHEMA,
        "insert into iceberg_tables (catalog_name, table_namespace, table_name) values ('x', 'x', 'x')",
        "delete from iceberg_tables",
        "delete from iceberg_namespace_properties",
    ],
    "load": READS_ONLY,
    "superset": READS_ONLY,
}
MAY: Mapping[str, list[str]] = {
    "lander": [
        "insert into iceberg_tables (catalog_name, table_namespace, table_name) values ('x', 'x', 'x')",
        "update iceberg_tables set metadata_location = metadata_location where false",
        "delete from iceberg_tables where false",
        "insert into iceberg_namespace_properties values ('x', 'x', 'x', 'x')",
    ],
    "maintain": ["select from iceberg_tables", "update iceberg_tables set metadata_location = null where false"],
    "load": ["select from iceberg_tables", "select from iceberg_namespace_properties"],
    "superset": ["select from iceberg_tables"],
    "operator": [*SCHEMA[:1], "drop table iceberg_tables", "delete from iceberg_tables"],
}


def cases(table: Mapping[str, list[str]]) -> list[tuple[str, str]]:
    return [(who, statement) for who, statements in table.items() for statement in statements]


def dsn(stack: Any, who: str) -> str:
    """The catalog as the process was given it."""
    uri: str = (stack.env if who == "operator" else stack.own(who))["LAKE_CATALOG_URI"]
    return uri.replace("postgresql+psycopg://", "postgresql://")


@pytest.mark.parametrize(("who", "statement"), cases(MUST_NOT))
def test_a_role_is_refused_what_is_not_its_business(stack, who, statement):
    with psycopg.connect(dsn(stack, who)) as connection, pytest.raises(REFUSED):
        connection.execute(statement)


@pytest.mark.parametrize(("who", "statement"), cases(MAY))
def test_a_role_may_do_its_work(stack, who, statement):
    with psycopg.connect(dsn(stack, who)) as connection:
        connection.execute(statement)
        connection.rollback()


def test_everybody_has_a_role_of_his_own(stack):
    users = [
        psycopg.conninfo.conninfo_to_dict(dsn(stack, who))["user"] for who in ("operator", "lander", "load", "maintain")
    ]
    assert users == ["catalog", "lander", "spark", "maintainer"]


@pytest.mark.parametrize("who", ["load", "operator"])
def test_a_role_of_the_catalog_cannot_reach_the_warehouse(stack, who):
    info = psycopg.conninfo.conninfo_to_dict(dsn(stack, who))
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        psycopg.connect(**{**info, "dbname": "warehouse"})
