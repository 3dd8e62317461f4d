"""An operator sees every tenant and who did what, and changes none of what all are shown."""

import json
import secrets
from collections.abc import Iterator, Mapping

import httpx
import pytest

from superset_config.admin import Admin
from superset_config.bundle import WAREHOUSE, Bundle
from superset_config.rest import Superset, SupersetSettings
from superset_config.tenancy import BASE_RULE, rule_of
from tests.integration.superset.conftest import Home, as_user, sql_lab

Homes = tuple[Home, Home]


@pytest.fixture
def operator(superset_env: Mapping[str, str], admin_settings: SupersetSettings) -> Iterator[Superset]:
    name, password = f"operator-{secrets.token_hex(4)}", secrets.token_urlsafe(18)
    with Admin(admin_settings) as admin:
        admin.ensure_person(name, f"{name}@operators.example", ["Operator"], password)
        with Superset(as_user(superset_env, name, password)) as client:
            yield client
        admin.deactivate(next(person for person in admin.people() if person.username == name))


def test_an_operator_sees_every_tenant_and_who_did_what_and_changes_no_rules_and_themes(
    operator: Superset, administrator: Superset, homes: Homes
) -> None:
    bundle = Bundle.load()
    database = next(each for each in bundle.assets if each.path == WAREHOUSE)
    number = int(administrator.by_uuid("database")[database.uuid]["id"])
    answer = sql_lab(operator, number, "select distinct tenant from marts.page_daily")
    assert {home.name for home in homes} <= {row["tenant"] for row in answer.json()["data"]}

    assert operator.get("log/", q="(page_size:5)")["result"]
    rules = {rule["name"]: rule for rule in operator.get("rowlevelsecurity/", q="(page_size:100)")["result"]}
    assert {BASE_RULE, *(rule_of(home.name) for home in homes)} <= rules.keys()

    theme = {"theme_name": "mine", "json_data": json.dumps({"token": {"colorPrimary": "#ff0000"}})}
    refused = {
        "a theme": operator.try_send("POST", "theme/", theme),
        "a rule": operator.try_send("PUT", f"rowlevelsecurity/{rules[BASE_RULE]['id']}", {"description": "mine"}),
        "a new rule": operator.try_send("POST", "rowlevelsecurity/", {"name": "mine"}),
        "a person": operator.try_send("POST", "security/users/", {}),
    }
    assert {what: each.status_code for what, each in refused.items()} == dict.fromkeys(refused, httpx.codes.FORBIDDEN)
