"""Whose data a person may see, from the names of their roles."""

import pytest

from superset_config.tenancy import NoTenantError, Sight, clause_of, role_of, sight


@pytest.mark.parametrize("role", ["Admin", "Operator", "All tenants"])
def test_who_runs_the_platform_sees_every_tenant(role: str) -> None:
    assert sight([role, "Analyst"]) == Sight(None)


def test_a_person_sees_the_tenant_they_belong_to() -> None:
    assert sight(["Analyst", role_of("acme")]) == Sight("acme")


@pytest.mark.parametrize(
    "roles",
    [[], ["Analyst"], ["Public"], ["Tenant acme", "Tenant beta"], ["Tenant "], ["Tenant A'; --"], ["tenant acme"]],
)
def test_who_belongs_nowhere_or_in_several_places_sees_nothing(roles: list[str]) -> None:
    with pytest.raises(NoTenantError):
        sight(roles)


def test_what_is_cached_for_one_sight_is_not_for_another() -> None:
    keys = {sight([role]).key for role in ("Admin", "Tenant acme", "Tenant beta", "Tenant all")}
    assert len(keys) == 4


@pytest.mark.parametrize("name", ["", "Acme", "a'b", "a b", "-a", "a" * 41, "a\n", "a;drop"])
def test_no_other_name_becomes_a_condition(name: str) -> None:
    with pytest.raises(ValueError, match="no tenant"):
        clause_of(name)


def test_a_condition_compares_with_the_tenant() -> None:
    assert clause_of("acme_2-x") == "tenant = 'acme_2-x'"
