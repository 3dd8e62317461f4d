"""Brings Superset to what the reviewed assets and roles say; imported and run inside Superset's application context.

Superset's importer overwrites what it is given and leaves the rest, so a chart deleted here would live on there: what
is marked as managed elsewhere and is not among the assets any more is deleted. What people made by hand stays, and what
is reviewed is theirs no more.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import yaml
from superset import db, security_manager
from superset.commands.exceptions import CommandInvalidError
from superset.commands.importers.v1.assets import ImportAssetsCommand
from superset.connectors.sqla.models import RowLevelSecurityFilter, SqlaTable
from superset.models.core import Database
from superset.models.dashboard import Dashboard
from superset.models.slice import Slice
from superset.utils.core import RowLevelSecurityFilterType, override_user

from superset_config.bundle import ROOM, WAREHOUSE, Bundle, split_dsn
from superset_config.tenancy import ALL_TENANTS, BASE_RULE, OF_TENANT, SEE_ALL, clause_of, role_of, rule_of

REPORTER = "reporter"
# In this order: nothing is deleted before what uses it.
MODELS = {"dashboards": Dashboard, "charts": Slice, "datasets": SqlaTable, "databases": Database}


class ApplyError(Exception):
    """Superset is not as the assets say after the import; the message lists what is missing."""


def apply(bundle: Bundle, reader_dsn: str, username: str) -> None:
    """Import the assets as ``username`` (an admin), delete what was removed from them, and set the roles.

    :raises ApplyError: when an asset or a role is not there afterwards, or an asset does not validate
    """
    admin = security_manager.find_user(username=username)
    with override_user(admin):
        _import(bundle, reader_dsn)
        _take_over(bundle, admin)
        _prune(bundle)
        _assert_imported(bundle)
        _set_roles(yaml.safe_load((ROOM / "roles.yaml").read_text(encoding="utf-8")))
        _set_row_level_security(bundle)


def ensure_admin(username: str, password: str) -> None:
    """Have the admin ``username`` with ``password``: created, or the password set anew."""
    _ensure_user(username, password, ["Admin"])


def ensure_reporter(password: str) -> None:
    """Have the user who looks at dashboards for the daily report: every tenant's, and nothing to change."""
    _ensure_user(REPORTER, password, ["Business viewer", ALL_TENANTS])


def _ensure_user(username: str, password: str, role_names: list[str]) -> None:
    roles = [security_manager.find_role(name) for name in role_names]
    user = security_manager.find_user(username=username)
    if user:
        security_manager.reset_password(user.id, password)
        user.active = True
        user.roles += [role for role in roles if role not in user.roles]
        db.session.commit()
        return
    email = f"{username}@watershed.invalid"
    if not security_manager.add_user(username, "Watershed", username.capitalize(), email, roles, password):
        raise ApplyError(f"cannot create the user {username}")


def _import(bundle: Bundle, reader_dsn: str) -> None:
    uri, password = split_dsn(reader_dsn)
    passwords = {WAREHOUSE: password}
    try:
        ImportAssetsCommand(bundle.importable(uri), passwords=passwords).run()
    except CommandInvalidError as error:
        raise ApplyError(f"the assets do not validate: {error.normalized_messages()}") from error


def _take_over(bundle: Bundle, admin: Any) -> None:
    """Have the administrator alone own what is reviewed.

    Superset lets people choose the UUID of what they make, and those of a later version can be known before it is
    installed: the import overwrites what was made under one, and its maker would go on owning it, for every tenant.
    """
    for kind, model in MODELS.items():
        for row in db.session.query(model).filter_by(is_managed_externally=True):
            if str(row.uuid) not in bundle.uuids(kind):
                continue
            if _is_somebody_s(row):
                row.created_by_fk = admin.id
            if hasattr(row, "owners"):
                row.owners = [admin]
    db.session.commit()


def _prune(bundle: Bundle) -> None:
    """Delete what is marked as reviewed and has no file; what a person made only loses the mark.

    Only the bootstrap sets the mark (``reviewed.py``), and its work is an administrator's. But people could, once.
    """
    for kind, model in MODELS.items():
        for row in db.session.query(model).filter_by(is_managed_externally=True):
            if str(row.uuid) in bundle.uuids(kind):
                continue
            if _is_somebody_s(row):
                row.is_managed_externally = False
            else:
                db.session.delete(row)
        db.session.commit()


def _is_somebody_s(row: Any) -> bool:
    """Whether a person made it who is no administrator."""
    maker = security_manager.get_user_by_id(row.created_by_fk) if row.created_by_fk else None
    return maker is not None and "Admin" not in {role.name for role in maker.roles}


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
        permissions = set()
        if "like" in role:
            without = {tuple(pair) for pair in role.get("without", [])}
            permissions = {
                permission
                for like in (role["like"], role.get("and_like"))
                if like
                for permission in security_manager.find_role(like).permissions
                if (permission.permission.name, permission.view_menu.name) not in without
            }
            permissions |= {security_manager.add_permission_view_menu(*pair) for pair in role.get("with", [])}
            for database in db.session.query(Database).filter_by(is_managed_externally=True):
                permissions.add(security_manager.add_permission_view_menu("database_access", database.perm))
        _role(role["name"], role.get("was")).permissions = list(permissions)
    db.session.commit()


def _role(name: str, was: str | None = None) -> Any:
    """The role ``name``: there, or renamed from what it was called before (its people keep it), or made."""
    found = security_manager.find_role(name)
    if not found and was and (found := security_manager.find_role(was)):
        found.name = name
    found = found or security_manager.add_role(name)
    if not found:
        raise ApplyError(f"cannot create the role {name}")
    return found


def _set_row_level_security(bundle: Bundle) -> None:
    """Each tenant's people see its rows of every reviewed dataset; who belongs nowhere sees none.

    A dataset that came with a new version is covered by the rules of tenants made before it.
    """
    roles = [role.name for role in security_manager.get_all_roles()]
    tenants = sorted(name.removeprefix(OF_TENANT) for name in roles if name.startswith(OF_TENANT))
    covered = bundle.uuids("datasets")
    datasets = [each for each in db.session.query(SqlaTable) if str(each.uuid) in covered]
    tenant_roles = [role_of(tenant) for tenant in tenants]
    _rule(BASE_RULE, RowLevelSecurityFilterType.BASE, "1 = 0", [*sorted(SEE_ALL), *tenant_roles], datasets)
    for tenant in tenants:
        of_tenant = [each for each in datasets if any(column.column_name == "tenant" for column in each.columns)]
        regular = RowLevelSecurityFilterType.REGULAR
        _rule(rule_of(tenant), regular, clause_of(tenant), [role_of(tenant)], of_tenant)
    db.session.commit()


def _rule(name: str, kind: str, clause: str, roles: Iterable[str], datasets: list[SqlaTable]) -> None:
    found = db.session.query(RowLevelSecurityFilter).filter_by(name=name).one_or_none()
    rule = found or RowLevelSecurityFilter(name=name)
    rule.filter_type, rule.clause, rule.tables = kind, clause, datasets
    rule.roles = [role for each in roles if (role := security_manager.find_role(each))]
    db.session.add(rule)
