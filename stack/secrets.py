"""Secrets of a stack: made at random on the first run, kept in one file only its owner can read, never committed."""

import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

PASSWORDS = (
    "postgres", "watershed", "loader", "dbt", "gate", "publisher", "reader", "lander", "maintainer", "alerter",
    "repairer", "bookkeeper", "tracer", "eraser",
    "catalog", "spark", "airflow", "superset", "redis", "redis_superset", "s3_secret", "s3_lander_secret",
    "s3_load_secret", "s3_maintain_secret", "s3_report_secret", "s3_superset_secret", "kafka_broker",
    "kafka_operator", "kafka_collector", "kafka_lander", "airflow_admin", "superset_admin", "superset_reporter",
)  # fmt: skip
ACCESS_KEYS = (
    "s3_access", "s3_lander_access", "s3_load_access", "s3_maintain_access", "s3_report_access", "s3_superset_access",
)  # fmt: skip
LONG_KEYS = (
    "visitor_hash_key", "superset_secret_key", "airflow_secret_key", "airflow_jwt_secret", "tenant_login_key",
)  # fmt: skip


def load(path: Path) -> Mapping[str, str]:
    """Read the secrets at ``path``, making the file (mode 600) or missing entries first.

    :raises ValueError: when the file is there but is not the JSON object this module writes.
    """
    known: dict[str, str] = {}
    if path.exists():
        try:
            known = json.loads(path.read_text())
        except json.JSONDecodeError as error:
            raise ValueError(f"{path} is damaged ({error}): restore it, or `make reset` to start anew") from error
    fresh = {name: secrets.token_urlsafe(18) for name in PASSWORDS if name not in known}
    fresh |= {name: secrets.token_hex(32) for name in LONG_KEYS if name not in known}
    if "airflow_fernet_key" not in known:
        # Fernet wants 32 random bytes in URL-safe base64 with padding.
        fresh["airflow_fernet_key"] = secrets.token_urlsafe(32) + "="
    fresh |= {name: secrets.token_hex(10) for name in ACCESS_KEYS if name not in known}
    if fresh:
        known |= fresh
        write_private(path, json.dumps(known, indent=1, sort_keys=True) + "\n")
    return known


def write_private(path: Path, text: str) -> None:
    """Replace ``path`` atomically by ``text``, readable by its owner only from the first byte."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
