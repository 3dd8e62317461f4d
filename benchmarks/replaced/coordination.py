"""Zookeeper beside KRaft: what a process of its own for the cluster's metadata takes, and what Kafka 4 says to it."""

import socket
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.replaced import fetch
from benchmarks.replaced.processes import running, settle
from stack import secrets
from stack.programs import Program, tcp_not_ready
from stack.secrets import write_private
from stack.servers import kafka_broker
from stack.settings import StackSettings

ZOOKEEPER = (
    "org.apache.zookeeper:zookeeper:3.9.5",
    "io.dropwizard.metrics:metrics-core:4.1.12.1",
    "org.xerial.snappy:snappy-java:1.1.10.5",
)


def zookeeper(place: Path, port: int) -> Program:
    """An ensemble of one with a heap of 128 MB, a quarter of what Kafka's own start script gave it."""
    config = place / "zoo.cfg"

    def prepare() -> None:
        (place / "data").mkdir(parents=True, exist_ok=True)
        config.write_text(
            f"dataDir={place / 'data'}\nclientPort={port}\nclientPortAddress=127.0.0.1\n"
            "admin.enableServer=false\n4lw.commands.whitelist=ruok\n"
        )

    def not_ready() -> str | None:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
                connection.sendall(b"ruok")
                return None if connection.recv(4) == b"imok" else "not ok yet"
        except OSError as error:
            return str(error)

    flags = ["-Xms64m", "-Xmx128m", "-XX:+UseSerialGC", "-Xss512k"]
    return Program(
        name="zookeeper",
        argv=[
            "java",
            *flags,
            "-cp",
            fetch.jars(*ZOOKEEPER),
            "org.apache.zookeeper.server.quorum.QuorumPeerMain",
            config,
        ],
        prepare=prepare,
        not_ready=not_ready,
    )


def _split(settings: StackSettings, known: Mapping[str, str]) -> list[Program]:
    """Our broker as the two processes that it combines: a controller and a broker, each formatted by itself."""
    whole = kafka_broker.program(settings, known)
    whole.prepare()
    common = dict(line.split("=", 1) for line in (settings.run / "kafka.properties").read_text().splitlines())
    *clients, controller = common["listeners"].split(",")
    ways: Mapping[str, tuple[dict[str, str], Callable[[], str | None]]] = {
        "controller": (
            {"node.id": "1", "listeners": controller, "advertised.listeners": controller},
            tcp_not_ready(settings.port("kafka_controller")),
        ),
        "broker": ({"node.id": "2", "listeners": ",".join(clients)}, whole.not_ready),
    }
    cluster = next(
        line.removeprefix("cluster.id=")
        for line in (settings.data / "kafka" / "meta.properties").read_text().splitlines()
        if line.startswith("cluster.id=")
    )
    programs = []
    for role, (own, not_ready) in ways.items():
        path = settings.run / f"kafka-{role}.properties"
        values = {**common, **own, "process.roles": role, "log.dirs": str(settings.data / f"kafka-{role}")}
        write_private(path, "".join(f"{name}={value}\n" for name, value in values.items()))
        storage = ["java", "-Xmx128m", "-cp", kafka_broker.class_path(), "kafka.tools.StorageTool"]
        words = ["format", "--ignore-formatted", "-t", cluster, "-c", str(path)]
        subprocess.run([*storage, *words], check=True, capture_output=True)
        programs.append(
            replace(
                whole,
                name=f"kafka-{role}",
                argv=[*whole.argv[:-1], path],
                prepare=lambda: None,
                not_ready=not_ready,
            )
        )
    return programs


def refusal(settings: StackSettings) -> str:
    """What our Kafka answers to a configuration that names Zookeeper and no role, as every one before 4.0 did."""
    path = settings.run / "kafka-zookeeper.properties"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"broker.id=1\nzookeeper.connect=127.0.0.1:2181\nlog.dirs={settings.data / 'kafka-zk'}\n")
    argv = ["java", "-Xmx128m", "-cp", kafka_broker.class_path(), "kafka.Kafka", str(path)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    lines = (done.stdout + done.stderr).splitlines()
    return next((line.strip() for line in lines if "Exception" in line), f"exit code {done.returncode}")


def measure(settings: StackSettings) -> dict[str, Any]:
    """Idle memory (MiB) and start (s) of Zookeeper, of our combined broker, and of that broker split in two."""
    known = secrets.load(settings.watershed_state / "secrets.json")
    found: dict[str, Any] = {"kafka_4_with_zookeeper_connect": refusal(settings)}
    with running(
        zookeeper(settings.watershed_state / "zookeeper", settings.port("kafka_controller")), settings.logs
    ) as zk:
        settle()
        found["zookeeper"] = {"ready_seconds": zk.ready_seconds, "memory_mb": zk.memory_mb()}
    with running(kafka_broker.program(settings, known), settings.logs) as kafka:
        settle()
        found["kafka_combined"] = {"ready_seconds": kafka.ready_seconds, "memory_mb": kafka.memory_mb()}
    first, second = _split(settings, known)
    with running(first, settings.logs) as controller, running(second, settings.logs) as broker:
        settle()
        found["kafka_controller_alone"] = {
            "ready_seconds": controller.ready_seconds,
            "memory_mb": controller.memory_mb(),
        }
        found["kafka_broker_alone"] = {"ready_seconds": broker.ready_seconds, "memory_mb": broker.memory_mb()}
    return found
