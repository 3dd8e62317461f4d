"""A warehouse for these tests alone, emptied before each: a database of its own on the stack's real Postgres."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
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


@contextmanager
def _migrated(stack: Any, superuser: str, folder: Path) -> Iterator[Warehouse]:
    name = f"marts_{uuid4().hex[:12]}"
    with psycopg.connect(superuser, autocommit=True) as admin:
        admin.execute(sql.SQL("create database {} owner watershed").format(sql.Identifier(name)))
        dsns = {role: _with_database(stack.env[f"{role}_DSN"], name) for role in ROLES}
        migrate(dsns["WAREHOUSE"], Registry.load())
        yield Warehouse({**dsns, "SUPERUSER": _with_database(superuser, name)}, folder)
        admin.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


@pytest.fixture(scope="session")
def migrated(stack: Any, superuser: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    """A migrated database in which dbt has run once."""
    with _migrated(stack, superuser, tmp_path_factory.mktemp("marts")) as first:
        first.build(uuid4())
        yield first


@pytest.fixture
def unbuilt(stack: Any, superuser: str, tmp_path: Path) -> Iterator[Warehouse]:
    """A migrated database in which dbt has never run."""
    with _migrated(stack, superuser, tmp_path) as fresh:
        yield fresh


@pytest.fixture
def warehouse(migrated: Warehouse) -> Warehouse:
    """An empty warehouse, loaded through 12:00 of 20 November 2026."""
    migrated.empty()
    return migrated
