"""The database role of a tenant, and its password."""

from contracts.tenant import TENANT
from stack.servers.postgres import ROLES, TENANTS
from warehouse import tenant_login

KEY = "k" * 64


def test_a_password_follows_from_key_and_tenant_and_from_nothing_else() -> None:
    assert tenant_login.password(KEY, "acme") == tenant_login.password(KEY, "acme")
    assert len({tenant_login.password(*each) for each in ((KEY, "acme"), (KEY, "beta"), (KEY + "x", "acme"))}) == 3


def test_no_tenant_s_role_is_one_of_the_stack_s() -> None:
    for role in (*ROLES, TENANTS, "postgres"):
        assert not role.startswith(tenant_login.PREFIX)
    assert TENANT.fullmatch(tenant_login.PREFIX) is None
