"""What a killed `benchmarks.marts` left behind goes with the next run; a running one's database stays."""

from collections.abc import Iterator
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from benchmarks.marts import drop_left_behind


@pytest.fixture
def admin(superuser: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(superuser, autocommit=True) as connection:
        yield connection


@pytest.fixture
def databases(admin: psycopg.Connection) -> Iterator[tuple[str, str, str]]:
    """One that nobody uses, one that is in use, and one of a name that the benchmark never gives."""
    number = uuid4().hex[:12]
    names = (f"bench_{number}", f"bench_{number[::-1]}", f"bench_{number}_of_somebody")
    for name in names:
        admin.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
    yield names
    for name in names:
        admin.execute(sql.SQL("drop database if exists {}").format(sql.Identifier(name)))


def test_what_nobody_uses_any_more_is_dropped(
    admin: psycopg.Connection, superuser: str, databases: tuple[str, str, str]
) -> None:
    abandoned, in_use, of_somebody = databases
    with psycopg.connect(superuser, dbname=in_use):
        dropped = drop_left_behind(admin)
        there = {name for (name,) in admin.execute("select datname from pg_database").fetchall()}
    assert abandoned in dropped
    assert abandoned not in there
    assert {in_use, of_somebody} <= there
