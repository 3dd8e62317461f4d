"""Three brokers, replication factor 3, min ISR 2, all under a plant's supervisor; and one or two of them taken away."""

import random
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import replace

from confluent_kafka import KafkaException

from collector import topics
from collector.settings import CollectorSettings
from contracts.registry import Registry
from stack import secrets
from stack.programs import Part, Program, StackError, Step, nothing
from stack.servers import kafka_broker
from stack.settings import StackSettings
from tests.faults.bout import RECOVERS, End, Fault
from tests.faults.cuts import spooling
from tests.faults.fitting import Fitting
from tests.faults.plant import Plant
from tests.integration.collector.harness import free_port, wait_until

BROKERS = ("kafka", "kafka-2", "kafka-3")
"""By their programs' names; the first is the stack's own."""
COPIES, IN_SYNC = 3, 2
REPLICATED = {
    "offsets.topic.replication.factor": str(COPIES),
    "transaction.state.log.replication.factor": str(COPIES),
    "transaction.state.log.min.isr": str(IN_SYNC),
    "share.coordinator.state.topic.replication.factor": str(COPIES),
}
SESSION = {"broker.session.timeout.ms": "6000", "broker.heartbeat.interval.ms": "1000"}
SERVERS = "KAFKA_BOOTSTRAP_SERVERS"


class Trio(Fitting):
    """Two brokers more, beside the stack's; topics of three copies; and everybody is told of all three."""

    def __init__(self, settings: StackSettings) -> None:
        self._secrets = secrets.load(settings.watershed_state / "secrets.json")
        self._id = kafka_broker.cluster_id()
        self._settings = {name: self._of_node(settings, name) for name in BROKERS}

    @staticmethod
    def _of_node(settings: StackSettings, name: str) -> StackSettings:
        if name == BROKERS[0]:
            return settings
        return StackSettings(
            watershed_state=settings.data / name,
            kafka_port=free_port(),
            kafka_rooms_port=free_port(),
            kafka_controller_port=free_port(),
            kafka_heap_mb=settings.kafka_heap_mb,
        )

    def parts(self, parts: Sequence[Part]) -> list[Part]:
        """With two brokers more, for which the topics wait."""
        found: list[Part] = [self._broker(name) for name in BROKERS]
        for part in parts:
            if part.name == "topics":
                found.append(Step(part.name, self._make_topics, (*part.needs, *BROKERS)))
            elif isinstance(part, Program):
                found += [] if part.name == BROKERS[0] else [self.program(part)]
            else:
                found.append(part)
        return found

    def program(self, program: Program) -> Program:
        """The program, told of all three."""
        return replace(program, env=self._told(program.env))

    def own(self, room: str, values: Mapping[str, str]) -> dict[str, str]:
        """``values``, with all three."""
        return self._told(values)

    def not_ready(self, name: str) -> str | None:
        """Why a broker does not serve, or knows fewer than three; None: all is well with it."""
        client = kafka_broker.admin(self._settings[name], self._secrets, kafka_broker.BROKER)
        try:
            brokers = client.list_topics(timeout=3).brokers
        except KafkaException as error:
            return str(error)
        return None if len(brokers) == len(BROKERS) else f"knows of {len(brokers)} brokers"

    def _told(self, values: Mapping[str, str]) -> dict[str, str]:
        if SERVERS not in values:
            return dict(values)
        return {**values, SERVERS: ",".join(map(kafka_broker.rooms_bootstrap, self._settings.values()))}

    def _make_topics(self) -> None:
        servers = ",".join(map(kafka_broker.operator_bootstrap, self._settings.values()))
        settings = CollectorSettings(
            kafka_bootstrap_servers=servers, kafka_replication_factor=COPIES, kafka_min_insync_replicas=IN_SYNC
        )
        topics.ensure(Registry.load(), settings)

    def _broker(self, name: str) -> Program:
        program = kafka_broker.program(self._settings[name], self._secrets)
        return replace(program, name=name, prepare=lambda: self._prepare(name), not_ready=lambda: self.not_ready(name))

    def _prepare(self, name: str) -> None:
        settings = self._settings[name]
        settings.run.mkdir(parents=True, exist_ok=True)
        properties = settings.run / "kafka.properties"
        properties.write_text(self.configuration(name))
        (settings.run / "kafka-log4j2.properties").write_text(kafka_broker.LOG4J)
        if (settings.data / "kafka" / "meta.properties").exists():
            return
        argv = ["java", "-Xmx128m", "-cp", kafka_broker.class_path(), "kafka.tools.StorageTool", "format"]
        done = subprocess.run(
            [*argv, "-t", self._id, "-c", str(properties)], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise StackError(f"{name} could not be formatted: {done.stdout[-300:]} {done.stderr[-300:]}")

    def configuration(self, name: str) -> str:
        """A broker's properties."""
        nodes = {each: number for number, each in enumerate(BROKERS, 1)}
        voters = ",".join(f"{nodes[n]}@127.0.0.1:{s.port('kafka_controller')}" for n, s in self._settings.items())
        changed = {"node.id": str(nodes[name]), "controller.quorum.voters": voters, **REPLICATED, **SESSION}
        lines = kafka_broker.configuration(self._settings[name], self._secrets).splitlines()
        kept = [line for line in lines if line.partition("=")[0] not in changed]
        return "\n".join([*kept, *(f"{key}={value}" for key, value in changed.items())]) + "\n"


def taken_away(seconds: float) -> list[Fault]:
    """Of three brokers one, which is borne, and two, which min ISR 2 does not bear: killed, and stopped for a while."""
    shows = (*BROKERS, "collector", "lander")
    return [
        Fault("three brokers: each killed, one after another", "broker", _each_killed, shows),
        Fault("three brokers: two killed", "broker", _two_killed, shows, checks=spooling),
        Fault("three brokers: one SIGSTOP, SIGCONT", "broker", lambda plant: _paused(plant, 1), shows, seconds),
        Fault(
            "three brokers: two SIGSTOP, SIGCONT", "broker", lambda plant: _paused(plant, 2), shows, seconds,
            checks=spooling,
        ),
    ]  # fmt: skip


def _each_killed(plant: Plant) -> End:
    trio = _trio(plant)
    for name in BROKERS:
        wait_until(lambda: not any(map(trio.not_ready, BROKERS)), 4 * RECOVERS["broker"], "three brokers are there")
        plant.kill(name)
    return nothing


def _two_killed(plant: Plant) -> End:
    for name in _some(2):
        plant.kill(name)
    return nothing


def _paused(plant: Plant, number: int) -> End:
    family = [process for name in _some(number) for process in plant.pause(name)]
    return lambda: plant.resume(family)


def _some(number: int) -> list[str]:
    return random.sample(BROKERS, number)


def _trio(plant: Plant) -> Trio:
    assert isinstance(plant.fitting, Trio), "this plant has one broker"
    return plant.fitting
