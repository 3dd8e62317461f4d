"""Whose data a person may see, told from the names of their roles. Pure, so that it is tested without Superset.

A person belongs to one tenant (role ``Tenant <name>``) or sees all (`Admin`, `Operator`, `All tenants`). Who has
neither sees nothing: a role forgotten must not show everybody's numbers. So does who belongs to several: the
warehouse knows a person as one tenant's (ADR 0016).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from contracts.tenant import TENANT

ALL_TENANTS: Final = "All tenants"
SEE_ALL: Final = frozenset({"Admin", "Operator", ALL_TENANTS})
OF_TENANT: Final = "Tenant "
"""How the role begins that makes a person one of a tenant."""
BASE_RULE: Final = "watershed: who belongs to no tenant"
"""The rule of row-level security that shows nothing to who is neither of a tenant nor sees all."""


class NoTenantError(Exception):
    """The person may see nobody's data; the message is shown to them."""


@dataclass(frozen=True)
class Sight:
    """What a person sees: one ``tenant``, or all when it is None."""

    tenant: str | None

    @property
    def key(self) -> str:
        """Tells apart the cached answers of people who see different things."""
        return "all" if self.tenant is None else f"tenant:{self.tenant}"


def role_of(tenant: str) -> str:
    """The name of the Superset role of ``tenant``."""
    return OF_TENANT + tenant


def rule_of(tenant: str) -> str:
    """The name of the rule of row-level security of ``tenant``."""
    return f"watershed: tenant {tenant}"


def clause_of(tenant: str) -> str:
    """The condition that keeps ``tenant``'s rows.

    :raises ValueError: for a name that no tenant may have; the condition becomes SQL
    """
    if TENANT.fullmatch(tenant) is None:
        raise ValueError(f"no tenant may be called {tenant!r}")
    return f"tenant = '{tenant}'"


def sight(role_names: Iterable[str]) -> Sight:
    """What a person with these roles sees.

    :raises NoTenantError: nobody's data
    """
    names = set(role_names)
    if names & SEE_ALL:
        return Sight(None)
    tenants = sorted(name.removeprefix(OF_TENANT) for name in names if name.startswith(OF_TENANT))
    if not tenants:
        raise NoTenantError("You belong to no tenant yet: ask your administrator to put you into one.")
    if len(tenants) > 1:
        raise NoTenantError(f"You belong to {len(tenants)} tenants, and may to one: ask your administrator.")
    if TENANT.fullmatch(tenants[0]) is None:
        raise NoTenantError(f"No tenant may be called {tenants[0]!r}: ask your administrator.")
    return Sight(tenants[0])
