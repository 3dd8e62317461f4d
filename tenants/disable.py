"""Close a tenant: nobody sends for it and nobody of it looks any more. What it sent stays."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from collector.keys import KeyFile
from superset_config.admin import Admin
from tenants.settings import TenantSettings
from warehouse.tenants import TenantError, bar_tenant, check_name, tenants


@dataclass(frozen=True)
class Closing:
    """What of a tenant is open, or was: the ids of its write keys, its people, whether its role may log in."""

    tenant: str
    keys: list[str]
    people: list[str]
    role: bool

    def as_json(self) -> dict[str, object]:
        """For the command's last line."""
        return asdict(self)


def disable_tenant(
    settings: TenantSettings, name: str, really: bool, admin: Callable[[TenantSettings], Admin] = Admin
) -> Closing:
    """Say what would be closed and, with ``really``, close it. `watershed tenant create` opens it again.

    :raises TenantError: there is no such tenant, or the warehouse refuses
    :raises SupersetError: Superset refuses
    """
    check_name(name)
    known = {tenant.name: tenant for tenant in tenants(settings.warehouse_dsn)}
    file = KeyFile(settings.keys_file)
    now = datetime.now(UTC)
    known_keys = file.keys()
    usable = [key.id for key in known_keys if key.tenant == name and key.usable(now)]
    with admin(settings) as superset:
        people = [person for person in superset.people(name) if person.active]
        if name not in known and not usable and not people:
            raise TenantError(f"there is no tenant {name!r}: `watershed tenant list` shows those there are")
        may_log_in = name in known and known[name].may_log_in
        closing = Closing(name, usable, [person.username for person in people], may_log_in)
        if really:
            for key_id in usable:
                file.revoke(key_id)
            for person in people:
                superset.deactivate(person)
            bar_tenant(settings.warehouse_dsn, name)
    return closing
