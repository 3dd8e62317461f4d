"""Fixtures of the collector's tests: one broker a run, a collector a test."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.collector.harness import Broker, CollectorProcess


@pytest.fixture(scope="session")
def shared_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    broker = Broker(tmp_path_factory.mktemp("kafka"))
    broker.start()
    broker.ensure_topics()
    yield broker
    broker.kill()


@pytest.fixture
def broker(shared_broker: Broker) -> Iterator[Broker]:
    """The broker, running at the beginning of each test, whatever the one before did to it."""
    assert shared_broker.process is not None
    shared_broker.signal(signal.SIGCONT) if shared_broker.process.poll() is None else shared_broker.start()
    shared_broker.ensure_topics()
    yield shared_broker


@pytest.fixture
def collector(broker: Broker, tmp_path: Path) -> Iterator[CollectorProcess]:
    """A collector, not started yet."""
    made = CollectorProcess(broker.login, tmp_path)
    yield made
    if made.process is not None and made.process.poll() is None:
        made.kill()
    made.http.close()
