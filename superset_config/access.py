"""Give somebody access to Superset: an account with roles, and a password or a link to choose one, shown once."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from superset_config.admin import Admin, Link


@dataclass(frozen=True)
class Access:
    """What was given to ``user``: where the account was there, the ``roles`` alone."""

    user: str
    made: bool
    password: str | None = None
    link: Link | None = None
    roles: tuple[str, ...] = ()

    def words(self) -> str:
        """For whoever hands it on."""
        if self.password:
            return f"{self.user} logs in with, shown this once:\n{self.password}"
        if self.link and self.link.url:
            until = f"good for {self.link.hours:.0f} h and once"
            return f"no mail server is set; give {self.user} this link, {until}:\n{self.link.url}"
        if self.link:
            return f"{self.user} was sent a link, good for {self.link.hours:.0f} h"
        roles = f", and is {' and '.join(self.roles)}" if self.roles else ""
        return f"{self.user} was there{roles}; a new password: `watershed superset reset-password {self.user}`"


def give_access(admin: Admin, user: str, email: str, roles: Sequence[str], invite: bool) -> Access:
    """Have ``user`` with exactly ``roles``.

    :param invite: give a new one a link to choose a password (mailed where a mail server is set) instead of one
    :raises SupersetError: Superset refuses, or the name or the address is somebody else's, of another tenant
    """
    password = secrets.token_urlsafe(18)
    made = admin.ensure_person(user, email, roles, password)
    if made and invite:
        return Access(user, made, link=admin.link(user, "invitation", mail=True), roles=tuple(roles))
    return Access(user, made, password if made else None, roles=tuple(roles))
