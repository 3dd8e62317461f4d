"""The parts of the stack that are ours: collector, lander, docs, and what has to be in place before they start."""

import json
from collections.abc import Mapping
from pathlib import Path

from stack import environment
from stack.programs import Program, Step, code, http_not_ready, run_step
from stack.secrets import write_private
from stack.settings import LOCAL, StackSettings

PYTHON = LOCAL / "envs" / "core" / "bin" / "python"
WATERSHED = LOCAL / "envs" / "core" / "bin" / "watershed"
LOCK = "requirements/core.txt"
COLLECTOR = (LOCK, "collector", "contracts", "runtime")
"""What collector and lander are made of; they read the contracts once, when they start."""
DOCS = (LOCK, "stack", "runtime")
"""What the server of the docs is made of."""


def collector(settings: StackSettings, secrets: Mapping[str, str]) -> Program:
    """The HTTP collector."""
    port = settings.port("collector")
    own = {"COLLECTOR_PORT": str(port), "COLLECTOR_STATE_DIR": str(settings.data / "collector")}
    return Program(
        name="collector",
        argv=[PYTHON, "-m", "collector.serve"],
        env={**environment.of("collector", settings, secrets), **own, **code(*COLLECTOR)},
        not_ready=http_not_ready(f"http://127.0.0.1:{port}/health/ready"),
        needs=("topics", "write-keys"),
    )


def lander(settings: StackSettings, secrets: Mapping[str, str]) -> Program:
    """The lander of every table."""
    port = settings.port("lander")
    return Program(
        name="lander",
        argv=[PYTHON, "-m", "collector.lander"],
        env={**environment.of("lander", settings, secrets), "LANDER_PORT": str(port), **code(*COLLECTOR)},
        not_ready=http_not_ready(f"http://127.0.0.1:{port}/health/ready"),
        needs=("topics", "lake-tables", "warehouse-schema"),
        stop_seconds=40,
    )


def docs(settings: StackSettings, secrets: Mapping[str, str]) -> Program:
    """The server of dbt docs and Data Docs."""
    port = settings.port("docs")
    return Program(
        name="docs",
        argv=[PYTHON, "-m", "stack.docs_site"],
        env={**environment.of("docs", settings, secrets), "DOCS_PORT": str(port), **code(*DOCS)},
        not_ready=http_not_ready(f"http://127.0.0.1:{port}/health/ready"),
        needs=("dbt-docs",),
    )


def command_step(
    name: str, words: list[str], needs: tuple[str, ...], settings: StackSettings, values: Mapping[str, str]
) -> Step:
    """A step that runs a ``watershed`` command."""
    log = settings.logs / f"{name}.log"
    return Step(name, lambda: _discard(run_step([WATERSHED, *words], values, log)), needs=needs)


def _discard(_output: str) -> None:
    """The command's words are in its log."""


def steps(settings: StackSettings, secrets: dict[str, str]) -> list[Step]:
    """Topics, tables, schemas and keys."""

    def step(name: str, words: list[str], process: str, needs: tuple[str, ...]) -> Step:
        return command_step(name, words, needs, settings, environment.of(process, settings, secrets))

    return [
        step("topics", ["topics", "ensure"], "topics", ("kafka-rights",)),
        step("lake-tables", ["lake", "ensure"], "lake", ("lake-bucket", "postgres-roles")),
        step("warehouse-schema", ["warehouse", "migrate"], "migrate", ("postgres-roles",)),
        step("dbt-docs", ["docs", "build"], "docs-build", ("warehouse-schema",)),
        Step("write-keys", lambda: ensure_keys(settings, secrets, environment.of("keys", settings, secrets))),
    ]


def ensure_keys(settings: StackSettings, secrets: dict[str, str], values: Mapping[str, str]) -> None:
    """The demo tenant's server and browser key, in the secrets file and in ``.local/env``."""
    for kind, name in (("server", "write_key"), ("browser", "browser_write_key")):
        if name not in secrets:
            secrets[name] = create_key(environment.DEMO_TENANT, kind, values, settings.logs / "write-keys.log")
    write_private(settings.watershed_state / "secrets.json", json.dumps(secrets, indent=1, sort_keys=True) + "\n")
    environment.write(settings, secrets)


def create_key(tenant: str, kind: str, values: Mapping[str, str], log: Path) -> str:
    """A new write key of ``tenant``; only its hash is kept by the collector."""
    words = ["keys", "create", "--tenant", tenant, "--kind", kind, "--json"]
    output = run_step([WATERSHED, *words], values, log)
    key: str = json.loads(output.strip().splitlines()[-1])["key"]
    return key
