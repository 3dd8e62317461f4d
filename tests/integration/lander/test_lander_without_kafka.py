"""Kafka goes away under the lander, is killed, hangs and comes back: nothing is lost, nothing lands twice."""

import itertools
import signal
import threading
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import sql

from contracts.registry import Registry
from stack import secrets
from tests.integration.collector.harness import Broker, CollectorProcess, view
from tests.integration.lander.world import World
from warehouse.migrate import migrate

RED_WITHIN = 10.0
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def away(stack: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Broker, dict[str, str]]]:
    """A broker that may be killed, and a catalog and a warehouse of its own, since they hold its offsets."""
    name = f"away_{uuid.uuid4().hex[:8]}"
    databases = {f"{name}_catalog": "catalog", f"{name}_warehouse": "watershed"}
    password = secrets.load(Path(stack.env["WATERSHED_STATE"]) / "secrets.json")["postgres"]
    root = f"postgresql://postgres:{password}@{urlsplit(stack.env['WAREHOUSE_DSN']).netloc.rpartition('@')[2]}/postgres"
    broker = Broker(tmp_path_factory.mktemp("kafka"))
    with psycopg.connect(root, autocommit=True) as connection:
        for database, owner in databases.items():
            connection.execute(
                sql.SQL("create database {} owner {}").format(sql.Identifier(database), sql.Identifier(owner))
            )
        env = {
            **stack.env,
            "KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap,
            "LAKE_WAREHOUSE": f"{stack.env['LAKE_WAREHOUSE']}/{name}",
            "LAKE_CATALOG_URI": _other(stack.env["LAKE_CATALOG_URI"], f"{name}_catalog"),
            "WAREHOUSE_DSN": _other(stack.env["WAREHOUSE_DSN"], f"{name}_warehouse"),
            "LANDER_DSN": _other(stack.env["LANDER_DSN"], f"{name}_warehouse"),
        }
        migrate(env["WAREHOUSE_DSN"], list(Registry.load()))
        yield broker, env
        if broker.process is not None and broker.process.poll() is None:
            broker.kill()
        for database in databases:
            connection.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(database)))


def _other(dsn: str, database: str) -> str:
    """The same server and role, another database."""
    return f"{dsn.rpartition('/')[0]}/{database}"


@pytest.fixture
def broker(away: tuple[Broker, dict[str, str]]) -> Broker:
    """The broker, running at the beginning of each test."""
    found = away[0]
    if found.process is None or found.process.poll() is not None:
        found.start()
    found.ensure_topics()
    return found


@pytest.fixture
def collector(broker: Broker, tmp_path: Path) -> Iterator[CollectorProcess]:
    """A collector on that broker, not started yet."""
    made = CollectorProcess(broker.login, tmp_path / "collector")
    yield made
    if made.process is not None and made.process.poll() is None:
        made.kill()
    made.http.close()


@pytest.fixture
def lonely(broker: Broker, away: tuple[Broker, dict[str, str]], tmp_path: Path) -> Iterator[World]:
    """A world on that broker; the lander's heartbeat and its patience are those of production."""
    made = World(away[1], {}, tmp_path)
    for name in ("LAND_HEARTBEAT_SECONDS", "LAND_LOCK_SECONDS"):
        del made.env[name]
    yield made
    if broker.process is None or broker.process.poll() is not None:
        broker.start()
    made.close()


def red(world: World) -> bool:
    return bool(world.landers[0].reasons())


def green(world: World) -> bool:
    return world.landers[0].reasons() == {}


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL], ids=["stopped", "killed"])
def test_a_broker_that_ends_and_starts_again_costs_nothing(lonely: World, broker: Broker, end: signal.Signals) -> None:
    world, stop = lonely, threading.Event()
    world.start()
    world.produce(200)
    world.assert_landed_once()
    world.wait_for("it is ready", lambda: green(world))

    def traffic() -> None:
        while not stop.is_set():
            world.produce(20)

    producing = threading.Thread(target=traffic)
    producing.start()
    time.sleep(1)  # some lie in the topic, some in the lander's buffer, some on the way
    gone = time.monotonic()
    broker.signal(end)
    assert broker.process is not None
    broker.process.wait(60)
    stop.set()
    world.wait_for("it says that Kafka is away", lambda: red(world), RED_WITHIN - (time.monotonic() - gone))
    promised = world.through()
    time.sleep(5)
    assert world.through() == promised, "nothing is promised of a time in which Kafka was away"
    broker.start()
    producing.join()
    world.produce(200)
    world.assert_landed_once()
    world.wait_for("it is ready again", lambda: green(world), 30)
    back = datetime.now(UTC)
    world.wait_for("the promise goes on", lambda: (world.through() or LONG_AGO) > back, 40)


def test_a_broker_that_hangs_is_said_to_be_away_and_taken_up_again(lonely: World, broker: Broker) -> None:
    world = lonely
    world.start()
    world.produce(100)
    world.assert_landed_once()
    world.wait_for("it is ready", lambda: green(world))
    broker.signal(signal.SIGSTOP)
    try:
        world.wait_for("it says that Kafka is away", lambda: red(world), RED_WITHIN)
        time.sleep(5)
    finally:
        broker.signal(signal.SIGCONT)
    world.produce(100)
    world.assert_landed_once()
    world.wait_for("it is ready again", lambda: green(world), 30)


def test_what_a_collector_took_that_started_without_kafka_is_never_promised_before_it_has_landed(
    lonely: World, broker: Broker, collector: CollectorProcess
) -> None:
    world = lonely
    world.env["CONTRACTS_DIR"] = str(Path(__file__).resolve().parents[3] / "contracts")
    world.env["LAND_ANNOUNCE_SECONDS"] = "15"
    world.table, numbers = "events.page_view", itertools.count(9_000_000)
    world.start()
    through = "select through from ledger.landed where type = 'page_view'"
    world.wait_for("a first promise", lambda: world.ledger(through), 60)
    broker.kill()
    collector.start()
    assert collector.process is not None
    assert collector.send(*[view(next(numbers)) for _ in range(10)]).status_code == 200
    taken = datetime.now(UTC)
    collector.process.send_signal(signal.SIGSTOP)  # it comes round to Kafka some seconds after the lander does
    broker.start()
    world.wait_for("the lander is back", lambda: green(world), 30)
    deadline = time.monotonic() + 6
    while time.monotonic() < deadline:
        assert world.ledger(through)[0][0] < taken, "promised, though it lies in a spool that nobody knew of"
        time.sleep(0.1)
    collector.process.send_signal(signal.SIGCONT)

    def landed_unpromised() -> bool:
        assert world.ledger(through)[0][0] < taken
        return len(world.landed()) == 10

    world.wait_for("they land", landed_unpromised)
    world.wait_for("the promise goes on", lambda: world.ledger(through)[0][0] > taken, 40)
    assert collector.stop() == 0
