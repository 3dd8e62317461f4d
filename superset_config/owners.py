"""Whom a person may make an owner: the people of their own tenant.

Superset takes any account's number as an owner's and shows its name afterwards: by counting up, one tenant's people
would read the names of all the others'. Its lists of people are confined (``security.only_colleagues``), this is not.
"""

from collections.abc import Collection
from typing import Any

from flask import g
from superset import db, security_manager
from superset.commands import base, utils
from superset.commands.exceptions import OwnersNotFoundValidationError
from superset.views.datasource import views

from superset_config.tenancy import NoTenantError


def _refuse_strangers(ids: Collection[int]) -> None:
    """:raises OwnersNotFoundValidationError: as for a number that is nobody's, so that nothing is learnt of it"""
    wanted = set(ids) - {g.user.id}
    try:
        colleagues = security_manager.colleagues()
    except NoTenantError:
        known: set[int] = set()
    else:
        if colleagues is None:
            return
        known = set(db.session.scalars(colleagues))
    if wanted - known:
        raise OwnersNotFoundValidationError()


def confine_owners() -> None:
    """Refuse owners of other tenants wherever Superset's pages and API take owners."""
    populate, compute = utils.populate_owner_list, utils.compute_owner_list

    def populate_owner_list(owner_ids: list[int] | None, default_to_user: bool) -> list[Any]:
        _refuse_strangers(owner_ids or [])
        found: list[Any] = populate(owner_ids, default_to_user)
        return found

    def compute_owner_list(current_owners: list[Any] | None, new_owners: list[int] | None) -> list[Any]:
        # Who owns it already may have left the tenant; that must not keep the others from changing it.
        already = {owner.id for owner in current_owners or []}
        _refuse_strangers(set(new_owners or []) - already)
        found: list[Any] = compute(current_owners, new_owners)
        return found

    for module in (base, views):
        module.populate_owner_list = populate_owner_list
    base.compute_owner_list = compute_owner_list
