"""Up, down, status and reset of one stack."""

import errno
import fcntl
import os
import shutil
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from stack import environment, remembered, secrets
from stack.graph import Progress, bring_up, in_order, take_down
from stack.parts import all_parts
from stack.programs import Part, Program, StackError
from stack.settings import StackSettings
from stack.supervise import Supervisor


@dataclass(frozen=True)
class ProgramStatus:
    """One program as an operator wants to see it; ``reason`` is None when it is ready."""

    name: str
    state: str
    pid: int
    seconds_up: int
    resident_mb: float
    reason: str | None
    log: str


class Stack:
    """One stack: its settings, secrets, parts and supervisor."""

    def __init__(self, settings: StackSettings, only: Sequence[str] | None = None) -> None:
        self.settings = settings
        settings.watershed_state.mkdir(parents=True, exist_ok=True)
        self.secrets = dict(secrets.load(settings.watershed_state / "secrets.json"))
        self.supervisor = Supervisor(settings.watershed_state, settings.logs, settings.run)
        self.all_parts = in_order(all_parts(settings, self.secrets))
        self.parts = with_needs(self.all_parts, only)
        # The supervisor always knows all of them: bringing up a few must not take away the others.
        self.programs = [part for part in self.all_parts if isinstance(part, Program)]

    @property
    def env(self) -> Mapping[str, str]:
        """The effective endpoints and credentials, as in ``<state>/env``."""
        return environment.effective(self.settings, self.secrets)

    def up(self, say: Progress) -> None:
        """Start what does not run and wait until all is ready.

        :raises StackError: naming the part that could not be started and the way out.
        """
        with self._alone():
            self._check_disk()
            running = self.supervisor.alive()
            if running:
                self._check_unchanged()
            else:
                if swept := self.supervisor.sweep():
                    say("supervisor", f"was gone: ended {swept} processes it had left")
                self._check_ports()
            if notable := remembered.notable(self.settings):
                say("settings", f"{remembered.words(notable)} (kept for later commands)")
            remembered.keep(self.settings)
            environment.write(self.settings, self.secrets)
            self.supervisor.configure(self.programs)
            if running:
                self.supervisor.reload()
            else:
                self.supervisor.start(environment.base())
            bring_up(self.parts, self.supervisor, self.settings.ready_seconds, say)

    def down(self, say: Progress) -> bool:
        """Stop every process of this stack, so that none is left; False when there was none."""
        with self._alone():
            if running := self.supervisor.alive():
                take_down(self.all_parts, self.supervisor, say)
                self.supervisor.stop()
                say("supervisor", "stopped")
            if swept := self.supervisor.sweep():
                say("supervisor", f"ended {swept} processes that were left")
            return running or swept > 0

    def status(self) -> list[ProgramStatus]:
        """How each of the programs asked for is; empty when the stack is down."""
        if not self.supervisor.alive():
            return []
        known = self.supervisor.info()
        rows = []
        for program in (part for part in self.parts if isinstance(part, Program)):
            info = known.get(program.name, {"statename": "UNKNOWN", "pid": 0, "start": 0, "stdout_logfile": ""})
            running = info["statename"] in {"STARTING", "RUNNING"}
            up = int(time.time()) - info["start"] if running else 0
            reason = program.not_ready() if running else f"is {info['statename'].lower()}"
            memory = resident_mb(info["pid"])
            log = info["stdout_logfile"]
            rows.append(ProgramStatus(program.name, info["statename"], info["pid"], up, memory, reason, log))
        return rows

    def doomed(self) -> list[Path]:
        """What :meth:`reset` would delete."""
        state = self.settings.watershed_state
        names = (
            *("data", "logs", "run", "site", "env", "secrets.json", "keys.json", remembered.FILE),
            *("airflow", "gate", "dbt", "pictures"),
        )
        return [state / name for name in names if (state / name).exists()]

    def reset(self, say: Progress) -> None:
        """Stop everything and delete all data, logs and secrets of this stack; what set-up installed stays."""
        self.down(say)
        for path in self.doomed():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
            say("reset", f"deleted {path}")

    @contextmanager
    def _alone(self) -> Iterator[None]:
        lock = self.settings.watershed_state / "lock"
        with lock.open("a+") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                handle.seek(0)
                raise StackError(
                    f"another up, down or reset of {self.settings.watershed_state} is at work "
                    f"(pid {handle.read().strip() or 'unknown'}): wait for it, or stop it"
                ) from error
            handle.truncate(0)
            handle.write(f"{os.getpid()}\n")
            handle.flush()
            yield

    def _check_unchanged(self) -> None:
        """Servers that run were told where the others are: none can be moved under them."""
        if changes := remembered.changes(self.settings):
            before, now = ({name: pair[i] for name, pair in changes.items()} for i in (0, 1))
            raise StackError(
                f"the stack that runs in {self.settings.watershed_state} was started with {remembered.words(before)}, "
                f"not {remembered.words(now)}: `make down` first; or, for a second stack, set WATERSHED_STATE too"
            )

    def _check_disk(self) -> None:
        free = shutil.disk_usage(self.settings.watershed_state).free / 2**20
        if free < self.settings.disk_needed_mb:
            raise StackError(
                f"{free:.0f} MiB free at {self.settings.watershed_state}, {self.settings.disk_needed_mb} needed: "
                "free some disk, or lower DISK_NEEDED_MB"
            )

    def _check_ports(self) -> None:
        for name, port in self.settings.ports().items():
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind(("127.0.0.1", port))
                except OSError as error:
                    if error.errno != errno.EADDRINUSE:
                        raise
                    raise StackError(
                        f"port {port} is in use{_holder(port)}: stop it, or set {name} or PORT_OFFSET"
                    ) from error


def with_needs(parts: list[Part], only: Sequence[str] | None) -> list[Part]:
    """All parts, or ``only`` the named ones and what they need."""
    if only is None:
        return parts
    by_name = {part.name: part for part in parts}
    wanted: set[str] = set()
    queue = list(only)
    while queue:
        name = queue.pop()
        if name not in by_name:
            raise StackError(f"there is no part {name}: choose from {', '.join(sorted(by_name))}")
        if name not in wanted:
            wanted.add(name)
            queue.extend(by_name[name].needs)
    return [part for part in parts if part.name in wanted]


def _holder(port: int) -> str:
    for connection in psutil.net_connections("tcp"):
        if connection.laddr and connection.laddr.port == port and connection.status == psutil.CONN_LISTEN:
            if connection.pid is None:
                return " by another user's process"
            return f" by {psutil.Process(connection.pid).name()} (pid {connection.pid})"
    return ""


def resident_mb(pid: int) -> float:
    """Resident memory of ``pid`` and its children in MiB; 0 when it is gone."""
    if not pid:
        return 0.0
    try:
        parent = psutil.Process(pid)
        family = [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0.0
    total = 0
    for process in family:
        try:
            memory = process.memory_full_info()
            total += getattr(memory, "pss", memory.rss)
        except psutil.AccessDenied:
            total += process.memory_info().rss  # another user's, as Postgres is where root may not look at processes
        except psutil.NoSuchProcess:
            continue  # gone meanwhile
    return total / 2**20
