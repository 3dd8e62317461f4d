"""A warehouse for these tests alone, emptied before each: a database of its own on the stack's real Postgres."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from contracts.registry import Registry
from tests.integration.marts.warehouse_kit import ROLES, Warehouse
from warehouse.migrate import migrate


def _with_database(dsn: str, database: str) -> str:
    return urlunsplit(urlsplit(dsn)._replace(path=f"/{database}"))


@pytest.fixture(scope="session")
def superuser(stack: Any) -> str:
    secrets = json.loads((Path(stack.env["WATERSHED_STATE"]) / "secrets.json").read_text())
    at = urlsplit(stack.env["WAREHOUSE_DSN"])
    return f"postgresql://postgres:{secrets['postgres']}@{at.hostname}:{at.port}/postgres"


@pytest.fixture(scope="session")
def migrated(stack: Any, superuser: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    """A migrated database in which dbt has run once."""
    name = sql.Identifier(f"marts_{uuid4().hex[:12]}")
    with psycopg.connect(superuser, autocommit=True) as admin:
        admin.execute(sql.SQL("create database {} owner watershed").format(name))
        dsns = {role: _with_database(stack.env[f"{role}_DSN"], name.as_string().strip('"')) for role in ROLES}
        migrate(dsns["WAREHOUSE"], Registry.load())
        first = Warehouse(
            {**dsns, "SUPERUSER": _with_database(superuser, name.as_string().strip('"'))},
            tmp_path_factory.mktemp("marts"),
        )
        first.build(uuid4())
        yield first
        admin.execute(sql.SQL("drop database {} with (force)").format(name))


@pytest.fixture
def warehouse(migrated: Warehouse) -> Warehouse:
    """An empty warehouse, loaded through 12:00 of 20 November 2026."""
    migrated.empty()
    return migrated
