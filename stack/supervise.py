"""The supervisor: supervisord keeps the programs running; this module writes its configuration and talks to it."""

import os
import signal
import subprocess
import sys
import tempfile
import time
import xmlrpc.client
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import psutil
from supervisor.xmlrpc import Faults, SupervisorTransport

from stack.programs import Program, StackError
from stack.secrets import write_private

MARK = "WATERSHED_STACK"
"""Environment variable that every process of a stack carries: its state folder."""
LONGEST_SOCKET_PATH = 100
ROTATE_AT = "10MB"
ROTATED_KEPT = 3


class Supervisor:
    """The supervisord of one stack. ``state`` is the stack's folder."""

    def __init__(self, state: Path, logs: Path, run: Path) -> None:
        self._state, self._logs, self._run = state, logs, run
        self._config = run / "supervisord.conf"
        self._socket = run / "supervisor.sock"
        if len(str(self._socket)) > LONGEST_SOCKET_PATH:
            # The kernel refuses longer socket paths; the folder's name is the owner's alone.
            name = f"watershed-{os.getuid()}-{sha256(str(state).encode()).hexdigest()[:12]}"
            self._socket = Path(tempfile.gettempdir()) / name / "supervisor.sock"

    def configure(self, programs: Sequence[Program]) -> None:
        """Write the configuration for ``programs``, in the order in which they start (they stop in reverse)."""
        self._socket.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._logs.mkdir(parents=True, exist_ok=True)
        sections = [self._own_sections()]
        sections += [self._section(program, 10 * i) for i, program in enumerate(programs, start=1)]
        write_private(self._config, "\n".join(sections))

    def _own_sections(self) -> str:
        return f"""\
[unix_http_server]
file={self._socket}
chmod=0700
[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
[supervisorctl]
serverurl=unix://{self._socket}
[supervisord]
logfile={self._logs}/supervisord.log
logfile_maxbytes={ROTATE_AT}
logfile_backups={ROTATED_KEPT}
pidfile={self._run}/supervisord.pid
childlogdir={self._logs}
minfds=4096
nocleanup=true
"""

    def _section(self, program: Program, priority: int) -> str:
        command = " ".join(_quoted(str(part)) for part in program.argv)
        environment = ",".join(f"{name}={_value(value)}" for name, value in sorted(program.env.items()))
        return f"""\
[program:{program.name}]
command={command}
directory={program.directory or self._state}
environment={environment}
priority={priority}
autostart=false
autorestart=true
startsecs=1
startretries=1000000
stopsignal={program.stop_signal}
stopwaitsecs={program.stop_seconds}
stopasgroup=true
killasgroup=true
redirect_stderr=true
stdout_logfile={self._logs}/{program.name}.log
stdout_logfile_maxbytes={ROTATE_AT}
stdout_logfile_backups={ROTATED_KEPT}
"""

    def alive(self) -> bool:
        """Whether the supervisor answers."""
        try:
            self._rpc().getState()
        except (OSError, xmlrpc.client.Error):
            return False
        return True

    def start(self, environment: Mapping[str, str]) -> None:
        """Start supervisord as a daemon with no program running yet.

        :raises StackError: when it does not answer within ten seconds.
        """
        argv = [sys.executable, "-m", "supervisor.supervisord", "-c", str(self._config)]
        env = {**environment, MARK: str(self._state)}
        done = subprocess.run(argv, env=env, cwd=self._state, capture_output=True, text=True, check=False)
        deadline = time.monotonic() + 10
        while not self.alive():
            if done.returncode or time.monotonic() > deadline:
                raise StackError(
                    f"the supervisor did not start: {done.stdout} {done.stderr} see {self._logs}/supervisord.log"
                )
            time.sleep(0.05)

    def reload(self) -> None:
        """Take over a changed configuration: programs that changed are stopped, to be started again by the caller."""
        rpc = self._rpc()
        ((added, changed, removed),) = rpc.reloadConfig()
        for group in [*changed, *removed]:
            rpc.stopProcessGroup(group, True)
            rpc.removeProcessGroup(group)
        for group in [*changed, *added]:
            rpc.addProcessGroup(group)

    def info(self) -> dict[str, dict[str, Any]]:
        """Supervisord's view of every program, by name."""
        return {row["name"]: row for row in self._rpc().getAllProcessInfo()}

    def start_program(self, name: str) -> None:
        """Start ``name`` unless it runs; returns before it is ready."""
        if self.info()[name]["statename"] in {"STARTING", "RUNNING"}:
            return
        try:
            self._rpc().startProcess(name, False)
        except xmlrpc.client.Fault as fault:
            # It had died and supervisord was quicker to start it again.
            if fault.faultCode != Faults.ALREADY_STARTED:
                raise

    def stop_program(self, name: str) -> bool:
        """Stop ``name`` and wait until it is gone; False when it does not run."""
        if self.info().get(name, {"statename": "STOPPED"})["statename"] in {"STOPPED", "EXITED", "FATAL"}:
            return False
        try:
            self._rpc().stopProcess(name, True)
        except xmlrpc.client.Fault as fault:
            # It ended by itself meanwhile.
            if fault.faultCode != Faults.NOT_RUNNING:
                raise
        return True

    def stop(self, seconds: float = 60) -> None:
        """Stop the supervisor, and with it what still runs; after ``seconds`` it is killed, for :meth:`sweep`."""
        pid_file = self._run / "supervisord.pid"
        pid = int(pid_file.read_text()) if pid_file.exists() else None
        self._rpc().shutdown()
        if pid is not None and _wait([pid], seconds):
            os.kill(pid, signal.SIGKILL)

    def strays(self) -> list[psutil.Process]:
        """Processes of this stack, found by their environment, whether or not a supervisor knows them."""
        found = []
        for process in psutil.process_iter():
            if process.pid == os.getpid():
                continue
            try:
                if self._is_ours(process):
                    found.append(process)
            except (psutil.AccessDenied, psutil.NoSuchProcess):
                continue  # another user's, or gone meanwhile: not ours to stop
        return found

    def _is_ours(self, process: psutil.Process) -> bool:
        try:
            return bool(process.environ().get(MARK) == str(self._state))
        except psutil.AccessDenied:
            if os.geteuid() != 0:
                raise
            # Root in a container that lacks CAP_SYS_PTRACE cannot read the environment of another user's process, which
            # Postgres's is; but what it was called with, and that names the folder of its data.
            return any(word.startswith(f"{self._state}/") for word in process.cmdline())

    def sweep(self) -> int:
        """End what is left of a stack whose supervisor is gone; how many processes that were."""
        left = {process.pid: process for process in self.strays()}
        for process in left.values():
            # For Postgres SIGTERM means "once every client has left"; SIGINT means now, and cleanly.
            _signal(process, signal.SIGTERM, of_postgres=signal.SIGINT)
        stubborn = _wait(left, 20)
        for pid in stubborn:
            _signal(left[pid], signal.SIGKILL, of_postgres=signal.SIGKILL)
        _wait(stubborn, 10)
        return len(left)

    def _rpc(self) -> Any:
        transport = SupervisorTransport(None, None, serverurl=f"unix://{self._socket}")
        return xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport).supervisor


def _signal(process: psutil.Process, number: signal.Signals, of_postgres: signal.Signals) -> None:
    try:
        process.send_signal(of_postgres if process.name() == "postgres" else number)
    except psutil.NoSuchProcess:
        return


def ended(pid: int) -> bool:
    """Whether ``pid`` is gone, or is a zombie that nobody reaps: in a container the first process often does not."""
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def _wait(pids: Iterable[int], seconds: float) -> list[int]:
    """Those of ``pids`` that have not ended after ``seconds``."""
    deadline = time.monotonic() + seconds
    while (left := [pid for pid in pids if not ended(pid)]) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left


def _quoted(text: str) -> str:
    """``text`` as supervisord's configuration wants it: in double quotes, percent signs doubled."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped}"'


def _value(text: str) -> str:
    """``text`` as supervisord wants a variable's value: it knows no escapes there, and strips quotes at both ends.

    :raises StackError: when ``text`` has quotes of both kinds, or at an end.
    """
    quote = "'" if '"' in text else '"'
    if quote in text or text != text.strip("'\""):
        raise StackError(f"supervisord cannot be given a value with such quotes: {text[:40]}…")
    return quote + text.replace("%", "%%") + quote
