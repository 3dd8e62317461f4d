"""Make a tenant, or complete one that was made in part: each step finds what is there and adds what is not."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime

from collector.keys import KeyFile, KeyKind
from superset_config.access import give_access
from superset_config.admin import Admin, Link
from superset_config.tenancy import role_of
from tenants.settings import TenantSettings
from warehouse.tenants import check_name, ensure_tenant

KEYS = (KeyKind.SERVER, KeyKind.BROWSER)
NOTE = "made with the tenant"


@dataclass(frozen=True)
class NewPerson:
    """Who is given access: what they do is ``role``; ``email`` is where links go."""

    username: str
    email: str
    role: str = "Analyst"


@dataclass
class Made:
    """What was made now; empty where all was there. Keys and password are shown this once."""

    tenant: str
    created: bool = False
    keys: dict[str, str] = field(default_factory=dict)
    user: str | None = None
    user_made: bool = False
    password: str | None = None
    link: Link | None = None

    def as_json(self) -> dict[str, object]:
        """For the command's last line."""
        return asdict(self)


def create_tenant(
    settings: TenantSettings,
    name: str,
    person: NewPerson,
    *,
    time_zone: str | None = None,
    invite: bool = False,
    admin: Callable[[TenantSettings], Admin] = Admin,
) -> Made:
    """Have tenant ``name`` in the warehouse and in Superset, with a write key of each kind and a first person.

    The order is the one in which nothing half made lets anybody see too much: rows are kept apart before a person is
    made who could ask for them, and keys come last, as they are shown once.

    :param invite: give the person a link to choose a password (mailed where a mail server is set) instead of one
    :raises TenantError: the name or the zone is not allowed, or the warehouse refuses
    :raises SupersetError: Superset refuses
    :raises KeysError: the file of the keys is damaged
    """
    check_name(name)
    made = Made(name, user=person.username)
    with admin(settings) as superset:
        superset.check_free(person.username, [person.role, role_of(name)])
        made.created = ensure_tenant(
            settings.warehouse_dsn, settings.tenant_login_key.get_secret_value(), name, time_zone
        )
        superset.ensure_tenant(name)
        _give_access(superset, made, person, invite)
    file = KeyFile(settings.keys_file)
    known = file.keys()
    now = datetime.now(UTC)
    usable = {key.kind for key in known if key.tenant == name and key.usable(now)}
    for kind in KEYS:
        if kind not in usable:
            _, made.keys[kind.value] = file.create(name, kind, NOTE)
    return made


def add_person(
    settings: TenantSettings,
    name: str,
    person: NewPerson,
    invite: bool,
    admin: Callable[[TenantSettings], Admin] = Admin,
) -> Made:
    """Give one more ``person`` access to what tenant ``name`` has.

    :raises SupersetError: Superset refuses, or has no such tenant
    """
    check_name(name)
    made = Made(name, user=person.username)
    with admin(settings) as superset:
        superset.role(role_of(name))
        _give_access(superset, made, person, invite)
    return made


def _give_access(superset: Admin, made: Made, person: NewPerson, invite: bool) -> None:
    given = give_access(superset, person.username, person.email, [person.role, role_of(made.tenant)], invite)
    made.user_made, made.password, made.link = given.made, given.password, given.link
