"""Brings Superset to what the reviewed assets and roles say; imported and run inside Superset's application context.

Superset's importer overwrites what it is given and leaves the rest, so a chart deleted here would live on there: what
is marked as managed elsewhere and is not among the assets any more is deleted. What people made by hand stays.
"""

from collections.abc import Mapping
from typing import Any

import yaml
from superset import db, security_manager
from superset.commands.exceptions import CommandInvalidError
from superset.commands.importers.v1.assets import ImportAssetsCommand
from superset.connectors.sqla.models import SqlaTable
from superset.models.core import Database
from superset.models.dashboard import Dashboard
from superset.models.slice import Slice
from superset.utils.core import override_user

from superset_config.bundle import ROOM, Bundle, split_dsn

# In this order: nothing is deleted before what uses it.
MODELS = {"dashboards": Dashboard, "charts": Slice, "datasets": SqlaTable, "databases": Database}


class ApplyError(Exception):
    """Superset is not as the assets say after the import; the message lists what is missing."""


def apply(bundle: Bundle, reader_dsn: str, username: str) -> None:
    """Import the assets as ``username`` (an admin), delete what was removed from them, and set the roles.

    :raises ApplyError: when an asset or a role is not there afterwards, or an asset does not validate
    """
    with override_user(security_manager.find_user(username=username)):
        _import(bundle, reader_dsn)
        _prune(bundle)
        _assert_imported(bundle)
        _set_roles(yaml.safe_load((ROOM / "roles.yaml").read_text(encoding="utf-8")))


def ensure_admin(username: str, password: str) -> None:
    """Have the admin ``username`` with ``password``: created, or the password set anew."""
    user = security_manager.find_user(username=username)
    if user:
        security_manager.reset_password(user.id, password)
        user.active = True
        if security_manager.find_role("Admin") not in user.roles:
            user.roles.append(security_manager.find_role("Admin"))
        db.session.commit()
        return
    created = security_manager.add_user(
        username, "Watershed", "Admin", f"{username}@watershed.invalid", security_manager.find_role("Admin"), password
    )
    if not created:
        raise ApplyError(f"cannot create the admin {username}")


def _import(bundle: Bundle, reader_dsn: str) -> None:
    uri, password = split_dsn(reader_dsn)
    passwords = {asset.path: password for asset in bundle.of("databases")}
    try:
        ImportAssetsCommand(bundle.importable(uri), passwords=passwords).run()
    except CommandInvalidError as error:
        raise ApplyError(f"the assets do not validate: {error.normalized_messages()}") from error


def _prune(bundle: Bundle) -> None:
    for kind, model in MODELS.items():
        for row in db.session.query(model).filter_by(is_managed_externally=True):
            if str(row.uuid) not in bundle.uuids(kind):
                db.session.delete(row)
        db.session.commit()


def _assert_imported(bundle: Bundle) -> None:
    missing = [
        f"{asset.path} ({asset.uuid})"
        for kind, model in MODELS.items()
        for asset in bundle.of(kind)
        if not db.session.query(model).filter_by(uuid=asset.uuid).count()
    ]
    if missing:
        raise ApplyError("not in Superset after the import: " + ", ".join(missing))


def _set_roles(roles: list[Mapping[str, Any]]) -> None:
    for role in roles:
        without = {tuple(pair) for pair in role.get("without", [])}
        permissions = {
            permission
            for like in (role["like"], role.get("and_like"))
            if like
            for permission in security_manager.find_role(like).permissions
            if (permission.permission.name, permission.view_menu.name) not in without
        }
        for database in db.session.query(Database).filter_by(is_managed_externally=True):
            permissions.add(security_manager.add_permission_view_menu("database_access", database.perm))
        found = security_manager.find_role(role["name"]) or security_manager.add_role(role["name"])
        if not found:
            raise ApplyError(f"cannot create the role {role['name']}")
        found.permissions = list(permissions)
    db.session.commit()
