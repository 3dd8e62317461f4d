"""Three brokers, replication factor 3, min ISR 2, all under a plant's supervisor; and one or two of them taken away."""

import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace

from confluent_kafka import KafkaException

from collector import topics
from collector.settings import CollectorSettings
from contracts.registry import Registry
from stack import secrets
from stack.programs import Part, Program, StackError, Step, nothing
from stack.secrets import write_private
from stack.servers import kafka_broker
from stack.settings import StackSettings
from tests.faults.bout import RECOVERS, End, Fault
from tests.faults.cuts import spooling
from tests.faults.fitting import Fitting
from tests.faults.plant import Plant
from tests.integration.lander.processes import wait_for

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
PORTS, PORTS_APART = ("kafka", "kafka_rooms", "kafka_controller"), 100
"""Each broker's ports, and how far they are from those of the one before."""
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
        apart = PORTS_APART * BROKERS.index(name)
        ports = {f"{port}_port": getattr(settings, f"{port}_port") + apart for port in PORTS}
        return settings.model_copy(update={"watershed_state": settings.data / name, **ports})

    def settings_of(self, name: str) -> StackSettings:
        """A broker's own settings."""
        return self._settings[name]

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
        topics.ensure(Registry.load(), self._collector)

    @property
    def _collector(self) -> CollectorSettings:
        servers = ",".join(map(kafka_broker.operator_bootstrap, self._settings.values()))
        return CollectorSettings(
            kafka_bootstrap_servers=servers, kafka_replication_factor=COPIES, kafka_min_insync_replicas=IN_SYNC
        )

    def lacking(self) -> str | None:
        """Which partition has not all its copies, all in sync, or which topic takes less than two; None: all is well.

        :raises KafkaException: the brokers are away.
        """
        client = kafka_broker.admin(self._settings[BROKERS[0]], self._secrets, kafka_broker.BROKER)
        for name, topic in client.list_topics(timeout=10).topics.items():
            for number, partition in topic.partitions.items():
                if not len(partition.replicas) == len(partition.isrs) == COPIES:
                    return f"{name} {number}: of copies {partition.replicas} in sync are {partition.isrs}"
        differs = [row["topic"] for row in topics.describe(Registry.load(), self._collector) if row["differs"]]
        return f"other settings than were asked for: {', '.join(differs)}" if differs else None

    def _broker(self, name: str) -> Program:
        program = kafka_broker.program(self._settings[name], self._secrets)
        return replace(program, name=name, prepare=lambda: self._prepare(name), not_ready=lambda: self.not_ready(name))

    def _prepare(self, name: str) -> None:
        settings = self._settings[name]
        settings.run.mkdir(parents=True, exist_ok=True)
        properties = settings.run / "kafka.properties"
        write_private(properties, self.configuration(name))
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
    """Of three brokers one, which is borne, and two, which min ISR 2 does not bear: killed, and stopped for a while.

    Senders see nothing of either: what Kafka does not take, the collector's spool does.
    """
    first, second, third = BROKERS
    return [
        *(_killed(name) for name in BROKERS),
        _killed(first, third),
        _paused(2 * seconds, borne_by_kafka, second),
        _paused(seconds, not_borne_by_kafka, first, second),
    ]


def _killed(*names: str) -> Fault:
    def make(plant: Plant) -> End:
        _whole(plant)
        for name in names:
            plant.kill(name)
        return nothing

    return _fault(f"kill -9 of {' and '.join(names)}", make, 0)


def _paused(seconds: float, shown: Callable[[Plant], None], *names: str) -> Fault:
    """``shown`` looks at the end whether it was borne as it has to be."""

    def make(plant: Plant) -> End:
        _whole(plant)
        with ExitStack() as pausing:
            for name in names:
                pausing.callback(plant.resume, plant.pause(name))
            stopped = pausing.pop_all()

        def end() -> None:
            with stopped:
                shown(plant)

        return end

    return _fault(f"SIGSTOP, SIGCONT of {' and '.join(names)}", make, seconds)


def _fault(name: str, make: Callable[[Plant], End], seconds: float) -> Fault:
    shows = (*BROKERS, "collector", "lander")
    return Fault(f"three brokers: {name}", "broker", make, shows, seconds, checks=spooling, borne=True)


def borne_by_kafka(plant: Plant) -> None:
    """While one is away, events go straight to the others."""
    (check,) = spooling(plant).values()
    assert (why := check()) is None, f"one of three is away, and {why}"


def not_borne_by_kafka(plant: Plant) -> None:
    """While two are, the one that is left takes none."""
    (check,) = spooling(plant).values()
    assert check() is not None, "two of three are away, and events go straight to Kafka: min ISR is not in force"


def _whole(plant: Plant) -> None:
    """Wait until every partition has its three copies in sync, as after a fault before: else less is tested."""
    trio = plant.fitting
    assert isinstance(trio, Trio), "this plant has one broker"
    wait_for("three copies of everything are in sync", lambda: trio.lacking() is None, 4 * RECOVERS["broker"])
