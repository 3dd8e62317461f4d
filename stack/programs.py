"""What the stack is made of: programs that keep running and steps that run once, each after what it needs."""

import hashlib
import socket
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from stack.settings import REPO


class StackError(Exception):
    """The stack cannot do what was asked; the message names the part and the way out."""


def nothing() -> None:
    """The preparation of a program that needs none."""


@dataclass(frozen=True)
class Program:
    """A process under the supervisor. ``not_ready`` gives None when it serves, else why it does not."""

    name: str
    argv: Sequence[str | Path]
    not_ready: Callable[[], str | None]
    env: Mapping[str, str] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    prepare: Callable[[], None] = nothing
    stop_signal: str = "TERM"
    stop_seconds: int = 20
    directory: Path | None = None


@dataclass(frozen=True)
class Step:
    """Something done once at every start, idempotent and quick when there is nothing to do."""

    name: str
    do: Callable[[], None]
    needs: tuple[str, ...] = ()


Part = Program | Step


def fingerprint(*texts: str) -> dict[str, str]:
    """A variable for a server that reads its configuration only when it starts: it changes with the configuration.

    The supervisor starts a program anew when its environment changed, so `make up` puts a changed file into force.
    """
    return {"WATERSHED_CONFIGURATION": hashlib.sha256("\0".join(texts).encode()).hexdigest()}


def code(*places: str) -> dict[str, str]:
    """A variable for a process of ours: it changes with the files of ``places``, folders and files of the repository.

    So `make up` after an upgrade, or after a new contract, starts anew what was started with other code, and only that.
    """
    seen = hashlib.sha256()
    for place in places:
        top = REPO / place
        files = [top] if top.is_file() else sorted(path for path in top.rglob("*") if path.is_file())
        if not files:
            raise StackError(f"{top} is missing: the checkout is damaged")
        for path in files:
            if path.suffix != ".pyc":
                seen.update(f"{path.relative_to(REPO)}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return {"WATERSHED_CODE": seen.hexdigest()}


def http_not_ready(url: str) -> Callable[[], str | None]:
    """A readiness check: ``url`` answers with a status below 400."""

    def check() -> str | None:
        try:
            answer = httpx.get(url, timeout=3, follow_redirects=True)
        except httpx.HTTPError as error:
            return f"{url}: {error or type(error).__name__}"
        return (
            None if answer.status_code < httpx.codes.BAD_REQUEST else f"{url}: {answer.status_code} {answer.text[:200]}"
        )

    return check


def tcp_not_ready(port: int) -> Callable[[], str | None]:
    """A readiness check: something accepts connections on ``port`` of 127.0.0.1."""

    def check() -> str | None:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=2):
                return None
        except OSError as error:
            return f"127.0.0.1:{port}: {error}"

    return check


def run_step(argv: Sequence[str | Path], env: Mapping[str, str], log: Path) -> str:
    """Run a one-off command with its output appended to ``log``; give its standard output.

    :raises StackError: when it fails, with the last lines of what it said.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a") as errors:
        done = subprocess.run(argv, env=dict(env), stdout=subprocess.PIPE, stderr=errors, text=True, check=False)
        errors.write(done.stdout)
    if done.returncode:
        tail = " | ".join(log.read_text().splitlines()[-4:])
        raise StackError(f"`{' '.join(str(a) for a in argv[:4])}` failed ({done.returncode}), see {log}: {tail}")
    return done.stdout
