"""Brings Superset from whatever it is to ready to serve: tables, permissions, admin, assets, roles. Idempotent.

    PYTHONPATH=<repository> .local/envs/superset/bin/python -m superset_config.bootstrap [--force]

What was done is remembered in Superset's own database, as a fingerprint of everything that goes in: Superset's
version, the assets, the roles, the admin's password and the warehouse's DSN (both keyed-hashed), the secret key. When
nothing differs and every asset is there, this ends without loading Superset, in under a second.

Environment: that of ``superset_config.py``, and ``READER_DSN``, ``SUPERSET_USER``, ``SUPERSET_PASSWORD``,
``SUPERSET_REPORTER_PASSWORD``.
"""

import argparse
import hashlib
import hmac
import logging
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psycopg2

from superset_config.bundle import ASSETS, ROOM, AssetError, Bundle
from superset_config.own_work import own_work

TABLES = {"dashboards": "dashboards", "charts": "slices", "datasets": "tables", "databases": "dbs"}
OF_PEOPLE = ("SUPERSET_USER", "SUPERSET_PASSWORD", "SUPERSET_REPORTER_PASSWORD")
LOG = logging.getLogger("superset_config.bootstrap")


class BootstrapError(Exception):
    """Superset cannot be made ready; the message says why."""


def _required(name: str) -> str:
    value = os.environ.get(name, "")
    if not value:
        raise BootstrapError(f"{name} is not set: `make up` writes it to .local/env")
    return value


def fingerprint(bundle: Bundle) -> str:
    """Changes whenever the bootstrap would do something else than last time; no secret can be read from it."""
    secret = _required("SUPERSET_SECRET_KEY").encode()
    digest = hmac.new(secret, digestmod=hashlib.sha256)
    sources = (*(ROOM / name for name in ("roles.yaml", "apply.py", "tenancy.py")), Path(__file__))
    parts = [
        bundle.fingerprint(),
        *(_required(name) for name in (*OF_PEOPLE, "READER_DSN")),
        *(source.read_text(encoding="utf-8") for source in sources),
    ]
    for part in parts:
        digest.update(hashlib.sha256(part.encode()).digest())
    return digest.hexdigest()


class Memory:
    """What the last bootstrap did, in the table ``watershed_bootstrap`` of Superset's database."""

    def __init__(self, dsn: str) -> None:
        self._connection = psycopg2.connect(dsn.replace("+psycopg2", "", 1), connect_timeout=10)
        self._connection.autocommit = True
        self._run(
            "create table if not exists watershed_bootstrap ("
            "part text primary key, value text not null, at timestamptz not null default now())"
        )

    def _run(self, sql: str, values: tuple[object, ...] = ()) -> list[tuple[Any, ...]]:
        with self._connection.cursor() as cursor:
            cursor.execute(sql, values)
            return cursor.fetchall() if cursor.description else []

    def get(self, part: str) -> str | None:
        """What was last remembered of ``part``."""
        rows = self._run("select value from watershed_bootstrap where part = %s", (part,))
        return str(rows[0][0]) if rows else None

    def set(self, part: str, value: str) -> None:
        """Remember ``value`` of ``part``."""
        self._run(
            "insert into watershed_bootstrap (part, value) values (%s, %s) "
            "on conflict (part) do update set value = excluded.value, at = now()",
            (part, value),
        )

    def lacks(self, bundle: Bundle) -> list[str]:
        """The assets that are not in Superset's tables, by path."""
        lacking = []
        for kind, table in TABLES.items():
            present = {str(row[0]) for row in self._run(f"select uuid from {table}")}  # noqa: S608 (a constant)
            lacking += [asset.path for asset in bundle.of(kind) if asset.uuid not in present]
        return lacking

    def close(self) -> None:
        """Give the connection back."""
        self._connection.close()


def _superset(*arguments: str) -> None:
    command = [sys.executable, "-m", "superset_config.command_line", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BootstrapError(f"superset {' '.join(arguments)} failed:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")


def bootstrap(force: bool = False, assets: Path = ASSETS) -> str:
    """Do what is missing; gives what was done in a few words.

    :raises AssetError: a file of ``assets`` is none
    :raises BootstrapError: when a setting is missing or one of Superset's own commands fails
    """
    bundle = Bundle.load(assets)
    memory = Memory(_required("SUPERSET_METADATA_DSN"))
    try:
        done = []
        pinned = version("apache-superset")
        if force or memory.get("superset_version") != pinned:
            LOG.info("superset db upgrade, to %s", pinned)
            _superset("db", "upgrade")
            LOG.info("superset init")
            _superset("init")
            memory.set("superset_version", pinned)
            done.append(f"tables and permissions of Superset {pinned}")
        wanted = fingerprint(bundle)
        if force or done or memory.get("assets") != wanted or memory.lacks(bundle):
            LOG.info("importing %d assets", len(bundle.assets))
            _apply(bundle)
            memory.set("assets", wanted)
            done.append(f"admin, roles and {len(bundle.assets)} assets")
        return " and ".join(done) or "nothing to do"
    finally:
        memory.close()


def _apply(bundle: Bundle) -> None:
    # Superset is loaded here and not above: without it, a second start costs a second and not ten.
    from superset.app import create_app  # noqa: PLC0415

    with create_app().app_context(), own_work():
        from superset_config.apply import apply, ensure_admin, ensure_reporter  # noqa: PLC0415

        ensure_admin(_required("SUPERSET_USER"), _required("SUPERSET_PASSWORD"))
        apply(bundle, _required("READER_DSN"), _required("SUPERSET_USER"))
        ensure_reporter(_required("SUPERSET_REPORTER_PASSWORD"))


def main() -> int:
    """Entry point; the last line on standard output says what was done."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--force", action="store_true", help="do everything again, whatever is remembered")
    parser.add_argument("--assets", type=Path, default=ASSETS, help="folder of the reviewed files")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    os.environ.setdefault("SUPERSET_CONFIG_PATH", str(ROOM / "superset_config.py"))
    os.environ.setdefault("FLASK_APP", "superset.app:create_app()")
    try:
        done = bootstrap(arguments.force, arguments.assets)
    except (BootstrapError, AssetError) as error:
        sys.stderr.write(f"superset: {error}\n")
        return 1
    sys.stdout.write(f"superset: {done}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
