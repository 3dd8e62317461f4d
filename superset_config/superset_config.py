"""Superset's configuration: what differs between machines comes from the environment; nothing secret is here.

| variable | meaning |
|---|---|
| `SUPERSET_METADATA_DSN` | Superset's own database, `postgresql+psycopg2://…/superset` (required) |
| `SUPERSET_SECRET_KEY` | signs sessions and encrypts stored passwords; at least 32 characters (required) |
| `REDIS_URL` | cache of query results and filter states, `redis://host:port/db` (required) |
| `READER_DSN` | the warehouse, as the role that sees every tenant (required) |
| `TENANT_LOGIN_KEY` | from which the passwords of tenants' roles follow (required) |
| `SUPERSET_URL` | how people reach Superset: links in mails begin with it (required) |
| `LAKE_CATALOG_URI`, `LAKE_WAREHOUSE` | the lake's catalog and bucket, for SQL Lab |
| `S3_ENDPOINT`, `AWS_REGION`, `LAKE_ACCESS_KEY_ID`, `LAKE_SECRET_ACCESS_KEY` | its store, with a key pair that reads |
| `SMTP_HOST` and its like | the mail server (docs/settings.md); without one no mail is sent |
| `DBT_DOCS_URL` | dbt's docs, to which every dashboard links |
| `SUPERSET_BEHIND_TLS` | `1` where a proxy in front speaks HTTPS: cookies are HTTPS-only, `X-Forwarded-*` counts |
| `SUPERSET_TENANT_NAME` | the name in the browser's title bar, default `Watershed` |

Superset loads this file by `SUPERSET_CONFIG_PATH` and takes every name in capitals as a setting. The repository's
root has to be on `PYTHONPATH`: the datasets' SQL uses the macros beside this file.
"""

import os
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from jinja2 import ChoiceLoader, FileSystemLoader

from superset_config.macros import MACROS

LEAST_SECRET = 32
KNOWN_SECRETS = ("CHANGE_ME", "thisISaSECRET", "secret", "test-guest-secret-change-me")


REDIS_KEYS = "watershed_superset_"
"""How every key in Redis begins: Superset's log-in there may touch no others."""


class ConfigurationError(Exception):
    """A required setting is missing or unsafe; Superset must not start."""


def _required(name: str) -> str:
    value = os.environ.get(name, "")
    if not value:
        raise ConfigurationError(f"{name} is not set. `make up` starts Superset with it (stack/superset.py)")
    return value


def _secret(name: str) -> str:
    value = _required(name)
    if len(value) < LEAST_SECRET or any(value.startswith(known) for known in KNOWN_SECRETS):
        raise ConfigurationError(
            f"{name} is a known default or shorter than {LEAST_SECRET} characters. "
            "Make one with `openssl rand -base64 42`; keep it: stored passwords are encrypted with it"
        )
    return value


def _ours(app: Any) -> None:
    """Superset with what is ours: templates instead of its own of the same name, account pages, lists by tenant.

    And it parses a text once (``parses.py``), stays connected to the warehouse (``connections.py``), asks a thing
    once within an answer (``within_answer.py``), keeps forecasts (``forecasts.py``), and pivots (``pivots.py``) and
    searches for garbage (``collecting.py``) without its readers waiting for it.
    """
    # They load Superset, which loads this file.
    from superset_config import (  # noqa: PLC0415
        accounts,
        collecting,
        connections,
        docs_link,
        forecasts,
        owners,
        parses,
        pivots,
        reviewed,
        security,
        within_answer,
    )

    app.jinja_loader = ChoiceLoader([FileSystemLoader(Path(__file__).parent / "templates"), app.jinja_loader])
    app.register_blueprint(accounts.pages)
    app.register_blueprint(docs_link.pages)
    app.appbuilder.add_api(accounts.AccountsApi)
    accounts.limit_mails(app)
    security.confine_lists()
    owners.confine_owners()
    reviewed.guard_marks()
    parses.remember_parses()
    parses.remember_templates()
    within_answer.ask_once()
    forecasts.keep_forecasts()
    pivots.pivot_at_once()
    connections.keep_connections()
    collecting.collect_seldom()


def _cache(prefix: str, seconds: float) -> dict[str, Any]:
    return {
        "CACHE_TYPE": "RedisCache",
        "CACHE_REDIS_URL": REDIS_URL,
        "CACHE_KEY_PREFIX": f"{REDIS_KEYS}{prefix}_",
        "CACHE_DEFAULT_TIMEOUT": int(seconds),
    }


