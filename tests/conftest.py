"""Fixtures that every test may use: the real servers, started once a run, on ports and in a folder of their own."""

import os
import signal
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings as hypothesis
from xdist.scheduler.loadfile import LoadFileScheduling

from stack import environment, secrets
from stack.lifecycle import Stack
from stack.settings import LOCAL, StackSettings
from tests.ports import WORKER, port_offset

REPO = Path(__file__).resolve().parent.parent
SERVERS = ("topics", "lake-tables", "warehouse-schema", "redis", "spark-connect")
"""The parts that integration tests stand on; the end-to-end tests start the rest."""

# A shell without job control makes what it puts in the background deaf to Ctrl-C, and so would be all that tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)

# How long an example takes says what else the machine does, and fails no test.
hypothesis.register_profile("untimed", deadline=None)
hypothesis.load_profile("untimed")


class ByFile(LoadFileScheduling):
    """What one of the processes that share the tests takes: a file, or all that needs the whole stack."""

    def _split_scope(self, nodeid: str) -> str:
        file: str = super()._split_scope(nodeid)
        return "tests/e2e" if file.startswith("tests/e2e/") else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFile:
    return ByFile(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where tests are shared, the longest first: what needs the whole stack; the units fill what is left at the end."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        first = {"e2e": 0, "integration": 1}
        items.sort(key=lambda item: first.get(item.path.relative_to(REPO / "tests").parts[0], 2))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Ctrl-C ends the processes that share the tests at once: what they had started is stopped here."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        for worker in range(session.config.getoption("numprocesses", None) or 0):
            Stack(_test_settings(worker)).down(_say)


@dataclass(frozen=True)
class RunningStack:
    """A stack that tests talk to: ``env`` holds every endpoint and the operator's credentials by name."""

    env: Mapping[str, str]
    settings: StackSettings

    def own(self, process: str) -> dict[str, str]:
        """What a process of the stack is given: its own credentials, and only those."""
        return environment.own(process, self.settings, secrets.load(self.settings.watershed_state / "secrets.json"))


def _test_settings(worker: int = WORKER) -> StackSettings:
    return StackSettings(watershed_state=LOCAL / f"test{worker or ''}", port_offset=port_offset(worker))


def _read_env(path: Path) -> dict[str, str]:
    return dict(line.split("=", 1) for line in path.read_text().splitlines() if "=" in line)


def _say(part: str, what: str) -> None:
    sys.stderr.write(f"  {part:<20} {what}\n")


@pytest.fixture(scope="session")
def fresh_test_stack() -> Iterator[None]:
    """An empty test stack at the start, no process of it left at the end."""
    if os.environ.get("WATERSHED_TEST_ENV"):
        yield
        return
    stack = Stack(_test_settings())
    stack.reset(_say)
    yield
    Stack(_test_settings()).down(_say)


@pytest.fixture(scope="session")
def stack(fresh_test_stack: None) -> RunningStack:
    """Real Kafka, S3, Postgres, Redis and Spark Connect, with topics, tables and schemas made.

    ``WATERSHED_TEST_ENV`` names the ``env`` file of a stack that already runs, to use that instead while developing.
    """
    given = os.environ.get("WATERSHED_TEST_ENV")
    if given:
        return RunningStack(_read_env(Path(given)), StackSettings())
    running = Stack(_test_settings(), only=SERVERS)
    running.up(_say)
    return RunningStack(dict(running.env), running.settings)


@pytest.fixture(scope="session")
def whole_stack(stack: RunningStack) -> RunningStack:
    """Everything: also collector, lander, docs, Airflow and Superset."""
    if os.environ.get("WATERSHED_TEST_ENV"):
        return stack
    running = Stack(_test_settings())
    running.up(_say)
    return RunningStack(_read_env(running.settings.watershed_state / "env"), running.settings)
