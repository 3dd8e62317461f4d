"""Wires between a plant's programs: each pair that speaks speaks through one of its own, so that it can be cut alone.

A program is told of other addresses when it starts, in its environment or in its file of properties. Kafka tells its
clients itself where it is: for each of them it listens on a port more, and says that it is at the wire's end.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

from stack.programs import Program
from stack.secrets import write_private
from stack.settings import StackSettings
from tests.faults.fitting import Fitting
from tests.faults.s3_wire import S3Wire
from tests.faults.wire import Wire
from tests.integration.collector.harness import free_port

PORTS = {"kafka": "kafka_rooms", "s3": "s3", "postgres": "postgres", "spark-connect": "spark_connect"}
"""By server, the setting of the port that our processes are told of."""
TOLD_BY_FILE = {"spark-connect": "spark.properties"}
"""Who is told where others are by a file, not by its environment."""
BROKER = "kafka.properties"


class Pair(NamedTuple):
    """Who asks, and who is asked."""

    client: str
    server: str

    def __str__(self) -> str:
        return f"{self.client} to {self.server}"


PAIRS = tuple(
    Pair(client, server)
    for client, servers in {
        "collector": ("kafka",),
        "lander": ("kafka", "s3", "postgres"),
        "load": ("spark-connect", "postgres", "s3"),
        "spark-connect": ("s3", "postgres"),
    }.items()
    for server in servers
)
"""All pairs on an event's way to the rollups. The collector speaks with Kafka alone, its keys are a file; nobody on
this way speaks with Redis."""
BUILDS = (Pair("publish", "postgres"), Pair("gate", "postgres"), Pair("dbt", "postgres"))
"""On the way from the rollups to the marts, for which nobody asks another server; who publishes claims, too."""


class Wiring(Fitting):
    """A wire a pair. Made before the stack starts, whose programs are told of it; closed when it is down."""

    def __init__(self, settings: StackSettings) -> None:
        self._settings = settings
        self._listeners: dict[str, tuple[int, int]] = {}
        self.wires: dict[Pair, Wire] = {}
        for pair in (*PAIRS, *BUILDS):
            port = free_port() if pair.server == "kafka" else settings.port(PORTS[pair.server])
            wire = self.wires[pair] = (S3Wire if pair.server == "s3" else Wire)("127.0.0.1", port)
            if pair.server == "kafka":
                self._listeners[pair.client] = (port, wire.port)

    def program(self, program: Program) -> Program:
        """The program as it has to be started, to speak through its wires."""
        if program.name == "kafka":
            return self._told(program, BROKER, partial(with_listeners, listeners=self._listeners))
        ways = self._ways(program.name)
        if program.name in TOLD_BY_FILE:
            return self._told(program, TOLD_BY_FILE[program.name], partial(redirected, ways=ways))
        return replace(program, env={name: redirected(value, ways) for name, value in program.env.items()})

    def own(self, room: str, values: Mapping[str, str]) -> dict[str, str]:
        """What a command of ``room`` has to be told, instead of ``values``."""
        return {name: redirected(value, self._ways(room)) for name, value in values.items()}

    def close(self) -> None:
        """Cut all for good."""
        for wire in self.wires.values():
            wire.close()

    def _ways(self, client: str) -> dict[int, int]:
        of_client = {pair.server: wire.port for pair, wire in self.wires.items() if pair.client == client}
        return {self._settings.port(PORTS[server]): port for server, port in of_client.items()}

    def _told(self, program: Program, file: str, change: Callable[[str], str]) -> Program:
        path = self._settings.run / file

        def prepare() -> None:
            program.prepare()
            _rewrite(path, change)

        return replace(program, prepare=prepare)


def redirected(text: str, ways: Mapping[int, int]) -> str:
    """``text`` with other ports of this machine, each as ``ways`` has it."""
    return re.sub(r"(?<=127\.0\.0\.1:)\d+", lambda found: str(ways.get(int(found[0]), found[0])), text)


def with_listeners(text: str, listeners: Mapping[str, tuple[int, int]]) -> str:
    """A broker's properties with more listeners, with the rooms' log-ins.

    ``listeners``: by name the port it listens on, and the one at which it says to be.
    """
    lines = []
    for line in text.splitlines():
        name, _, value = line.partition("=")
        for listener, (port, said) in listeners.items():
            match name:
                case "listeners":
                    value += f",{listener.upper()}://127.0.0.1:{port}"
                case "advertised.listeners":
                    value += f",{listener.upper()}://127.0.0.1:{said}"
                case "listener.security.protocol.map":
                    value += f",{listener.upper()}:SASL_PLAINTEXT"
                case "listener.name.rooms.plain.sasl.jaas.config":
                    lines.append(f"listener.name.{listener}.plain.sasl.jaas.config={value}")
        lines.append(f"{name}={value}")
    return "\n".join(lines) + "\n"


def _rewrite(path: Path, change: Callable[[str], str]) -> None:
    write_private(path, change(path.read_text()))