SECRET_KEY = _secret("SUPERSET_SECRET_KEY")
SQLALCHEMY_DATABASE_URI = _required("SUPERSET_METADATA_DSN")
# One worker with 8 threads: more connections than threads would only be idle ones.
SQLALCHEMY_ENGINE_OPTIONS = {"pool_size": 8, "max_overflow": 4, "pool_pre_ping": True, "pool_recycle": 1800}
REDIS_URL = _required("REDIS_URL")
BEHIND_TLS = os.environ.get("SUPERSET_BEHIND_TLS", "") == "1"

APP_NAME = os.environ.get("SUPERSET_TENANT_NAME", "Watershed")

# English only: without a choice of languages Superset shows no switch and ignores the browser's Accept-Language.
LANGUAGES: dict[str, Any] = {}
BABEL_DEFAULT_LOCALE = "en"
BABEL_DEFAULT_TIMEZONE = "UTC"
D3_FORMAT = {"decimal": ".", "thousands": ",", "grouping": [3], "currency": ["", ""]}

CACHE_CONFIG = _cache("objects", timedelta(days=1).total_seconds())
# Not how long a chart may be stale: a publication changes the key (superset_config/security.py), so that no answer from
# before it is taken. This is only how long an answer lies there when nothing is published.
DATA_CACHE_CONFIG = _cache("data", timedelta(hours=1).total_seconds())
FILTER_STATE_CACHE_CONFIG = {
    **_cache("filters", timedelta(days=90).total_seconds()),
    "REFRESH_TIMEOUT_ON_RETRIEVAL": True,
}
EXPLORE_FORM_DATA_CACHE_CONFIG = {
    **_cache("explore", timedelta(days=7).total_seconds()),
    "REFRESH_TIMEOUT_ON_RETRIEVAL": True,
}
# An open dashboard asks again each minute. "fetch" takes the cached answer while it is fresh, so that a hundred
# open dashboards cost the warehouse what one costs; "force" would go past the cache for each.
DASHBOARD_AUTO_REFRESH_MODE = "fetch"

ROW_LIMIT = 10_000
SAMPLES_ROW_LIMIT = 1_000
NATIVE_FILTER_DEFAULT_ROW_LIMIT = 1_000
FILTER_SELECT_ROW_LIMIT = 10_000
SQL_MAX_ROW = 100_000
SUPERSET_WEBSERVER_TIMEOUT = 60
SQLLAB_TIMEOUT = 30
# The marts hold hours and more; a finer grain would draw hours and call them minutes.
TIME_GRAIN_DENYLIST = [
    *("PT1S", "PT5S", "PT30S", "PT1M", "PT5M", "PT10M", "PT15M", "PT30M", "PT6H"),
    *("1969-12-28T00:00:00Z/P1W", "1969-12-29T00:00:00Z/P1W"),
    *("P1W/1970-01-03T00:00:00Z", "P1W/1970-01-04T00:00:00Z"),
]

FEATURE_FLAGS = {
    "ENABLE_TEMPLATE_PROCESSING": True,  # the datasets' SQL takes the dashboard's filters (see docs/adr/0011)
    "DASHBOARD_RBAC": False,  # it goes past dataset permissions
    "EMBEDDED_SUPERSET": False,
    "ESCAPE_MARKDOWN_HTML": True,
    "ALERT_REPORTS": False,  # needs Celery, which this stack does without
    "DRILL_BY": False,  # it adds up visitors, which may not be added
    "DRILL_TO_DETAIL": True,  # the rows of the dataset behind a point: the reader's own, as everywhere
    "RLS_IN_SQLLAB": True,
    "SSH_TUNNELING": False,
}
JINJA_CONTEXT_ADDONS = MACROS
# The datasets are the reviewed ones of this repository; a file uploaded into the warehouse would not be.
ALLOWED_EXTENSIONS: set[str] = set()
# An imported dataset may name an address of its rows, which Superset would fetch itself, from inside the network.
DATASET_IMPORT_ALLOWED_DATA_URLS: list[str] = []

for _name in ("READER_DSN", "SUPERSET_URL"):
    _required(_name)
_secret("TENANT_LOGIN_KEY")
if find_spec("superset"):  # not where only the settings are tested
    from superset_config.action_log import ActionLog
    from superset_config.security import WatershedSecurityManager, connect_as_tenant, only_colleagues

    EVENT_LOGGER = ActionLog()
    CUSTOM_SECURITY_MANAGER = WatershedSecurityManager
    DB_CONNECTION_MUTATOR = connect_as_tenant
    EXTRA_RELATED_QUERY_FILTERS = {"user": only_colleagues}

