"""A small table of the lake on a disk, which a catalog of its own may lose."""

from collections.abc import Callable
from datetime import UTC, datetime

import pyarrow as pa
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.table import Table

from collector.lake import TableSpec, arrow_schema_of, ensure_table
from collector.land_commit import State, commit
from collector.land_db import Database
from contracts.columns import LakeColumn

SPEC = TableSpec(
    "events.test",
    (
        LakeColumn("n", "long", True, "A number."),
        LakeColumn("at", "timestamp", True, "When."),
        LakeColumn("land_seq", "long", True, "The commit."),
    ),
    "at",
    "A table.",
)
AT = datetime(2026, 11, 20, tzinfo=UTC)
SCHEMA = arrow_schema_of(column for column in SPEC.columns if column.name != "land_seq")
KEPT = 20
"""So many metadata files before the newest a table keeps (collector/lake.py)."""
Open = Callable[[], SqlCatalog]


class AtRest(Database):
    """A warehouse in which nobody holds the tables that are asked for, unless told."""

    def __init__(self, *, held: bool = False, lost: bool = False) -> None:
        super().__init__("postgresql://nowhere", 30)
        self.held, self.lost = held, lost

    def try_lock(self, table: str) -> int | None:
        return None if self.held else 1

    def check(self, session: int) -> bool:
        return not self.lost

    def unlock(self, table: str) -> None:
        """Nothing."""


def land(catalog: SqlCatalog, times: int = 1) -> Table:
    table = ensure_table(catalog, SPEC)
    for _ in range(times):
        base = State.of(table.properties)
        rows = pa.Table.from_pylist([{"n": base.land_seq + 1, "at": AT}], schema=SCHEMA)
        table = commit(catalog, table, rows, base, base.moved("topic", {0: base.land_seq + 1}))
    return table


def landed(catalog: SqlCatalog) -> list[int]:
    return sorted(row["n"] for row in catalog.load_table(SPEC.identifier).scan().to_arrow().to_pylist())
