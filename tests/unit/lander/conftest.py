"""A catalog in a file, and the lake in a folder beside it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pyiceberg.catalog.sql import SqlCatalog

from tests.unit.lander.lake_kit import Open


@pytest.fixture
def reopened(tmp_path: Path) -> Iterator[Open]:
    """Opens the catalog as its file in the folder is by now."""
    made: list[SqlCatalog] = []

    def again() -> SqlCatalog:
        made.append(SqlCatalog("lake", uri=f"sqlite:///{tmp_path}/catalog.db", warehouse=f"file://{tmp_path}/lake"))
        return made[-1]

    yield again
    for catalog in made:
        catalog.close()


@pytest.fixture
def catalog(reopened: Open) -> SqlCatalog:
    return reopened()
