"""Who is to speak through a wire is told of no other way."""

from pathlib import Path

from stack import environment, secrets
from stack.servers import kafka_broker, spark_connect
from stack.settings import StackSettings
from tests.faults.wiring import BUILDS, PAIRS, PORTS, redirected, with_listeners


def test_ports_are_replaced_wherever_they_stand_and_only_those() -> None:
    text = "a=postgresql://u:24432@127.0.0.1:24432/warehouse b=http://127.0.0.1:24090 c=127.0.0.1:244321 d=10.0.0.1:1"
    assert redirected(text, {24432: 5, 24090: 6}) == (
        "a=postgresql://u:24432@127.0.0.1:5/warehouse b=http://127.0.0.1:6 c=127.0.0.1:244321 d=10.0.0.1:1"
    )


def test_what_a_client_is_told_names_each_server_that_it_has_a_wire_to(tmp_path: Path) -> None:
    """Else that wire would be cut in vain, and the other way stay open."""
    settings = StackSettings(watershed_state=tmp_path)
    made = secrets.load(tmp_path / "secrets.json")
    for pair in (*PAIRS, *BUILDS):
        if pair.client == "spark-connect":
            values = spark_connect.lake_properties(settings, made, environment.LAKE_WAREHOUSE)
        else:
            values = environment.own(pair.client, settings, made)
        text = " ".join(values.values())
        port = settings.port(PORTS[pair.server])
        assert f"127.0.0.1:{port}" in text, pair
        assert f":{port}" not in redirected(text, {port: 5}), f"{pair}: another spelling of the address"


def test_a_broker_says_to_its_clients_that_it_is_at_the_wires_end(tmp_path: Path) -> None:
    settings = StackSettings(watershed_state=tmp_path)
    made = secrets.load(tmp_path / "secrets.json")
    before = dict(line.split("=", 1) for line in kafka_broker.configuration(settings, made).splitlines())
    text = with_listeners(kafka_broker.configuration(settings, made), {"lander": (7, 8)})
    after = dict(line.split("=", 1) for line in text.splitlines())
    assert after["listeners"] == before["listeners"] + ",LANDER://127.0.0.1:7"
    assert after["advertised.listeners"] == before["advertised.listeners"] + ",LANDER://127.0.0.1:8"
    assert after["listener.security.protocol.map"].endswith(",LANDER:SASL_PLAINTEXT")
    login = "plain.sasl.jaas.config"
    assert after[f"listener.name.lander.{login}"] == before[f"listener.name.rooms.{login}"]
    assert {name for name in after if after[name] != before.get(name)} == {
        "listeners", "advertised.listeners", "listener.security.protocol.map", f"listener.name.lander.{login}",
    }  # fmt: skip
