"""The plant: a stack under its own supervisor, whose programs are broken on purpose, and the pipeline's commands.

Nobody here starts a program again: that is the supervisor's business, and part of what is tested.
"""

import json
import os
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from collector.keys import KeyFile, KeyKind
from contracts.registry import Registry
from stack import environment
from stack.graph import in_order
from stack.lifecycle import Stack
from stack.programs import Program
from stack.rooms import WATERSHED
from stack.settings import REPO, StackSettings
from tests.faults.fitting import Fitting

COMMAND_SECONDS = 300


class CommandFailed(Exception):
    """A command of the pipeline failed; the next try may not."""


class Plant:
    """A stack that runs, given by its settings, and by what is fitted to it."""

    def __init__(self, settings: StackSettings, fitting: Fitting | None = None) -> None:
        self.stack = Stack(settings)
        self.fitting = fitting
        if fitting is not None:
            parts = in_order(fitting.parts(self.stack.all_parts))
            self.stack.all_parts = self.stack.parts = parts
            self.stack.programs = [part for part in parts if isinstance(part, Program)]
        self.env = dict(self.stack.env)
        self.registry = Registry.load()

    @property
    def programs(self) -> Sequence[Program]:
        """Every program of the stack."""
        return self.stack.programs

    def own(self, room: str) -> dict[str, str]:
        """What a process of ``room`` is given, and only that."""
        values = environment.own(room, self.stack.settings, self.stack.secrets)
        return values if self.fitting is None else self.fitting.own(room, values)

    def key(self, tenant: str) -> str:
        """A new write key of ``tenant`` that may send old events."""
        return KeyFile(self.stack.settings.watershed_state / "keys.json").create(tenant, KeyKind.SERVER)[1]

    def pid(self, name: str) -> int:
        """The process of a program, now."""
        pid: int = self.stack.supervisor.info()[name]["pid"]
        return pid

    def runs(self, name: str) -> bool:
        """Whether the supervisor has started a program, ready or not."""
        return self.stack.supervisor.info().get(name, {}).get("statename") in {"STARTING", "RUNNING"}

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to a program's own process; what it started is its own to end.

        :raises ProcessLookupError: it does not run.
        """
        pid = self.pid(name)
        if not pid:
            raise ProcessLookupError(f"{name} does not run")
        os.kill(pid, number)

    def kill_family(self, name: str) -> None:
        """``kill -9`` to a program and all that it started, as a machine that goes away does."""
        kill_all(psutil.Process(self.pid(name)))

    def pause(self, name: str) -> list[psutil.Process]:
        """Stop a program and all that it started in the middle of whatever they do; gives them, to be resumed."""
        first = psutil.Process(self.pid(name))
        family = [first, *first.children(recursive=True)]
        for process in family:
            process.suspend()
        return family

    @staticmethod
    def resume(family: Sequence[psutil.Process]) -> None:
        """Let them go on, those that nobody ended meanwhile."""
        for process in family:
            if process.is_running():
                process.resume()

    def begin(self, room: str, *words: str) -> psutil.Popen:
        """Begin a ``watershed`` command in its room's environment, to be killed; what it says is in the room's log."""
        env = {**environment.base(), "PYTHONPATH": str(REPO), **self.own(room)}
        with self.log_of(room).open("ab") as log:
            return psutil.Popen([WATERSHED, *words], env=env, stdout=log, stderr=log, cwd=REPO)

    def log_of(self, room: str) -> Path:
        """Where commands that were begun say what they do."""
        return self.stack.settings.logs / f"faults-{room}.log"

    def command(self, room: str, *words: str, **changes: str) -> dict[str, Any]:
        """Run a ``watershed`` command in its room's environment, as Airflow does; gives its last line.

        :raises CommandFailed: it ended with an error.
        """
        env = {**environment.base(), "PYTHONPATH": str(REPO), **self.own(room), **changes}
        done = subprocess.run(
            [WATERSHED, *words, "--json"],
            env=env,
            capture_output=True,
            text=True,
            check=False,
            timeout=COMMAND_SECONDS,
            cwd=REPO,
        )
        if done.returncode:
            raise CommandFailed(f"`watershed {' '.join(words)}` ended with {done.returncode}: {done.stderr[-1500:]}")
        result: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
        return result


def kill_all(first: psutil.Process) -> None:
    """``kill -9`` to a process and to all that it started."""
    for process in (*first.children(recursive=True), first):
        with suppress(psutil.NoSuchProcess):  # it has ended by itself
            process.kill()
