"""What each process is told: the effective endpoints and, of the credentials, only its own."""

import os
from collections.abc import Mapping

from runtime.settings import ROOM
from stack.secrets import write_private
from stack.servers import kafka_broker, object_store, postgres, redis_server, spark_connect
from stack.settings import LOCAL, REPO, StackSettings

LAKE_WAREHOUSE = f"s3://{object_store.BUCKET}/warehouse"
DEMO_TENANT = "demo"
ADMIN = "admin"
REPORTER = "reporter"
"""Who looks at dashboards for the daily report: sees every tenant, changes nothing (superset_config/apply.py)."""


def base() -> dict[str, str]:
    """What every process gets, whoever started the stack and with whatever environment."""
    passed = {name: os.environ[name] for name in ("HOME", "TMPDIR") if name in os.environ}
    path = f"{LOCAL / 'envs' / 'core' / 'bin'}:{os.environ['PATH']}"
    fixed = {"LANG": "C.UTF-8", "TZ": "UTC", "PYTHONUNBUFFERED": "1"}
    # A process that changes its title must not write it over the environment, by which the stack knows its own.
    return {**passed, **fixed, "PATH": path, "SPT_NOENV": "1"}


def effective(settings: StackSettings, secrets: Mapping[str, str]) -> dict[str, str]:
    """Every endpoint and credential of the stack, by the names that outsiders rely on (``.local/env``)."""
    local = "http://127.0.0.1:{}"
    docs = local.format(settings.port("docs"))
    values = {
        "COLLECTOR_URL": local.format(settings.port("collector")),
        **kafka_broker.operator_login(settings, secrets),
        "S3_ENDPOINT": object_store.endpoint(settings),
        "AWS_REGION": object_store.REGION,
        "LAKE_WAREHOUSE": LAKE_WAREHOUSE,
        **_lake_login(settings, secrets, object_store.OPERATOR, "catalog"),
        "WAREHOUSE_DSN": postgres.dsn(settings, secrets, "watershed"),
        "REDIS_URL": redis_server.url(settings, secrets, redis_server.OPERATOR),
        "SPARK_REMOTE": spark_connect.remote(settings),
        "AIRFLOW_URL": local.format(settings.port("airflow")),
        "AIRFLOW_USER": ADMIN,
        "AIRFLOW_PASSWORD": secrets["airflow_admin"],
        "SUPERSET_URL": local.format(settings.port("superset")),
        "SUPERSET_USER": ADMIN,
        "SUPERSET_PASSWORD": secrets["superset_admin"],
        "DBT_DOCS_URL": f"{docs}/dbt/",
        "DATA_DOCS_URL": f"{docs}/data-docs/",
        "LANDER_URL": local.format(settings.port("lander")),
        "DOCS_URL": docs,
        "KEYS_FILE": str(settings.watershed_state / "keys.json"),
        "COLLECTOR_STATE_DIR": str(settings.data / "collector"),
        "VISITOR_HASH_KEY": secrets["visitor_hash_key"],
        "TENANT_LOGIN_KEY": secrets["tenant_login_key"],
        "SITE_DIR": str(settings.site),
        "WATERSHED_STATE": str(settings.watershed_state),
    }
    values |= {name: str(getattr(settings, name.lower())) for name in (*MAIL, "ALERTS_TO")}
    for role in (
        "loader", "dbt", "gate", "publisher", "reader", "lander", "maintainer", "alerter", "repairer", "bookkeeper",
        "tracer", "eraser",
    ):  # fmt: skip
        values[f"{role.upper()}_DSN"] = postgres.dsn(settings, secrets, role)
    for name in ("WRITE_KEY", "BROWSER_WRITE_KEY"):
        if name.lower() in secrets:
            values[name] = secrets[name.lower()]
    return values


def _lake_login(settings: StackSettings, secrets: Mapping[str, str], owner: str, role: str) -> dict[str, str]:
    """The key pair of ``owner`` at S3, and the catalog as ``role``."""
    catalog = postgres.dsn(settings, secrets, role, "catalog")
    return {
        **_s3_login(secrets, owner),
        "LAKE_CATALOG_URI": "postgresql+psycopg" + catalog.removeprefix("postgresql"),
    }


def _s3_login(secrets: Mapping[str, str], owner: str) -> dict[str, str]:
    access, secret = object_store.key_pair(secrets, owner)
    return {"AWS_ACCESS_KEY_ID": access, "AWS_SECRET_ACCESS_KEY": secret}


