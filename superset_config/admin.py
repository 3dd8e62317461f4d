"""What an administrator's program does to Superset over REST: roles, rules of row-level security, people, links.

Everything is found by its name first, so that doing it again changes nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import httpx

from superset_config.bundle import Asset, Bundle
from superset_config.rest import Superset, SupersetError, SupersetSettings
from superset_config.tenancy import BASE_RULE, OF_TENANT, clause_of, role_of, rule_of


@dataclass(frozen=True)
class Person:
    """A user of Superset."""

    id: int
    username: str
    email: str
    active: bool
    roles: tuple[str, ...]


@dataclass(frozen=True)
class Link:
    """At which a person chooses a password: ``url``, or None where it was mailed; ``hours`` it works."""

    url: str | None
    hours: float


class Admin:
    """Superset, asked as its administrator. A context manager, as it holds connections open."""

    def __init__(self, settings: SupersetSettings, transport: httpx.BaseTransport | None = None) -> None:
        """:raises SupersetError: when the log-in fails"""
        self._superset = Superset(settings, transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._superset.close()

    def ensure_tenant(self, tenant: str) -> None:
        """Have the role of ``tenant``, and the rule by which its people see its rows of every reviewed dataset.

        The rule first lists the role, then the role is exempted from the rule that shows nothing: whatever is
        interrupted, nobody sees more than they should.
        """
        role = self.role(role_of(tenant), make=True)
        ids = {uuid: int(row["id"]) for uuid, row in self._superset.by_uuid("dataset").items()}
        tables = sorted(
            ids[each.uuid] for each in Bundle.load().of("datasets") if each.uuid in ids and _has_tenant(each)
        )
        if not tables:
            raise SupersetError("Superset has no reviewed dataset yet: `make up` imports them")
        wanted = {
            "name": rule_of(tenant),
            "description": f"People of {tenant} see its rows. Kept by `watershed tenant create`.",
            "filter_type": "Regular",
            "clause": clause_of(tenant),
            "tables": tables,
            "roles": [role],
        }
        rules = {rule["name"]: rule for rule in self._list("rowlevelsecurity")}
        self._put_or_post("rowlevelsecurity", rules.get(rule_of(tenant), {}).get("id"), wanted)
        base = rules.get(BASE_RULE)
        if base is None:
            raise SupersetError(f"Superset lacks the rule {BASE_RULE!r}: `make up` makes it")
        exempt = {int(each["id"]) for each in base["roles"]}
        if role not in exempt:
            self._superset.send("PUT", f"rowlevelsecurity/{base['id']}", {"roles": sorted({*exempt, role})})

    def role(self, name: str, make: bool = False) -> int:
        """The id of the role ``name``.

        :raises SupersetError: there is none, and it was not to be made
        """
        for each in self._list("security/roles"):
            if each["name"] == name:
                return int(each["id"])
        if not make:
            raise SupersetError(f"Superset has no role {name!r}: `make up` makes those of superset_config/roles.yaml")
        return int(self._superset.send("POST", "security/roles/", {"name": name})["id"])

    def people(self, tenant: str | None = None) -> list[Person]:
        """Who can log in, or could; of one ``tenant``, or of any."""
        found = [
            Person(
                int(each["id"]),
                each["username"],
                each["email"],
                bool(each["active"]),
                tuple(sorted(role["name"] for role in each["roles"])),
            )
            for each in self._list("security/users")
        ]
        return [each for each in found if tenant is None or role_of(tenant) in each.roles]

    def check_free(self, username: str, roles: Sequence[str]) -> Person | None:
        """Who has the name ``username`` already and may have ``roles``; None when nobody has it.

        :raises SupersetError: it is an administrator's, or of another tenant
        """
        known = {each.username: each for each in self.people()}.get(username)
        if known is not None:
            elsewhere = {name for name in known.roles if name.startswith(OF_TENANT)} - set(roles)
            if elsewhere or "Admin" in known.roles:
                raise SupersetError(f"{username} is in use ({', '.join(known.roles)}): choose another name")
        return known

    def ensure_person(self, username: str, email: str, roles: Sequence[str], password: str) -> bool:
        """Have ``username``, active, with exactly ``roles``; True when made now, with ``password``.

        :raises SupersetError: the name or the address is somebody else's, of another tenant
        """
        ids = [self.role(name) for name in roles]
        known = self.check_free(username, roles)
        if known is None:
            person = {"username": username, "email": email, "first_name": username, "last_name": "-", "active": True}
            self._superset.send("POST", "security/users/", {**person, "roles": ids, "password": password})
            return True
        if not known.active or set(known.roles) != set(roles):
            self._superset.send("PUT", f"security/users/{known.id}", {"active": True, "roles": ids})
        return False

    def deactivate(self, person: Person) -> None:
        """Let ``person`` in no more; what they made stays."""
        self._superset.send("PUT", f"security/users/{person.id}", {"active": False})

    def link(self, username: str, purpose: str, mail: bool) -> Link:
        """A link at which ``username`` chooses a password; mailed, where ``mail`` and a mail server is set.

        :param purpose: ``invitation`` or ``forgotten``
        """
        given = self._superset.send("POST", f"accounts/{username}/link", {"purpose": purpose, "mail": mail})
        return Link(given["link"], float(given["hours"]))

    def _list(self, resource: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while True:
            rows = self._superset.get(f"{resource}/", q=f"(page:{len(found) // 100},page_size:100)")["result"]
            found += rows
            if len(rows) < 100:
                return found

    def _put_or_post(self, resource: str, known: int | None, content: Mapping[str, Any]) -> None:
        if known is None:
            self._superset.send("POST", f"{resource}/", content)
        else:
            self._superset.send("PUT", f"{resource}/{known}", content)


def _has_tenant(dataset: Asset) -> bool:
    return any(column["column_name"] == "tenant" for column in dataset.content["columns"])
