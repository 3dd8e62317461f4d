"""How a tenant's people are known to the warehouse: the role of their tenant, and its password.

Standard library only: Superset's environment reads it, too.
"""

import hashlib
import hmac

PREFIX = "tenant."
"""Before the tenant's name in the role's: no tenant's name has a dot, so no other role can be meant."""


def role(tenant: str) -> str:
    """The database role of ``tenant``'s people."""
    return PREFIX + tenant


def password(key: str, tenant: str) -> str:
    """The password of that role, which follows from ``key`` (``TENANT_LOGIN_KEY``) and is kept nowhere.

    HMAC-SHA256, RFC 2104: who knows one tenant's password knows nothing of another's, nor of the key.
    """
    return hmac.new(key.encode(), f"tenant login\0{tenant}".encode(), hashlib.sha256).hexdigest()
