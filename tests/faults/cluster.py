"""Three brokers, replication factor 3, min ISR 2: what the stack starts as one node, as a cluster that loses some."""

import os
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

from collector import topics
from collector.settings import CollectorSettings
from contracts.registry import Registry
from stack import secrets
from stack.servers import kafka_broker, kafka_rights
from stack.settings import StackSettings
from tests.integration.collector.harness import free_port, wait_until

NODES = (1, 2, 3)
REPLICATED = {
    "offsets.topic.replication.factor": "3",
    "transaction.state.log.replication.factor": "3",
    "transaction.state.log.min.isr": "2",
    "share.coordinator.state.topic.replication.factor": "3",
}
SESSION = {"broker.session.timeout.ms": "6000", "broker.heartbeat.interval.ms": "1000"}


class Cluster:
    """The brokers, by node id; their data outlive their processes."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.secrets = secrets.load(folder / "secrets.json")
        self._settings = {
            node: StackSettings(
                watershed_state=folder / str(node),
                kafka_port=free_port(),
                kafka_rooms_port=free_port(),
                kafka_controller_port=free_port(),
                kafka_heap_mb=256,
            )
            for node in NODES
        }
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        self._id = kafka_broker.cluster_id()

    @property
    def bootstrap(self) -> str:
        """Where the operator connects."""
        return ",".join(kafka_broker.operator_bootstrap(settings) for settings in self._settings.values())

    def login(self, user: str) -> dict[str, str]:
        """What a process of ours is told of Kafka."""
        brokers = ",".join(kafka_broker.rooms_bootstrap(settings) for settings in self._settings.values())
        return {
            **kafka_broker.login(self._settings[1], self.secrets, user),
            "KAFKA_BOOTSTRAP_SERVERS": brokers,
            "KAFKA_REPLICATION_FACTOR": "3",
            "KAFKA_MIN_INSYNC_REPLICAS": "2",
        }

    def start(self) -> None:
        """Start all three, with rights and topics."""
        for node in NODES:
            self.start_node(node)
        wait_until(lambda: self.ready() is None, 90, "three brokers are there")
        kafka_rights.apply(self._settings[1], self.secrets)
        settings = CollectorSettings(
            kafka_bootstrap_servers=self.bootstrap, kafka_replication_factor=3, kafka_min_insync_replicas=2
        )
        topics.ensure(Registry.load(), settings)

    def ready(self) -> str | None:
        """Why not all three are in the cluster; None when they are."""
        for node in NODES:
            if reason := self._not_ready(node):
                return reason
        return None

    def start_node(self, node: int) -> None:
        """Start one broker, ready or not."""
        settings = self._settings[node]
        properties = settings.run / "kafka.properties"
        settings.run.mkdir(parents=True, exist_ok=True)
        properties.write_text(self._configuration(node))
        (settings.run / "kafka-log4j2.properties").write_text(kafka_broker.LOG4J)
        if not (settings.data / "kafka" / "meta.properties").exists():
            argv = ["java", "-Xmx128m", "-cp", kafka_broker.class_path(), "kafka.tools.StorageTool", "format"]
            subprocess.run([*argv, "-t", self._id, "-c", str(properties)], check=True, capture_output=True)
        argv = [str(part) for part in kafka_broker.program(settings, self.secrets).argv]
        settings.logs.mkdir(parents=True, exist_ok=True)
        with (settings.logs / "kafka.log").open("ab") as log:
            self._processes[node] = subprocess.Popen(argv, stdout=log, stderr=log, env=dict(os.environ))

    def kill(self, node: int) -> None:
        """``kill -9``."""
        self._processes[node].kill()
        self._processes[node].wait()

    def signal(self, node: int, number: signal.Signals) -> None:
        """Send one broker a signal."""
        self._processes[node].send_signal(number)

    def close(self) -> None:
        """End all of them."""
        for process in self._processes.values():
            process.kill()
            process.wait()

    def _configuration(self, node: int) -> str:
        voters = ",".join(f"{n}@127.0.0.1:{s.port('kafka_controller')}" for n, s in self._settings.items())
        changed: Mapping[str, str] = {"node.id": str(node), "controller.quorum.voters": voters, **REPLICATED, **SESSION}
        lines = kafka_broker.configuration(self._settings[node], self.secrets).splitlines()
        kept = [line for line in lines if line.partition("=")[0] not in changed]
        return "\n".join([*kept, *(f"{name}={value}" for name, value in changed.items())]) + "\n"

    def _not_ready(self, node: int) -> str | None:
        client = kafka_broker.admin(self._settings[node], self.secrets, kafka_broker.BROKER)
        try:
            brokers = client.list_topics(timeout=3).brokers
        except Exception as error:
            return f"{node}: {error}"
        return None if len(brokers) == len(NODES) else f"{node}: knows of {len(brokers)} brokers"
