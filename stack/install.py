"""``make setup``: everything Watershed needs, pinned and checked, under ``.local/``.

Runs on the machine's own Python with the standard library only, because nothing else is there yet. Each step leaves a
stamp that names what it installed (a hash of its lock file), so a finished step costs nothing the next time and an
interrupted one is done again.
"""

from __future__ import annotations  # an older Python must get as far as being told that it is too old

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

REPO = Path(__file__).resolve().parent.parent
LOCAL = REPO / ".local"
REQUIREMENTS = REPO / "requirements"
OLDEST_PYTHON, NEWEST_PYTHON = (3, 11), (3, 13)
OLDEST_JAVA, NEWEST_JAVA = 17, 21
DISK_NEEDED_GB = 8
IVY_PROCESSES = 4


class CannotInstall(Exception):
    """Set-up cannot go on; the message is one line that says what to install or free."""


def say(text: str) -> None:
    """One line of progress, at once even when piped."""
    print(text, flush=True)  # noqa: T201 - set-up talks to a person before any logging exists


def check_machine() -> None:
    """Check Python, its venv module and Java.

    :raises CannotInstall: naming the first thing that is missing or too old.
    """
    have = sys.version_info[:2]
    wanted = f"Python {OLDEST_PYTHON[0]}.{OLDEST_PYTHON[1]} to {NEWEST_PYTHON[0]}.{NEWEST_PYTHON[1]}"
    if not OLDEST_PYTHON <= have <= NEWEST_PYTHON:
        raise CannotInstall(
            f"Python {have[0]}.{have[1]} does not serve: install {wanted}, then `make PYTHON=/path/to/python setup`"
        )
    for module in ("venv", "ensurepip"):
        if not _importable(module):
            raise CannotInstall(
                f"Python's {module} is missing: install python{have[0]}.{have[1]}-venv (Debian, Ubuntu)"
            )
    java = shutil.which("java")
    if java is None:
        raise CannotInstall(
            f"java is missing: install a Java {OLDEST_JAVA} to {NEWEST_JAVA} runtime (Debian: openjdk-17-jre-headless)"
        )
    # `java -version` costs a JVM start; the answer for this very binary is remembered.
    real = Path(java).resolve()
    stamp = LOCAL / "setup" / "java"
    known = f"{real} {real.stat().st_mtime_ns}"
    if stamp.exists() and stamp.read_text() == known:
        return
    version = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    match = re.search(r'version "(\d+)', version)
    if match is None or not OLDEST_JAVA <= int(match[1]) <= NEWEST_JAVA:
        found = version.splitlines()[0] if version else "nothing it would say"
        raise CannotInstall(
            f"this java does not serve ({found}): install Java {OLDEST_JAVA} to {NEWEST_JAVA}, or set PATH to one"
        )
    stamp.parent.mkdir(parents=True, exist_ok=True)
    stamp.write_text(known)


def _importable(module: str) -> bool:
    from importlib.util import find_spec  # noqa: PLC0415 - only needed here

    return find_spec(module) is not None


def check_disk() -> None:
    """Check the room for what is still to be installed.

    :raises CannotInstall: when less than ``DISK_NEEDED_GB`` gigabytes are free.
    """
    free = shutil.disk_usage(LOCAL).free / 1e9
    if free < DISK_NEEDED_GB:
        raise CannotInstall(
            f"{free:.1f} GB free at {LOCAL}: set-up needs {DISK_NEEDED_GB} GB; free some and run it again"
        )


def digest(*paths: Path) -> str:
    """What a stamp holds: a hash over the lock files, the interpreter and where the project lies."""
    seen = hashlib.sha256(f"{sys.version} {REPO}".encode())
    for path in paths:
        seen.update(path.read_bytes())
    return seen.hexdigest()


