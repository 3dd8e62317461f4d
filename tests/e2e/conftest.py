"""The whole stack with the demo's events in it: sent once, looked at by every end-to-end test."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from stack.settings import REPO
from tests.e2e.kit import Airflow, Warehouse, last_json, watershed

ACCESS_LOG = REPO.parent / "shared" / "data" / "access_log.gz"
PAGE_VIEWS = 20_000
MOST_SECONDS = 2400
"""For one test and the fixtures it is the first to need: every server's start, and the demo's own patience."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """End-to-end tests wait for the whole pipeline; each wait inside has its own, shorter bound."""
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.timeout(MOST_SECONDS))


@pytest.fixture(scope="session")
def env(whole_stack: Any) -> Mapping[str, str]:
    """Every endpoint and credential of the whole stack."""
    values: Mapping[str, str] = whole_stack.env
    return values


@pytest.fixture(scope="session")
def warehouse(env: Mapping[str, str]) -> Warehouse:
    return Warehouse(env["WAREHOUSE_DSN"])


@pytest.fixture(scope="session")
def airflow(env: Mapping[str, str]) -> Iterator[Airflow]:
    with Airflow(env) as client:
        yield client


@pytest.fixture(scope="session")
def demo(env: Mapping[str, str]) -> dict[str, Any]:
    """``make demo``, with fewer events: sent, waited for, compared."""
    return last_json(watershed(env, "demo", "run", "--total", str(PAGE_VIEWS), "--json"))


@pytest.fixture(scope="session")
def access_log() -> Path:
    if not ACCESS_LOG.exists():
        pytest.skip(f"there is no access log at {ACCESS_LOG}")
    return ACCESS_LOG


@pytest.fixture(scope="session")
def log_demo(env: Mapping[str, str], access_log: Path, demo: dict[str, Any]) -> dict[str, Any]:
    """``make demo LOG=…``: a real log in a tenant of its own."""
    return last_json(watershed(env, "demo", "run", "--log", str(access_log), "--json"))


@pytest.fixture(scope="session")
def pictures(whole_stack: Any) -> Iterator[Path]:
    """Where pictures of pages are kept, to be looked at when a test fails."""
    folder: Path = whole_stack.settings.watershed_state / "pictures"
    folder.mkdir(parents=True, exist_ok=True)
    yield folder
