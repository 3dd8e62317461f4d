"""``watershed tenant``: made once, completed when made in part, closed and opened again."""

import json
import os
import secrets
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from collector.keys import KeyFile
from stack.rooms import WATERSHED
from superset_config.admin import Admin
from superset_config.rest import Superset, SupersetError, SupersetSettings
from tests.integration.superset.conftest import as_user


@pytest.fixture
def env(superset_env: Mapping[str, str], tmp_path: Path) -> Mapping[str, str]:
    return {**os.environ, **superset_env, "KEYS_FILE": str(tmp_path / "keys.json")}


@pytest.fixture
def name(env: Mapping[str, str]) -> Iterator[str]:
    made = f"cmd-{secrets.token_hex(4)}"
    yield made
    run(env, "disable", made, "--yes")


def run(env: Mapping[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    argv = [WATERSHED, "tenant", *words, "--json"]
    return subprocess.run(argv, env=env, capture_output=True, text=True, check=False, timeout=300)


def answer(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_a_tenant_is_made_once_closed_and_opened_again(env: Mapping[str, str], name: str) -> None:
    first = answer(run(env, "create", name))
    assert first["created"]
    assert set(first["keys"]) == {"server", "browser"}
    again = answer(run(env, "create", name))
    assert (again["created"], again["keys"], again["password"]) == (False, {}, None)

    would = answer(run(env, "disable", name))
    assert (len(would["keys"]), would["people"], would["done"]) == (2, [name], False)
    Superset(as_user(env, name, first["password"])).close()

    assert answer(run(env, "disable", name, "--yes"))["done"]
    with pytest.raises(SupersetError, match="401"):
        Superset(as_user(env, name, first["password"]))
    kept = KeyFile(Path(env["KEYS_FILE"])).keys()
    assert all(key.revoked_at for key in kept)
    listed = {each["tenant"]: each["state"] for each in answer(run(env, "list"))["tenants"]}
    assert listed[name] == "disabled"

    opened = answer(run(env, "create", name))
    assert set(opened["keys"]) == {"server", "browser"}
    Superset(as_user(env, name, first["password"])).close()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("create", "Not Allowed"), "1 to 40 of a-z"),
        (("create", "fine", "--time-zone", "Mars/Olympus"), "no time zone"),
        (("create", "fine", "--user", "admin"), "choose another name"),
        (("add-user", "nosuchtenant", "--user", "x"), "no role"),
        (("disable", "nosuchtenant", "--yes"), "there is no tenant"),
    ],
)
def test_what_cannot_be_done_is_one_line_that_says_why(
    env: Mapping[str, str], words: tuple[str, ...], said: str
) -> None:
    done = run(env, *words)
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not Path(env["KEYS_FILE"]).exists(), "no key of a tenant that was not made"


@pytest.mark.parametrize(
    ("role", "roles"),
    [
        ("viewer", ["All tenants", "Business viewer"]),
        ("analyst", ["All tenants", "Analyst"]),
        ("operator", ["Operator"]),
    ],
)
def test_who_sees_all_tenants_is_let_in_by_a_command(
    env: Mapping[str, str], admin_settings: SupersetSettings, name: str, role: str, roles: list[str]
) -> None:
    argv = [WATERSHED, "superset", "add-user", name, "--role", role]
    first, again = (subprocess.run(argv, env=env, capture_output=True, text=True, check=True) for _ in range(2))
    Superset(as_user(env, name, first.stdout.splitlines()[-1])).close()
    assert f"was there, and is {' and '.join(reversed(roles))};" in again.stdout
    with Admin(admin_settings) as admin:
        [person] = [each for each in admin.people() if each.username == name]
        admin.deactivate(person)
    assert list(person.roles) == roles


def test_a_tenant_s_person_is_not_let_see_all_by_that_command(env: Mapping[str, str], name: str) -> None:
    answer(run(env, "create", name))
    argv = [WATERSHED, "superset", "add-user", name, "--role", "operator"]
    done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"Tenant {name}" in done.stderr
