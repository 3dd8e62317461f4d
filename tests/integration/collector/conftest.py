"""Fixtures of the collector's tests: one broker a run, a collector a test; a browser and a site a module."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext

from tests.integration.collector.browser_kit import AGENT, Shop, chromium, open_shop
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


@pytest.fixture(scope="module")
def opened(shared_broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    collector = CollectorProcess(shared_broker.login, tmp_path_factory.mktemp("tracked"))
    with open_shop(collector, shared_broker) as made:
        yield made
    assert collector.stop() == 0


@pytest.fixture
def shop(opened: Shop, broker: Broker) -> Shop:
    """A site with the tracker on every page, as most would have it."""
    opened.attributes, opened.early = 'crossorigin data-region="DE" data-consent="given"', ""
    return opened


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as launched:
        yield launched


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    made = browser.new_context(user_agent=AGENT)
    yield made
    made.close()
