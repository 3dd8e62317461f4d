"""The servers' jars: exactly those of ``requirements/jars.lock``, each held to its checksum."""

import hashlib
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from stack.install.checkout import CannotInstall, Checkout, Step

LOCK = "jars.lock"
IVY_PROCESSES = 4


@dataclass(frozen=True)
class Jar:
    """A row of the lock: the server whose class path it is on, its Maven coordinates, its SHA-256."""

    server: str
    group: str
    artifact: str
    version: str
    checksum: str

    @property
    def file_name(self) -> str:
        """As the cache calls it, in a folder of its group."""
        return f"{self.artifact}-{self.version}.jar"


def step(checkout: Checkout, gigabytes: float) -> Step:
    """The step that installs them."""
    return Step("jars", gigabytes, checkout.stamp("jars"), lambda: _state(checkout), lambda: _install(checkout))


def read_lock(checkout: Checkout) -> list[Jar]:
    """The rows of the lock."""
    lines = checkout.lock_file(LOCK).read_text().splitlines()
    jars = []
    for server, coordinates, checksum in (line.split() for line in lines if line and not line.startswith("#")):
        group, artifact, version = coordinates.split(":")
        jars.append(Jar(server, group, artifact, version, checksum.removeprefix("sha256:")))
    return jars


def _state(checkout: Checkout) -> str | None:
    """The lock, and name, size and time of each jar; None when other jars lie there than the lock names.

    The servers' class paths are whole folders: a jar that the lock no longer names must not stay in one.
    """
    found = _there(checkout)
    if {_placed(checkout, jar) for jar in read_lock(checkout)} != found:
        return None
    seen = hashlib.sha256(checkout.digest(LOCK).encode())
    for path in sorted(found):
        seen.update(f"{path} {path.stat().st_size} {path.stat().st_mtime_ns}\n".encode())
    return seen.hexdigest()


def _install(checkout: Checkout) -> None:
    jars = read_lock(checkout)
    damaged = {_cached(checkout, jar): jar for jar in jars if not _intact(_cached(checkout, jar), jar)}
    for path in damaged:
        path.unlink(missing_ok=True)  # Ivy would keep it
    parts = [list(damaged.values())[i::IVY_PROCESSES] for i in range(min(IVY_PROCESSES, len(damaged)))]
    with ThreadPoolExecutor(IVY_PROCESSES) as pool:
        list(pool.map(lambda numbered: _fetch(checkout, *numbered), enumerate(parts)))
    for jar in jars:
        path, place = _cached(checkout, jar), _placed(checkout, jar)
        if not _intact(path, jar):
            path.unlink(missing_ok=True)
            raise CannotInstall(
                f"{jar.file_name} does not have the checksum in requirements/{LOCK}: run `make setup` again"
            )
        place.parent.mkdir(parents=True, exist_ok=True)
        if not (place.exists() and place.samefile(path)):
            place.unlink(missing_ok=True)
            os.link(path, place)
    for stale in _there(checkout) - {_placed(checkout, jar) for jar in jars}:
        stale.unlink()


def _there(checkout: Checkout) -> set[Path]:
    return set((checkout.local / "jars").glob("*/*"))


def _placed(checkout: Checkout, jar: Jar) -> Path:
    return checkout.local / "jars" / jar.server / f"{jar.group}.{jar.file_name}"


def _cached(checkout: Checkout, jar: Jar) -> Path:
    return checkout.local / "cache" / "jars" / jar.group / jar.file_name


def _intact(path: Path, jar: Jar) -> bool:
    return path.exists() and hashlib.sha256(path.read_bytes()).hexdigest() == jar.checksum


def _fetch(checkout: Checkout, number: int, jars: list[Jar]) -> None:
    """Fetch ``jars`` with one process of the Ivy that PySpark ships; Ivy's cache is not safe to share with another."""
    work = checkout.local / "cache" / f"ivy-{number}"
    work.mkdir(parents=True, exist_ok=True)
    wanted = "".join(
        f'<dependency org="{jar.group}" name="{jar.artifact}" rev="{jar.version}" transitive="false"/>' for jar in jars
    )
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
    (ivy,) = (checkout.environment("core") / "lib").glob("python*/site-packages/pyspark/jars/ivy-*.jar")
    argv: list[str | Path] = ["java", "-jar", ivy, "-settings", work / "settings.xml", "-ivy", work / "ivy.xml"]
    argv += ["-cache", work / "cache"]
    pattern = checkout.local / "cache" / "jars" / "[organisation]" / "[artifact]-[revision].[ext]"
    checkout.run([*argv, "-retrieve", str(pattern)], f"jars-{number}")
    shutil.rmtree(work)
