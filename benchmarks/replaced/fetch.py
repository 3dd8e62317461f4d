"""Gets the replaced parts, by name and version, into a folder of the benchmark's own; what is there is kept.

None of this is part of Watershed: ``make setup`` never installs it.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from stack.settings import LOCAL

PLACE = LOCAL / "replaced"
UV = LOCAL / "envs" / "tools" / "bin" / "uv"


def jars(coordinate: str, *besides: str) -> str:
    """The class path of a Maven artifact and all it needs, through PySpark's Ivy.

    Each is ``group:artifact:version``; ``besides`` are those that the artifact expects to be provided.
    """
    _, artifact, version = coordinate.split(":")
    place = PLACE / "jars" / f"{artifact}-{version}"
    if not place.exists():
        work = PLACE / "ivy" / artifact
        work.mkdir(parents=True, exist_ok=True)
        (work / "settings.xml").write_text(
            '<ivysettings><settings defaultResolver="central"/><resolvers>'
            '<ibiblio name="central" m2compatible="true"/></resolvers></ivysettings>'
        )
        rows = (jar.split(":") for jar in (coordinate, *besides))
        wanted = "".join(f'<dependency org="{g}" name="{a}" rev="{v}"/>' for g, a, v in rows)
        (work / "ivy.xml").write_text(
            f'<ivy-module version="2.0"><info organisation="watershed" module="replaced"/>'
            f'<configurations defaultconfmapping="*->default"><conf name="default"/></configurations>'
            f"<dependencies>{wanted}</dependencies></ivy-module>"
        )
        (ivy,) = (LOCAL / "envs" / "core" / "lib").glob("python*/site-packages/pyspark/jars/ivy-*.jar")
        draft = work / "jars"
        pattern = f"{draft}/[organisation].[artifact]-[revision](-[classifier]).[ext]"
        words: list[str | Path] = [
            "-settings",
            work / "settings.xml",
            "-ivy",
            work / "ivy.xml",
            "-cache",
            work / "cache",
        ]
        _run(["java", "-jar", ivy, *words, "-retrieve", pattern])
        place.parent.mkdir(parents=True, exist_ok=True)
        draft.rename(place)
    return f"{place}/*"


def go_program(package: str, version: str) -> Path:
    """A program built from its Go module (Go must be installed; 1.26 was used)."""
    if shutil.which("go") is None:
        raise SystemExit(f"go is missing: install Go (1.26 was used) to build {package}")
    place = PLACE / "go" / version
    program = place / package.rsplit("/", 1)[1]
    if not program.exists():
        env = {"GOBIN": str(place), "GOPATH": str(PLACE / "go" / "path"), "GOFLAGS": "-modcacherw"}
        _run(["go", "install", f"{package}@{version}"], env)
    return program


def python_packages(names: Sequence[str]) -> Path:
    """Packages beside the core environment, not in it: a folder for ``sys.path``."""
    place = PLACE / "python"
    if not place.exists():
        draft = PLACE / "python.new"
        _run([UV, "pip", "install", "--python", sys.executable, "--target", draft, *names])
        draft.rename(place)
    return place


def airflow_and(*packages: str) -> Path:
    """The ``python`` of an environment that is Airflow's, version for version, with ``packages`` besides."""
    place = PLACE / "airflow"
    if not place.exists():
        draft = PLACE / "airflow.new"
        _run([UV, "venv", "--clear", "--relocatable", "--python", sys.executable, draft])
        lock = PLACE / "airflow-constraints.txt"
        _run([UV, "pip", "freeze", "--python", LOCAL / "envs" / "airflow" / "bin" / "python"], to=lock)
        _run([UV, "pip", "install", "-r", lock, *packages], {"VIRTUAL_ENV": str(draft)})
        draft.rename(place)
    return place / "bin" / "python"


def _run(argv: Sequence[str | Path], env: dict[str, str] | None = None, to: Path | None = None) -> None:
    """Run a step of installing; its output goes to the terminal, or to the file ``to``."""
    sys.stderr.write(f"  installing: {' '.join(Path(str(word)).name for word in argv[:4])} …\n")
    quiet = {"UV_PYTHON_DOWNLOADS": "never", "UV_NO_PROGRESS": "1"}
    done = subprocess.run(argv, env={**os.environ, **quiet, **(env or {})}, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(str(word) for word in argv)} failed: {(done.stdout + done.stderr)[-1500:]}")
    if to is not None:
        to.write_text(done.stdout)
