"""The way of each event type up to the warehouse as dbt sources, each column described where the contract describes it.

dbt lets no source have a parent, yet the lineage starts at the collector: ``meta.made_from`` says what a source is made
from, and the docs site draws it (docs/adr/0024). What points to a person is marked by ``meta.pii``: ``personal`` is the
value itself, ``keyed hash`` what stands in its place everywhere outside the lake.
"""

from collections.abc import Iterable
from typing import Any

import yaml

from contracts.columns import LakeColumn, RollupColumn, lake_columns, rollup_columns
from contracts.model import Contract

# dbt compares spellings of types as Postgres prints them.
_SPELLED = {"timestamptz": "timestamp with time zone"}
PERSONAL, KEYED_HASH = "personal", "keyed hash"


def export(contracts: Iterable[Contract]) -> str:
    """The text of ``dbt_project/models/sources.yml``."""
    known = tuple(contracts)
    sources = [
        {
            "name": "collector",
            "description": "What the collector accepted over HTTP and Kafka keeps; one topic per event type.",
            "schema": "events",
            "config": {"meta": {"system": "Kafka"}},
            "tables": [_topic(contract) for contract in known],
        },
        {
            "name": "lake",
            "description": "What the landers brought from Kafka into the lake; one Iceberg table per event type.",
            "schema": "events",
            "config": {"meta": {"system": "Iceberg catalog lake"}},
            "tables": [_lake_table(contract) for contract in known],
        },
        {
            "name": "rollups",
            "description": "What the load sums from the lake by tenant and minute; one table per event type.",
            "schema": "rollups",
            "tables": [_rollup_table(contract) for contract in known],
        },
    ]
    return yaml.safe_dump({"version": 2, "sources": sources}, sort_keys=False, allow_unicode=True, width=120)


def personal_measures(contract: Contract) -> frozenset[str]:
    """The rollup's columns that hold keyed hashes of persons."""
    return frozenset(measure.name for measure in contract.rollup.measures if contract.takes_hash(measure))


def _topic(contract: Contract) -> dict[str, Any]:
    described = f"{contract.description} As the collector accepted it, topic `{contract.topic}`."
    return {"name": contract.type, "description": described, **_config(contract)}


def _lake_table(contract: Contract) -> dict[str, Any]:
    described = f"{contract.description} Every copy that arrived, table `{contract.table}`."
    made_from = [f"collector.{contract.type}"]
    hashes = {f"{name}_hash" for name in contract.hashed_fields}
    columns = [_lake_column(column, hashes) for column in lake_columns(contract)]
    return {"name": contract.type, "description": described, **_config(contract, made_from), "columns": columns}


def _rollup_table(contract: Contract) -> dict[str, Any]:
    described = f"{contract.description} Summed by tenant and minute, each event once."
    personal = personal_measures(contract)
    columns = [_rollup_column(column, personal) for column in rollup_columns(contract)]
    made_from = [f"lake.{contract.type}"]
    return {"name": contract.rollup_table, "description": described, **_config(contract, made_from), "columns": columns}


def _config(contract: Contract, made_from: list[str] | None = None) -> dict[str, Any]:
    meta: dict[str, Any] = {"event_type": contract.type, "owner": contract.owner}
    if made_from:
        meta["made_from"] = made_from
    return {"config": {"meta": meta}}


def _lake_column(column: LakeColumn, hashes: set[str]) -> dict[str, Any]:
    pii = PERSONAL if column.pii else KEYED_HASH if column.name in hashes else None
    return _column(column.name, column.description, column.iceberg_type, pii)


def _rollup_column(column: RollupColumn, personal: frozenset[str]) -> dict[str, Any]:
    pii = KEYED_HASH if column.name in personal else None
    return _column(column.name, column.description, _SPELLED.get(column.sql_type, column.sql_type), pii)


def _column(name: str, description: str, data_type: str, pii: str | None) -> dict[str, Any]:
    column: dict[str, Any] = {"name": name, "description": description, "data_type": data_type}
    if pii:
        column["config"] = {"meta": {"pii": pii}}
    return column
