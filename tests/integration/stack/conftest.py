"""Small stacks of Postgres and Redis: one that the tests of this folder share, and fresh ones."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stack.lifecycle import Stack
from stack.settings import StackSettings
from tests.ports import PORT_OFFSET

SMALL_OFFSET = PORT_OFFSET + 500
"""A stack's ports span less than 500: these lie between the test stack's and those of another checkout's."""
ONLY = ("postgres-roles", "redis")

MakeStack = Callable[[], Stack]


def _silent(_part: str, _what: str) -> None:
    pass


def _maker(state: Path, port_offset: int) -> MakeStack:
    settings = StackSettings(watershed_state=state, port_offset=port_offset, disk_needed_mb=10)
    return lambda: Stack(settings, ONLY)


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MakeStack]:
    """One stack for all tests, met by a new command each time it is called.

    A test finds it as another left it, up or down, and brings it first to where it wants it; what an ``up`` finds
    there already costs nothing.
    """
    make = _maker(tmp_path_factory.mktemp("shared") / "state", SMALL_OFFSET)
    yield make
    make().down(_silent)


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[MakeStack]:
    """A stack of the test's own, on other ports, of which nothing is there yet."""
    make = _maker(tmp_path / "state", SMALL_OFFSET + 10)
    yield make
    make().down(_silent)
