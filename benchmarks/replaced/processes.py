"""Servers of a benchmark: started, waited for, weighed, stopped. Nothing of a running stack is touched."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from stack.environment import base
from stack.lifecycle import resident_mb
from stack.programs import Program

PATIENCE_SECONDS = 180
SETTLE_SECONDS = 20
"""An idle server is weighed this long after it is ready, so that what it still does at its start is over."""


@dataclass(frozen=True)
class Running:
    """A server and how long it took, with an empty data folder, from its first preparation until it served."""

    pid: int
    ready_seconds: float

    def memory_mb(self) -> float:
        """Memory of the process and its children in MiB, shared pages counted once (PSS)."""
        return round(resident_mb(self.pid))

    def cpu_seconds(self) -> float:
        """CPU seconds used so far, by children that have ended too."""
        parent = psutil.Process(self.pid)
        total = 0.0
        for process in [parent, *parent.children(recursive=True)]:
            try:
                total += sum(process.cpu_times()[:4])
            except psutil.NoSuchProcess:
                continue  # its time is its parent's now
        return total


@contextmanager
def running(program: Program, logs: Path) -> Iterator[Running]:
    """Start ``program``, give it once it serves, and stop it with all its children at the end."""
    logs.mkdir(parents=True, exist_ok=True)
    log = logs / f"{program.name}.log"
    started = time.monotonic()
    program.prepare()
    with log.open("w") as out:
        process = subprocess.Popen(
            [str(word) for word in program.argv],
            env={**base(), **program.env},
            cwd=program.directory or logs,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            while (reason := program.not_ready()) is not None:
                if process.poll() is not None or time.monotonic() > started + PATIENCE_SECONDS:
                    raise SystemExit(f"{program.name} did not start ({reason}), see {log}")
                time.sleep(0.05)
            yield Running(process.pid, round(time.monotonic() - started, 1))
        finally:
            process.send_signal(signal.Signals[f"SIG{program.stop_signal}"])
            try:
                process.wait(program.stop_seconds)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def settle() -> None:
    """Wait until a server that has just started does nothing more: part of what is measured, not a readiness check."""
    time.sleep(SETTLE_SECONDS)