KAFKA = (
    "KAFKA_BOOTSTRAP_SERVERS", "KAFKA_SECURITY_PROTOCOL", "KAFKA_SASL_MECHANISM", "KAFKA_USERNAME", "KAFKA_PASSWORD",
)  # fmt: skip
S3 = ("S3_ENDPOINT", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION")
LAKE = (*S3, "LAKE_WAREHOUSE", "LAKE_CATALOG_URI")
MAIL = ("SMTP_HOST", "SMTP_PORT", "SMTP_USER", "SMTP_PASSWORD_FILE", "SMTP_STARTTLS", "MAIL_FROM")
OF_PROCESS: Mapping[str, tuple[str, ...]] = {
    "topics": KAFKA,
    "lake": LAKE,
    "migrate": ("WAREHOUSE_DSN",),
    "keys": ("KEYS_FILE",),
    "collector": (*KAFKA, "KEYS_FILE"),
    "lander": (*KAFKA, *LAKE, "LANDER_DSN", "VISITOR_HASH_KEY"),
    "load": (*LAKE, "SPARK_REMOTE", "LOADER_DSN"),
    "maintain": (*LAKE, "SPARK_REMOTE", "MAINTAINER_DSN"),
    "repair": (*LAKE, "REPAIRER_DSN", "COLLECTOR_URL", "KEYS_FILE"),
    "books": (*LAKE, "BOOKKEEPER_DSN"),
    "report": (*S3, "LAKE_WAREHOUSE", "READER_DSN"),
    "dbt": ("DBT_DSN", "WATERSHED_STATE"),
    "gate": ("GATE_DSN", "SITE_DIR", "WATERSHED_STATE"),
    "publish": ("PUBLISHER_DSN",),
    "alerts": ("ALERTER_DSN", "ALERTS_TO", *MAIL),
    "mail_report": ("ALERTER_DSN", "ALERTS_TO", "SUPERSET_URL", "SUPERSET_USER", "SUPERSET_PASSWORD", *MAIL),
    "docs-build": ("DBT_DSN", "READER_DSN", "SITE_DIR", "SUPERSET_URL", "WATERSHED_STATE"),
    "docs": ("SITE_DIR",),
    "airflow": (),
    "superset": (
        "READER_DSN",
        "TENANT_LOGIN_KEY",
        "REDIS_URL",
        "SUPERSET_URL",
        "SUPERSET_USER",
        "SUPERSET_PASSWORD",
        "SUPERSET_REPORTER_PASSWORD",
        "DBT_DOCS_URL",
        "S3_ENDPOINT",
        "AWS_REGION",
        "LAKE_ACCESS_KEY_ID",
        "LAKE_SECRET_ACCESS_KEY",
        "LAKE_WAREHOUSE",
        "LAKE_CATALOG_URI",
        *MAIL,
    ),
}
"""Which values each process of the stack is given; no other is."""


def own(process: str, settings: StackSettings, secrets: Mapping[str, str]) -> dict[str, str]:
    """The values of one of our processes: with its own credentials where a server knows it by name."""
    values = effective(settings, secrets)
    match process:
        case "topics":
            values |= kafka_broker.login(settings, secrets, kafka_broker.OPERATOR)
        case "collector" | "lander":
            values |= kafka_broker.login(settings, secrets, process)
    match process:
        case "lander":
            values |= _lake_login(settings, secrets, "lander", "lander")
        case "load" | "books" | "repair":  # all three only read
            values |= _lake_login(settings, secrets, "load", "spark")
        case "maintain":
            values |= _lake_login(settings, secrets, "maintain", "maintainer")
        case "report":
            values |= _s3_login(secrets, "report")
        case "superset":
            values["REDIS_URL"] = redis_server.url(settings, secrets, "superset")
            values |= _lake_login(settings, secrets, "superset", "superset")
            # By other names than the usual ones, from which DuckDB would take them into settings that SQL can read.
            values["LAKE_ACCESS_KEY_ID"] = values["AWS_ACCESS_KEY_ID"]
            values["LAKE_SECRET_ACCESS_KEY"] = values["AWS_SECRET_ACCESS_KEY"]
            values["SUPERSET_REPORTER_PASSWORD"] = secrets["superset_reporter"]
        case "mail_report":
            values |= {"SUPERSET_USER": REPORTER, "SUPERSET_PASSWORD": secrets["superset_reporter"]}
    return {ROOM: process, **{name: values[name] for name in OF_PROCESS[process]}}


def of(process: str, settings: StackSettings, secrets: Mapping[str, str]) -> dict[str, str]:
    """The environment of one of our processes: the base and its own values."""
    return {**base(), "PYTHONPATH": str(REPO), **own(process, settings, secrets)}


def write(settings: StackSettings, secrets: Mapping[str, str]) -> None:
    """Write ``<state>/env``: ``NAME=value`` lines, readable by their owner only."""
    values = effective(settings, secrets)
    write_private(settings.watershed_state / "env", "".join(f"{name}={value}\n" for name, value in values.items()))