def once(name: str, wanted: str, work: Callable[[], None]) -> None:
    """Do ``work`` unless the stamp ``name`` says that ``wanted`` is installed already."""
    stamp = LOCAL / "setup" / name
    if stamp.exists() and stamp.read_text() == wanted:
        return
    check_disk()
    say(f"  {name}: installing…")
    start = time.monotonic()
    work()
    stamp.parent.mkdir(parents=True, exist_ok=True)
    stamp.write_text(wanted)
    say(f"  {name}: done in {time.monotonic() - start:.0f} s")


def run(argv: Sequence[str | Path], log: str, env: dict[str, str] | None = None) -> None:
    """Run a step with its output in ``.local/logs/setup-<log>.log``.

    :raises CannotInstall: when it fails, with the log's last lines.
    """
    path = LOCAL / "logs" / f"setup-{log}.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as out:
        done = subprocess.run(
            argv, stdout=out, stderr=subprocess.STDOUT, check=False, env={**os.environ, **(env or {})}
        )
    if done.returncode:
        tail = " | ".join(path.read_text().splitlines()[-3:])
        raise CannotInstall(
            f"{Path(argv[0]).name} failed ({done.returncode}), see {path}: {tail}; run `make setup` again"
        )


def install_tools() -> None:
    """The installer itself (uv), by pip, from a hashed requirement."""
    place = LOCAL / "envs" / "tools"
    run([sys.executable, "-m", "venv", "--clear", place], "tools")
    lock = REQUIREMENTS / "uv.txt"
    run([place / "bin" / "python", "-m", "pip", "install", "--require-hashes", "-r", lock], "tools")


def install_environment(name: str, lock: Path) -> None:
    """One environment, exactly what its lock file says and nothing else, with byte code compiled."""
    place = LOCAL / "envs" / name
    uv = LOCAL / "envs" / "tools" / "bin" / "uv"
    quiet = {"UV_CACHE_DIR": str(LOCAL / "cache" / "uv"), "VIRTUAL_ENV": str(place), "UV_PYTHON_DOWNLOADS": "never"}
    if not (place / "bin" / "python").exists():
        run([uv, "venv", "--clear", "--python", sys.executable, place], name, quiet)
    run([uv, "pip", "sync", "--require-hashes", lock], name, quiet)
    # Compiled here, once: a process that starts every minute must not compile its imports every minute.
    compile_argv: list[str | Path] = [place / "bin" / "python", "-m", "compileall", "-q", "-j", "2", place / "lib"]
    subprocess.run(compile_argv, capture_output=True, check=False)  # some packages ship templates that do not compile
    if name == "core":
        (packages,) = (place / "lib").glob("python*/site-packages")
        (packages / "watershed.pth").write_text(f"{REPO}\n")
        command = place / "bin" / "watershed"
        command.write_text(f"#!{place}/bin/python\nfrom cli.main import main\n\nmain()\n")
        command.chmod(0o755)


def read_jar_lock() -> list[tuple[str, str, str]]:
    """The rows (server, group:artifact:version, sha256) of ``requirements/jars.lock``."""
    lines = (REQUIREMENTS / "jars.lock").read_text().splitlines()
    rows = [line.split() for line in lines if line and not line.startswith("#")]
    return [(server, jar, checksum.removeprefix("sha256:")) for server, jar, checksum in rows]


def install_jars() -> None:
    """The servers' jars through the Ivy that PySpark ships, each held to its checksum."""
    rows = read_jar_lock()
    cache = LOCAL / "cache" / "jars"
    cache.mkdir(parents=True, exist_ok=True)
    wanted = sorted({jar for _, jar, checksum in rows if not _intact(_cached(cache, jar), checksum)})
    if wanted:
        parts = [wanted[i::IVY_PROCESSES] for i in range(IVY_PROCESSES) if wanted[i::IVY_PROCESSES]]
        with ThreadPoolExecutor(IVY_PROCESSES) as pool:
            list(pool.map(lambda numbered: _fetch(cache, *numbered), enumerate(parts)))
    for server, jar, checksum in rows:
        path = _cached(cache, jar)
        if not _intact(path, checksum):
            path.unlink(missing_ok=True)
            raise CannotInstall(f"{jar} does not have the checksum in requirements/jars.lock: run `make setup` again")
        group, artifact, version = jar.split(":")
        place = LOCAL / "jars" / server / f"{group}.{artifact}-{version}.jar"
        place.parent.mkdir(parents=True, exist_ok=True)
        if not place.exists():
            os.link(path, place)