WTF_CSRF_ENABLED = True
WTF_CSRF_TIME_LIMIT = int(timedelta(days=7).total_seconds())
AUTH_ROLE_PUBLIC = "Public"
PUBLIC_ROLE_LIKE = None  # who is not logged in sees nothing
GUEST_ROLE_NAME = "Public"
GUEST_TOKEN_JWT_SECRET = f"guest:{SECRET_KEY}"  # guests are off; the shipped default secret must not stand anyway
# Cookies ignore ports: Airflow on the same host has its own "session".
SESSION_COOKIE_NAME = "watershed_superset_session"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = BEHIND_TLS
PERMANENT_SESSION_LIFETIME = timedelta(days=7)
ENABLE_PROXY_FIX = BEHIND_TLS
# Guessing passwords is slowed down, but one browser opening a dashboard is not; counted in Redis.
RATELIMIT_ENABLED = True
RATELIMIT_STORAGE_URI = REDIS_URL
RATELIMIT_STORAGE_OPTIONS = {"key_prefix": f"{REDIS_KEYS}limits"}
AUTH_RATE_LIMITED = True
AUTH_RATE_LIMIT = "20 per minute"
RATELIMIT_APPLICATION = "200 per second"

TALISMAN_ENABLED = True
TALISMAN_CONFIG = {
    # Nothing is loaded from elsewhere: dashboards work without the internet and tell nobody that they are open.
    "content_security_policy": {
        "base-uri": ["'self'"],
        "default-src": ["'self'"],
        "img-src": ["'self'", "blob:", "data:"],
        "worker-src": ["'self'", "blob:"],
        "connect-src": ["'self'"],
        "object-src": "'none'",
        "style-src": ["'self'", "'unsafe-inline'"],
        "font-src": ["'self'", "data:"],
        "script-src": ["'self'", "'strict-dynamic'"],
        "frame-ancestors": ["'self'"],
    },
    "content_security_policy_nonce_in": ["script-src"],
    "force_https": False,  # the proxy in front redirects
    "session_cookie_secure": BEHIND_TLS,
}

FLASK_APP_MUTATOR = _ours

# Watershed's own colours, calm and readable for the colour-blind; dark is for what is final, pale for what is open.
THEME_DARK = None
EXTRA_CATEGORICAL_COLOR_SCHEMES = [
    {
        "id": "watershed",
        "description": "Watershed: blue for final, pale blue for still open",
        "label": "Watershed",
        "isDefault": True,
        "colors": ["#1F5F8B", "#A9CCE3", "#2E8B74", "#A3D9CB", "#B7791F", "#F0D29A", "#7A4E8A", "#D4BFDC", "#5B6770"],
    },
    {
        "id": "watershed_visitors",
        "description": "Watershed, visitors: green for final, pale green for still open",
        "label": "Watershed visitors",
        "isDefault": False,
        "colors": ["#2E8B74", "#A3D9CB", "#1F5F8B", "#A9CCE3", "#B7791F", "#F0D29A", "#7A4E8A", "#D4BFDC", "#5B6770"],
    },
    {
        "id": "watershed_money",
        "description": "Watershed, money: amber for final, pale amber for still open",
        "label": "Watershed money",
        "isDefault": False,
        "colors": ["#B7791F", "#F0D29A", "#1F5F8B", "#A9CCE3", "#2E8B74", "#A3D9CB", "#7A4E8A", "#D4BFDC", "#5B6770"],
    },
    {
        "id": "watershed_lines",
        "description": "Watershed, kinds beside each other: none is pale, as none is open",
        "label": "Watershed lines",
        "isDefault": False,
        "colors": [
            *("#1F5F8B", "#B7791F", "#2E8B74", "#7A4E8A", "#B03A2E", "#5B6770", "#4788B3", "#8C6D31", "#637939"),
            *("#D98880", "#45B39D", "#AF7AC5", "#F0B27A", "#5D6D7E", "#A04000", "#117864"),
        ],
    },
    {
        "id": "watershed_boxes",
        "description": "Watershed, boxes with names in them: pale enough to read what is written",
        "label": "Watershed boxes",
        "isDefault": False,
        "colors": [
            *("#A9CCE3", "#F0D29A", "#A3D9CB", "#D4BFDC", "#E6B0AA", "#CCD1D5", "#D5DBA8", "#BFD7EA", "#F5CBA7"),
            *("#C8E6C9", "#E8DAEF", "#FADBD8"),
        ],
    },
]
EXTRA_SEQUENTIAL_COLOR_SCHEMES = [
    {
        "id": "watershed_blues",
        "description": "From few (pale) to many (dark)",
        "isDiverging": False,
        "label": "Watershed blues",
        "isDefault": True,
        "colors": ["#E3EEF6", "#B5D3E7", "#7FB2D3", "#4788B3", "#1F5F8B", "#123E5E"],
    }
]
