"""A migrated database that the tests of this folder have to themselves."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import sql

from contracts.registry import Registry
from stack import secrets
from tests.integration.marts.conftest import _with_database
from warehouse.migrate import migrate

DATABASE = "alerts_under_test"


@pytest.fixture(scope="session")
def migrated(stack: Any) -> Iterator[tuple[str, str]]:
    """The DSNs of owner and alerter of a migrated database of its own."""
    password = secrets.load(stack.settings.watershed_state / "secrets.json")["postgres"]
    at = psycopg.conninfo.conninfo_to_dict(stack.env["WAREHOUSE_DSN"])
    with psycopg.connect(
        host=at["host"], port=at["port"], user="postgres", password=password, dbname="postgres", autocommit=True
    ) as admin:
        name = sql.Identifier(DATABASE)
        admin.execute(sql.SQL("drop database if exists {} with (force)").format(name))
        admin.execute(sql.SQL("create database {} owner watershed").format(name))
        owner = _with_database(stack.env["WAREHOUSE_DSN"], DATABASE)
        migrate(owner, Registry.load())
        yield owner, _with_database(stack.env["ALERTER_DSN"], DATABASE)
        admin.execute(sql.SQL("drop database {} with (force)").format(name))
