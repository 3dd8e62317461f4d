"""Superset: its bootstrap (tables, administrator, dashboards from reviewed YAML) and its one server process."""

from collections.abc import Mapping
from pathlib import Path

from stack import environment
from stack.programs import Part, Program, Step, code, http_not_ready, run_step
from stack.servers import postgres
from stack.settings import LOCAL, REPO, StackSettings

BIN = LOCAL / "envs" / "superset" / "bin"
CONFIG = REPO / "superset_config" / "superset_config.py"
CODE = ("requirements/superset.txt", "superset_config", "contracts", "dbt_project", "runtime", "warehouse")
BOOTSTRAP = "superset-assets"
THREADS = 8
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - a heartbeat file that must never wait for a disk


def variables(settings: StackSettings, secrets: Mapping[str, str]) -> dict[str, str]:
    """What Superset's processes are told."""
    metadata = postgres.dsn(settings, secrets, "superset", "superset")
    return {
        **environment.of("superset", settings, secrets),
        "FLASK_APP": "superset.app:create_app()",
        "MALLOC_ARENA_MAX": "2",  # eight threads with an arena each kept a quarter more memory
        "SUPERSET_CONFIG_PATH": str(CONFIG),
        "SUPERSET_METADATA_DSN": "postgresql+psycopg2" + metadata.removeprefix("postgresql"),
        "SUPERSET_SECRET_KEY": secrets["superset_secret_key"],
    }


def parts(settings: StackSettings, secrets: Mapping[str, str]) -> list[Part]:
    """The bootstrap and the server."""
    env = variables(settings, secrets)
    log = settings.logs / f"{BOOTSTRAP}.log"
    argv: list[str | Path] = [BIN / "python", "-m", "superset_config.bootstrap"]

    def bootstrap() -> None:
        run_step(argv, env, log)

    port = settings.port("superset")
    server: list[str | Path] = [BIN / "gunicorn", "--bind", f"127.0.0.1:{port}", "--workers", "1"]
    server += ["--worker-class", "gthread", "--threads", str(THREADS), "--timeout", "120", "--graceful-timeout", "20"]
    server += ["--keep-alive", "75", "--limit-request-line", "0", "--limit-request-field_size", "0"]
    if SHARED_MEMORY.is_dir():
        server += ["--worker-tmp-dir", SHARED_MEMORY]
    return [
        Step(BOOTSTRAP, bootstrap, needs=("postgres-roles", "warehouse-schema", "redis")),
        Program(
            name="superset",
            argv=[*server, "superset.app:create_app()"],
            env={**env, **code(*CODE)},
            not_ready=http_not_ready(f"http://127.0.0.1:{port}/health"),
            needs=(BOOTSTRAP,),
            stop_seconds=30,
        ),
    ]
