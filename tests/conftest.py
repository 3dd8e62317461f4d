"""Fixtures that every test may use: the real servers, started once a run, on ports and in a folder of their own."""

import os
import signal
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import settings as hypothesis

from stack import environment, secrets
from stack.lifecycle import Stack
from stack.settings import LOCAL, StackSettings
from tests.ports import PORT_OFFSET, WORKER

REPO = Path(__file__).resolve().parent.parent
SERVERS = ("topics", "lake-tables", "warehouse-schema", "redis", "spark-connect")
"""The parts that integration tests stand on; the end-to-end tests start the rest."""

# A shell without job control makes what it puts in the background deaf to Ctrl-C, and so would be all that tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)

# How long an example takes says what else the machine does, and fails no test.
hypothesis.register_profile("untimed", deadline=None)
hypothesis.load_profile("untimed")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What processes that share the tests take as one: a file, for its fixtures; what needs the whole stack, for that.

    The whole stack is the longest, so it comes first; unit tests fill what is left at the end.
    """
    if not config.getoption("numprocesses", None) and "PYTEST_XDIST_WORKER" not in os.environ:
        return
    kinds = ("e2e", "integration", "unit")
    items.sort(key=lambda item: kinds.index(item.path.relative_to(REPO / "tests").parts[0]))
    for item in items:
        of = item.path.relative_to(REPO / "tests")
        item.add_marker(pytest.mark.xdist_group("e2e" if of.parts[0] == "e2e" else of.as_posix()))


@dataclass(frozen=True)
class RunningStack:
    """A stack that tests talk to: ``env`` holds every endpoint and the operator's credentials by name."""

    env: Mapping[str, str]
    settings: StackSettings

    def own(self, process: str) -> dict[str, str]:
        """What a process of the stack is given: its own credentials, and only those."""
        return environment.own(process, self.settings, secrets.load(self.settings.watershed_state / "secrets.json"))


def _test_settings() -> StackSettings:
    return StackSettings(watershed_state=LOCAL / f"test{WORKER or ''}", port_offset=PORT_OFFSET)


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
