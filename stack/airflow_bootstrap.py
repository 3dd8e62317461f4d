"""What is done before Airflow's first start, and after an upgrade: its database, its account, the dbt manifest."""

import hashlib
import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import psycopg

from stack import environment
from stack.programs import StackError, run_step
from stack.secrets import write_private
from stack.servers import postgres
from stack.settings import LOCAL, REPO, StackSettings

BIN = LOCAL / "envs" / "airflow" / "bin"
CORE_BIN = LOCAL / "envs" / "core" / "bin"
DAGS = REPO / "dags"
DBT_PROJECT = REPO / "dbt_project"
LOCK_FILE = REPO / "requirements" / "airflow.txt"
BOOTSTRAP = "airflow-database"


def home(settings: StackSettings) -> Path:
    """``AIRFLOW_HOME``: task logs, the dbt manifest and the stamp of the last bootstrap."""
    return settings.watershed_state / "airflow"


def database_url(settings: StackSettings, secrets: Mapping[str, str]) -> str:
    """Airflow's database as an SQLAlchemy URL."""
    return "postgresql+psycopg2" + postgres.dsn(settings, secrets, "airflow", "airflow").removeprefix("postgresql")


def manifest(settings: StackSettings) -> Path:
    """The dbt manifest from which ``rebuild_marts`` knows its models."""
    return home(settings) / "dbt" / "manifest.json"


def bootstrap(settings: StackSettings, secrets: Mapping[str, str], env: Mapping[str, str]) -> None:
    """Airflow's schema, its administrator, its pools and the dbt manifest; nothing when all that is there.

    ``env`` is that of Airflow's processes.

    :raises StackError: when a step fails, with its last lines.
    """
    stamp = home(settings) / "bootstrap.json"
    stamp.parent.mkdir(parents=True, exist_ok=True)
    known: dict[str, object] = json.loads(stamp.read_text()) if stamp.exists() else {}
    inputs = _inputs(settings, secrets)
    if known.get("project") != inputs["project"] or not manifest(settings).exists():
        _write_manifest(settings, secrets)
    dsn = postgres.dsn(settings, secrets, "airflow", "airflow")
    if known.get("airflow") != inputs["airflow"] or known.get("database") != _state(dsn):
        _prepare_database(settings, secrets, env)
    done = {**inputs, "database": _state(dsn)}
    if done != known:
        write_private(stamp, json.dumps(done, indent=1) + "\n")


def _inputs(settings: StackSettings, secrets: Mapping[str, str]) -> dict[str, object]:
    """Hashes of what the database and the manifest were made from."""
    sources = sorted(path for path in DBT_PROJECT.rglob("*") if path.suffix in {".sql", ".yml", ".md", ".csv"})
    account = f"{environment.ADMIN}\0{secrets['airflow_admin']}\0{settings.watershed_state}".encode()
    return {
        "airflow": _digest(LOCK_FILE.read_bytes(), (DAGS / "pools.json").read_bytes(), account),
        "project": _digest(*(part for path in sources for part in (str(path).encode(), path.read_bytes()))),
    }


def _digest(*parts: bytes) -> str:
    seen = hashlib.sha256()
    for part in parts:
        seen.update(hashlib.sha256(part).digest())
    return seen.hexdigest()


def _state(dsn: str) -> dict[str, object]:
    """What the database says of itself: versions, administrators, pools; empty before the first migration."""
    try:
        with psycopg.connect(dsn) as connection:
            versions = connection.execute(
                "select version_num from alembic_version union all select version_num from alembic_version_fab"
            ).fetchall()
            account = connection.execute(
                "select password, active from ab_user where username = %s", (environment.ADMIN,)
            ).fetchone()
            pools = connection.execute("select pool, slots from slot_pool order by pool").fetchall()
    except psycopg.errors.UndefinedTable:
        return {}
    return {
        "versions": sorted(row[0] for row in versions),
        # A hash of the stored hash: a password changed by hand is put back to the one in .local/env.
        "account": _digest(str(account).encode()),
        "pools": [list(row) for row in pools],
    }


def _prepare_database(settings: StackSettings, secrets: Mapping[str, str], env: Mapping[str, str]) -> None:
    log = settings.logs / f"{BOOTSTRAP}.log"
    airflow: list[str | Path] = [BIN / "python", "-m", "airflow"]
    run_step([*airflow, "db", "migrate"], env, log)
    run_step([*airflow, "pools", "import", DAGS / "pools.json"], env, log)
    listed = run_step([*airflow, "users", "list", "--output", "json"], env, log)
    names = {user["username"] for user in json.loads(listed[listed.index("[") :])}
    words = ["reset-password", "--username", environment.ADMIN]
    if environment.ADMIN not in names:
        words = ["create", "--username", environment.ADMIN, "--role", "Admin", "--email", "admin@localhost"]
        words += ["--firstname", "Watershed", "--lastname", "Administrator"]
    _with_password([*airflow, "users", *words], secrets["airflow_admin"], env, log)


def _with_password(argv: Sequence[str | Path], password: str, env: Mapping[str, str], log: Path) -> None:
    """Run a command that asks for a password twice; on a command line other users of the machine could read it."""
    with log.open("a") as out:
        done = subprocess.run(
            argv, env=dict(env), input=f"{password}\n{password}\n", text=True, stdout=out, stderr=out,
            start_new_session=True,  # without a terminal it reads standard input
            check=False,
        )  # fmt: skip
    if done.returncode:
        raise StackError(f"`airflow {argv[3]} {argv[4]}` failed ({done.returncode}), see {log}")


def _write_manifest(settings: StackSettings, secrets: Mapping[str, str]) -> None:
    target = manifest(settings).parent
    argv: list[str | Path] = [CORE_BIN / "dbt", "parse", "--project-dir", DBT_PROJECT, "--profiles-dir", DBT_PROJECT]
    argv += ["--target-path", target, "--log-path", target / "logs"]
    env = {**environment.of("dbt", settings, secrets), "DO_NOT_TRACK": "1"}
    run_step(argv, env, settings.logs / "dbt-parse.log")
