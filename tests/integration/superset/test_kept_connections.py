"""Connections that Superset keeps: apart for each log-in, as new for who asks next, and never past a closed door.

The pool alone, in Superset's environment, on the real Postgres; `test_tenants_apart.py` asks through Superset.
"""

import json
import os
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import psycopg
import pytest
from psycopg import sql

from stack.settings import LOCAL
from warehouse import tenant_login
from warehouse.tenants import ensure_tenant

KEY = "k" * 64


def login(dsn: str, user: str, password: str) -> str:
    at = urlsplit(dsn)
    return urlunsplit(at._replace(netloc=f"{quote(user)}:{password}@{at.hostname}:{at.port}"))


@pytest.fixture(scope="module")
def superuser(stack: Any) -> str:
    passwords = json.loads((Path(stack.env["WATERSHED_STATE"]) / "secrets.json").read_text())
    return login(stack.env["WAREHOUSE_DSN"], "postgres", passwords["postgres"])


@pytest.fixture(scope="module")
def logins(stack: Any, superuser: str) -> Iterator[tuple[str, str]]:
    """How two tenants' people are connected."""
    names = [f"kept-{letter}-{secrets.token_hex(4)}" for letter in "ab"]
    for name in names:
        ensure_tenant(stack.env["WAREHOUSE_DSN"], KEY, name)
    roles = [tenant_login.role(name) for name in names]
    first, second = (
        login(stack.env["WAREHOUSE_DSN"], role, tenant_login.password(KEY, name))
        for role, name in zip(roles, names, strict=True)
    )
    yield first, second
    with psycopg.connect(superuser) as admin:
        for role, name in zip(roles, names, strict=True):
            admin.execute(sql.SQL("drop owned by {0}; drop role {0}").format(sql.Identifier(role)))
            admin.execute("delete from ledger.tenants where tenant = %s", (name,))


@pytest.fixture(scope="module")
def facts(logins: tuple[str, str], superuser: str) -> dict[str, Any]:
    """What ``connection_side.py`` prints."""
    script = Path(__file__).parent / "connection_side.py"
    argv = [LOCAL / "envs" / "superset" / "bin" / "python", script, *logins, superuser]
    done = subprocess.run(argv, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def role_of(dsn: str) -> str:
    return (urlsplit(dsn).username or "").replace("%2E", ".")


def test_who_asks_again_is_given_the_same_connection(facts: dict[str, Any]) -> None:
    assert facts["again"] == facts["new"]


def test_a_connection_is_never_handed_to_another_role(facts: dict[str, Any], logins: tuple[str, str]) -> None:
    mine, other = (role_of(dsn) for dsn in logins)
    assert [facts["new"][1], facts["other"][1], facts["mine_after_other"][1]] == [mine, other, mine]
    assert facts["other"][0] != facts["new"][0]
    assert facts["mine_after_other"] == facts["new"]


def test_other_options_are_another_connection(facts: dict[str, Any]) -> None:
    assert facts["other_options"]


def test_a_kept_connection_is_no_way_around_the_password(facts: dict[str, Any]) -> None:
    assert "password authentication failed" in facts["other_password"]


def test_what_is_not_to_be_kept_is_made_anew(facts: dict[str, Any]) -> None:
    assert facts["not_kept"]


def test_nothing_that_a_question_left_behind_meets_the_next(facts: dict[str, Any]) -> None:
    assert facts["after_left_behind"] == facts["new"]


def test_few_connections_stay_open(facts: dict[str, Any]) -> None:
    found, most = facts["idle"]
    assert found == most


def test_connections_that_postgres_ended_are_made_anew(facts: dict[str, Any]) -> None:
    assert facts["ended"]
    assert facts["after_ended"][0] != facts["before_ended"][0]
    assert facts["after_ended"][1:] == facts["before_ended"][1:]


def test_who_was_barred_is_not_let_in_by_a_kept_connection(facts: dict[str, Any], logins: tuple[str, str]) -> None:
    assert "not permitted to log in" in facts["barred"]
    assert facts["let_in_again"] == role_of(logins[0])


def test_who_has_not_asked_for_long_keeps_no_connection(facts: dict[str, Any]) -> None:
    *others_asked, one_too_many = facts["let_go"]
    assert not any(others_asked)
    assert one_too_many
