"""A lander as a process of its own, a connection that can be cut, and waiting for what they do."""

import contextlib
import json
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

REPO = Path(__file__).resolve().parents[3]


def wait_for(what: str, check: Callable[[], Any], seconds: float = 60) -> Any:
    """Wait until ``check`` gives something true, and give that."""
    deadline = time.monotonic() + seconds
    while True:
        found = check()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.1)


class Cable:
    """A TCP connection to one of the servers that can be cut."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._whole = True
        self._sockets: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Break what is open, refuse what comes."""
        self._whole = False
        for one in list(self._sockets):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def mend(self) -> None:
        """Let everything through again."""
        self._whole = True

    def close(self) -> None:
        """Cut for good."""
        self.cut()
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if not self._whole:
                client.close()
                continue
            server = socket.create_connection(self._target)
            for source, sink in ((client, server), (server, client)):
                self._sockets.add(source)
                threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        for one in (source, sink):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        self._sockets.discard(source)
        source.close()


class LanderProcess:
    """A lander at work."""

    def __init__(self, env: Mapping[str, str], log: Path) -> None:
        self.port = int(env["LANDER_PORT"])
        self.log = log
        with log.open("ab") as sink:
            self.process = subprocess.Popen([sys.executable, "-m", "collector.lander"], env=env, cwd=REPO, stderr=sink)

    def reasons(self) -> dict[str, str] | None:
        """Why it is not ready, by table; None while it does not answer."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health/ready", timeout=5) as answer:
                found: dict[str, str] = json.load(answer)["reasons"]
        except urllib.error.HTTPError as error:
            found = json.load(error)["reasons"]
        except OSError:
            return None
        return found

    def metric(self, name: str, table: str) -> float:
        """A metric of one table; 0 while it does not answer."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=5) as answer:
                lines = answer.read().decode().splitlines()
        except OSError:
            return 0
        start = f'{name}{{table="{table}"}} '
        return next((float(line.removeprefix(start)) for line in lines if line.startswith(start)), 0)

    def kill(self, number: int = signal.SIGKILL) -> int:
        """Send a signal and wait for the end."""
        self.process.send_signal(number)
        return self.process.wait(60)

    def words(self) -> str:
        """Its log."""
        return self.log.read_text()
