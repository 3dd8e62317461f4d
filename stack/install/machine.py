"""What the machine must bring: Python, Java, disk."""

import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from stack.install.checkout import CannotInstall, Checkout, Step

OLDEST_JAVA, NEWEST_JAVA = 17, 21
INSTALL_JAVA = f"install a Java {OLDEST_JAVA} to {NEWEST_JAVA} runtime (Debian: openjdk-17-jre-headless)"
DATA_GB = 2.0
"""What the servers are given room for beside what is installed."""


def check_python() -> None:
    """Check that this Python can make environments.

    :raises CannotInstall: naming what is missing.
    """
    for module in ("venv", "ensurepip"):
        if find_spec(module) is None:
            package = f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"
            raise CannotInstall(f"Python's {module} is missing: install {package} (Debian, Ubuntu)")


def check_java(stamp: Path) -> None:
    """Check the Java on the PATH, the one that runs the servers.

    :raises CannotInstall: when there is none, or one whose version does not serve.
    """
    java = shutil.which("java")
    if java is None:
        raise CannotInstall(f"java is missing: {INSTALL_JAVA}")
    # `java -version` costs a JVM start; the answer for this very binary is remembered.
    real = Path(java).resolve()
    known = f"{real} {real.stat().st_mtime_ns}"
    if stamp.exists() and stamp.read_text() == known:
        return
    version = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr.strip()
    match = re.search(r'version "(\d+)', version)
    if match is None or not OLDEST_JAVA <= int(match[1]) <= NEWEST_JAVA:
        found = version.splitlines()[0] if version else "it says nothing of its version"
        raise CannotInstall(f"{java} does not serve ({found}): {INSTALL_JAVA}, and put it first on the PATH")
    stamp.write_text(known)


def check_disk(checkout: Checkout, missing: Sequence[Step]) -> None:
    """Check the room for what is still to be installed, downloads included, and for data.

    :raises CannotInstall: when less is free.
    """
    if not missing:
        return
    free = shutil.disk_usage(checkout.local).free / 1e9
    needed = sum(step.gigabytes for step in missing) + DATA_GB
    if free < needed:
        names = ", ".join(step.name for step in missing)
        raise CannotInstall(
            f"{free:.1f} GB free at {checkout.local}: {needed:.1f} GB are needed for data and what is still to be "
            f"installed ({names}); free some and run it again"
        )
