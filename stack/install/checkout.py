"""Where things are installed, and how a step tells what it does."""

import fcntl
import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


class CannotInstall(Exception):
    """Set-up cannot go on; the message is one line that says what to install or free."""


def say(text: str) -> None:
    """One line of progress, at once even when piped."""
    print(text, flush=True)  # noqa: T201 - set-up talks to a person before any logging exists


@dataclass(frozen=True)
class Checkout:
    """A checkout of the project: lock files in it, and what is installed from them under ``.local``."""

    repo: Path

    @property
    def local(self) -> Path:
        """Everything that is installed or written."""
        return self.repo / ".local"

    def lock_file(self, name: str) -> Path:
        """One of ``requirements/``."""
        return self.repo / "requirements" / name

    def environment(self, name: str) -> Path:
        """The folder of a Python environment."""
        return self.local / "envs" / name

    def stamp(self, name: str) -> Path:
        """What set-up remembers of a step, or of the machine."""
        return self.local / "setup" / name

    def digest(self, lock: str) -> str:
        """A hash over a lock file, the interpreter's version and where the project lies."""
        seen = hashlib.sha256(f"{sys.version} {self.repo}".encode())
        seen.update(self.lock_file(lock).read_bytes())
        return seen.hexdigest()

    def run(self, argv: Sequence[str | Path], log: str, env: Mapping[str, str] | None = None) -> None:
        """Run a command with its output in ``.local/logs/setup-<log>.log``.

        :raises CannotInstall: when it fails, with the log's last lines.
        """
        path = self.local / "logs" / f"setup-{log}.log"
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

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Wait until no other set-up of this checkout is at work."""
        with self.stamp("lock").open("w") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                say("setup: another one is at work here; waiting for it")
                fcntl.flock(handle, fcntl.LOCK_EX)
            yield


@dataclass(frozen=True)
class Step:
    """One thing to install. ``state`` describes what is wanted and there, None where they do not agree."""

    name: str
    gigabytes: float
    stamp: Path
    state: Callable[[], str | None]
    work: Callable[[], None]

    def is_done(self) -> bool:
        """Whether the stamp says so, and what is there bears it out."""
        state = self.state()
        return state is not None and self.stamp.exists() and self.stamp.read_text() == state

    def do(self) -> None:
        """Install it, and leave the stamp.

        :raises CannotInstall: when it fails, or leaves what is not wanted.
        """
        say(f"  {self.name}: installing…")
        start = time.monotonic()
        self.work()
        state = self.state()
        if state is None:
            raise CannotInstall(f"{self.name} was installed and is not what was wanted: delete .local and try again")
        self.stamp.write_text(state)
        say(f"  {self.name}: done in {time.monotonic() - start:.0f} s")
