"""Runs in Superset's environment: asks for connections as nobody, as a program, and after a request; prints JSON."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[3]))

from flask import Flask, g
from sqlalchemy.engine.url import make_url
from superset.exceptions import SupersetSecurityException
from werkzeug.local import LocalProxy

from superset_config import lake, security
from superset_config.own_work import own_work
from superset_config.tenancy import Sight

WAREHOUSE = make_url("postgresql+psycopg2://reader:x@localhost:5432/warehouse")
LAKE = make_url("duckdb:///:memory:")
NOBODY: Any = LocalProxy(lambda: None)
"""What Flask-Login has as the user where there is no request: it is not None, and there is nobody."""

app = Flask(__name__)
manager = SimpleNamespace(get_user_roles=lambda user: user.roles)


def person(*roles: str) -> Any:
    """Somebody who is logged in."""
    return SimpleNamespace(roles=[SimpleNamespace(name=name) for name in roles])


def asked(url: Any = WAREHOUSE) -> str:
    """As whom a connection is made, or that it is refused."""
    try:
        uri, params = security.connect_as_tenant(url, {}, None, manager, None)
    except SupersetSecurityException:
        return "refused"
    if "creator" in params:
        return {lake.empty: "with nothing in it", lake.connect: "all"}[params["creator"]]
    return str(uri.username)


def after_a_request(user: Any, seen: Sight | None, url: Any = WAREHOUSE) -> str:
    """What a download gets, which is written when its request has ended."""
    with app.app_context():
        g.user = user
        if seen is not None:
            setattr(g, security.KEPT, seen)
        return asked(url)


def within_a_request(user: Any, seen: Sight | None = None) -> str:
    """What a request gets."""
    with app.test_request_context("/"):
        g.user = user
        if seen is not None:
            setattr(g, security.KEPT, seen)
        return asked()


def as_a_program(url: Any) -> str:
    """What the bootstrap gets."""
    with app.app_context(), own_work():
        return asked(url)


facts = {
    "nobody": [after_a_request(user, None, url) for user in (None, NOBODY) for url in (WAREHOUSE, LAKE)],
    "nobody in a request": [within_a_request(user) for user in (None, NOBODY, person())],
    "a program": [as_a_program(url) for url in (WAREHOUSE, LAKE)],
    "a tenant's": [within_a_request(person("Tenant acme")), after_a_request(NOBODY, Sight("acme"))],
    "everybody's": [within_a_request(person("All tenants")), after_a_request(NOBODY, Sight(None))],
    "the lake of a tenant's": after_a_request(NOBODY, Sight("acme"), LAKE),
    "the lake of everybody's": after_a_request(NOBODY, Sight(None), LAKE),
    "who became somebody else's since": within_a_request(person("Tenant zeta"), Sight("acme")),
}
print(json.dumps(facts))  # noqa: T201 - how the test is told
