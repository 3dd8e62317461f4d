"""Of three brokers everybody knows all, and topics are made once there are three."""

from pathlib import Path

from stack import environment
from stack.lifecycle import with_needs
from stack.programs import Program
from stack.servers import kafka_broker
from stack.settings import StackSettings
from tests.faults.plant import Plant
from tests.faults.run import PARTS
from tests.faults.trio import BROKERS, PORTS, SERVERS, Trio


def test_who_speaks_with_kafka_is_told_of_all_three(tmp_path: Path) -> None:
    """Else nothing is tested but what one broker is worth."""
    settings = StackSettings(watershed_state=tmp_path)
    plant = Plant(settings, Trio(settings))
    told = {program.name: program.env[SERVERS] for program in plant.programs if SERVERS in program.env}
    told |= {room: plant.own(room)[SERVERS] for room in ("load", "books") if SERVERS in plant.own(room)}
    assert set(told) >= {"collector", "lander"}
    for name, servers in told.items():
        assert len(set(servers.split(","))) == len(BROKERS), name
        assert kafka_broker.rooms_bootstrap(settings) in servers, name
    alone = environment.own("collector", settings, plant.stack.secrets)
    assert {name for name, value in plant.own("collector").items() if alone.get(name) != value} == {SERVERS}


def test_a_plant_starts_all_three_and_its_topics_wait_for_them(tmp_path: Path) -> None:
    settings = StackSettings(watershed_state=tmp_path)
    plant = Plant(settings, Trio(settings))
    parts = with_needs(plant.stack.all_parts, PARTS)
    assert {part.name for part in parts} >= {*BROKERS, *PARTS}
    (topics,) = (part for part in parts if part.name == "topics")
    assert set(topics.needs) >= set(BROKERS)
    brokers = [part for part in plant.stack.all_parts if isinstance(part, Program) and part.name in BROKERS]
    assert len(brokers) == len({str(part.argv) for part in brokers}) == len(BROKERS), "each on files of its own"


def test_no_two_listen_on_one_port(tmp_path: Path) -> None:
    settings = StackSettings(watershed_state=tmp_path, port_offset=9000)
    trio = Trio(settings)
    others = [port for name, port in settings.ports().items() if not name.startswith("KAFKA")]
    theirs = [trio.settings_of(name).port(port) for name in BROKERS for port in PORTS]
    assert len({*others, *theirs}) == len(others) + len(theirs)


def test_each_broker_knows_the_others_and_keeps_three_copies(tmp_path: Path) -> None:
    settings = StackSettings(watershed_state=tmp_path)
    trio = Trio(settings)
    said = {}
    for name in BROKERS:
        lines = trio.configuration(name).splitlines()
        said[name] = dict(line.split("=", 1) for line in lines)
        assert len(said[name]) == len(lines), "a property that is there twice"
    assert {values["node.id"] for values in said.values()} == {"1", "2", "3"}
    (voters,) = {values["controller.quorum.voters"] for values in said.values()}
    for values in said.values():
        assert values["offsets.topic.replication.factor"] == "3"
        assert f"{values['node.id']}@{values['listeners'].rpartition('CONTROLLER://')[2]}" in voters.split(",")
