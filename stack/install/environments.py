"""The Python environments: each exactly what its lock file says, made by the interpreter that runs set-up."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from stack.install.checkout import Checkout, Step


def step(checkout: Checkout, name: str, lock: str, gigabytes: float) -> Step:
    """The step that installs ``requirements/<lock>`` as the environment ``name``."""

    def state() -> str | None:
        return checkout.digest(lock) if is_of_this_python(checkout.environment(name)) else None

    install: Callable[[Checkout, str, str], None] = _install_tools if name == "tools" else _install
    return Step(name, gigabytes, checkout.stamp(name), state, lambda: install(checkout, name, lock))


def is_of_this_python(place: Path) -> bool:
    """Whether the environment at ``place`` was made there, and by the very interpreter that runs now."""
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    activate = place / "bin" / "activate"
    return (
        (place / "bin" / "python").resolve() == Path(sys.executable).resolve()
        and (place / "lib" / version / "site-packages").is_dir()
        and activate.exists()
        and str(place) in activate.read_text()  # the programs of one that was moved begin with its old path
    )


def _install_tools(checkout: Checkout, name: str, lock: str) -> None:
    """The installer itself (uv), by pip, from a hashed requirement."""
    place = checkout.environment(name)
    checkout.run([sys.executable, "-m", "venv", "--clear", place], name)
    pip: list[str | Path] = [place / "bin" / "python", "-m", "pip", "install", "--require-hashes"]
    checkout.run([*pip, "-r", checkout.lock_file(lock)], name)


def _install(checkout: Checkout, name: str, lock: str) -> None:
    """One environment, with byte code compiled."""
    place = checkout.environment(name)
    uv = checkout.environment("tools") / "bin" / "uv"
    cache = str(checkout.local / "cache" / "uv")
    quiet = {"UV_CACHE_DIR": cache, "VIRTUAL_ENV": str(place), "UV_PYTHON_DOWNLOADS": "never"}
    if not is_of_this_python(place):
        checkout.run([uv, "venv", "--clear", "--python", sys.executable, place], name, quiet)
    checkout.run([uv, "pip", "sync", "--require-hashes", checkout.lock_file(lock)], name, quiet)
    # What was downloaded stays for the next time; what it was built from would be as much again.
    checkout.run([uv, "cache", "prune"], name, quiet)
    # Compiled here, once: a process that starts every minute must not compile its imports every minute.
    compile_argv: list[str | Path] = [place / "bin" / "python", "-m", "compileall", "-q", "-j", "2", place / "lib"]
    subprocess.run(compile_argv, capture_output=True, check=False)  # some packages ship templates that do not compile
    if name == "core":
        (packages,) = (place / "lib").glob("python*/site-packages")
        (packages / "watershed.pth").write_text(f"{checkout.repo}\n")
        command = place / "bin" / "watershed"
        command.write_text(f"#!{place}/bin/python\nfrom cli.main import main\n\nmain()\n")
        command.chmod(0o755)