def _cached(cache: Path, jar: str) -> Path:
    group, artifact, version = jar.split(":")
    return cache / group / f"{artifact}-{version}.jar"


def _intact(path: Path, checksum: str) -> bool:
    return path.exists() and hashlib.sha256(path.read_bytes()).hexdigest() == checksum


def _fetch(cache: Path, number: int, jars: list[str]) -> None:
    """Fetch ``jars`` with one Ivy process; each has a cache of its own because Ivy's is not safe to share."""
    work = LOCAL / "cache" / f"ivy-{number}"
    work.mkdir(parents=True, exist_ok=True)
    rows = (jar.split(":") for jar in jars)
    wanted = "".join(f'<dependency org="{g}" name="{a}" rev="{v}" transitive="false"/>' for g, a, v in rows)
    (work / "ivy.xml").write_text(
        f'<ivy-module version="2.0"><info organisation="watershed" module="jars-{number}"/>'
        f'<configurations defaultconfmapping="*->default"><conf name="default"/></configurations>'
        f'<dependencies>{wanted}<conflict manager="all"/></dependencies></ivy-module>'
    )
    # Poms are not read: the lock names every jar, so there is nothing to resolve.
    (work / "settings.xml").write_text(
        '<ivysettings><settings defaultResolver="central"/><resolvers>'
        '<ibiblio name="central" m2compatible="true" usepoms="false"/></resolvers></ivysettings>'
    )
    (ivy,) = (LOCAL / "envs" / "core" / "lib").glob("python*/site-packages/pyspark/jars/ivy-*.jar")
    argv: list[str | Path] = [
        "java",
        "-jar",
        ivy,
        "-settings",
        work / "settings.xml",
        "-ivy",
        work / "ivy.xml",
        "-cache",
        work / "cache",
    ]
    run([*argv, "-retrieve", f"{cache}/[organisation]/[artifact]-[revision].[ext]"], f"jars-{number}")
    shutil.rmtree(work)


def main() -> int:
    """Install what is missing; 0 when all is there, 1 with one line on standard error when it cannot be."""
    parser = argparse.ArgumentParser(description="Install Watershed's environments and servers under .local/.")
    parser.add_argument("--dev", action="store_true", help="also what the tests and linters need")
    parser.add_argument("--quiet", action="store_true", help="say nothing when all is there")
    options = parser.parse_args()
    start = time.monotonic()
    try:
        LOCAL.mkdir(exist_ok=True)
        check_machine()
        once("tools", digest(REQUIREMENTS / "uv.txt"), install_tools)
        core = REQUIREMENTS / ("dev.txt" if options.dev or _has_dev() else "core.txt")
        once("core", digest(core), lambda: install_environment("core", core))
        for name in ("airflow", "superset"):
            lock = REQUIREMENTS / f"{name}.txt"
            once(name, digest(lock), lambda name=name, lock=lock: install_environment(name, lock))  # type: ignore[misc]
        once("jars", digest(REQUIREMENTS / "jars.lock"), install_jars)
    except CannotInstall as error:
        sys.stderr.write(f"setup: {error}\n")
        return 1
    if not options.quiet or time.monotonic() - start > 1:
        say(f"setup: all there ({time.monotonic() - start:.1f} s)")
    return 0


def _has_dev() -> bool:
    """Whether the development lock is what is installed: a plain set-up must not take the linters away again."""
    stamp = LOCAL / "setup" / "core"
    return stamp.exists() and stamp.read_text() == digest(REQUIREMENTS / "dev.txt")


if __name__ == "__main__":
    sys.exit(main())
