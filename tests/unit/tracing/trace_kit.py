"""Rows of the lake for the tests of what is told of them, and real Iceberg tables on a disk."""

import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.table import Table

from collector.lake import TableSpec, arrow_schema_of, ensure_table, spec_of
from contracts.model import Contract
from contracts.parse import HERE
from contracts.registry import Registry
from spark_jobs.lake import Pinned, pin
from spark_jobs.settings import SparkSettings
from tracing.judge import Arrival

REGISTRY = Registry.load(HERE)
PURCHASE = REGISTRY.newest("purchase")
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def event_id(number: int) -> str:
    """The id of the event with a number."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, str(number)))


def row(number: int = 1, *, land_seq: int = 1, minute: int = 0, **changes: Any) -> dict[str, Any]:
    """A purchase as the lake has it."""
    occurred_at = NOON + timedelta(minutes=minute, seconds=7)
    return {
        "event_id": event_id(number), "tenant": "acme", "schema_version": 1, "occurred_at": occurred_at,
        "received_at": occurred_at + timedelta(seconds=1), "collector_id": "a" * 16, "sequence": number,
        "minted": False, "land_seq": land_seq, "content_hash": number, "kafka_partition": 2,
        "kafka_offset": 100 + number, "purchase_id": f"p-{number}", "app_id": "app-1", "user_id": "u-1",
        "amount": Decimal("19.9000"), "currency": "EUR", "quantity": 2, "region": "DE", "user_id_hash": 77,
    } | changes  # fmt: skip


def arrival(**changes: Any) -> Arrival:
    """Such a row with a file it lies in."""
    return Arrival(row(**changes), "file")


class Lake:
    """A lake on a disk."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.catalog = SqlCatalog("lake", uri=f"sqlite:///{folder}/catalog.db", warehouse=f"file://{folder}/lake")
        self.settings = SparkSettings(lake_warehouse=f"file://{folder}/lake", lake_catalog_uri="sqlite://")

    def land(self, wanted: Contract | TableSpec, *commits: Sequence[Mapping[str, Any]]) -> Table:
        """A commit for each of ``commits``."""
        spec = spec_of(wanted) if isinstance(wanted, Contract) else wanted
        table = ensure_table(self.catalog, spec)
        for rows in commits:
            table.append(pa.Table.from_pylist([dict(r) for r in rows], schema=arrow_schema_of(spec.columns)))
        return table.refresh()

    def pinned(self, name: str) -> Pinned:
        """A table as it is now."""
        return pin(name, self.catalog.load_table(name).metadata_location, self.settings)
