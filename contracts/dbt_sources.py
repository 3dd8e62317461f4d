"""The rollup tables as dbt sources, each column described where the contract describes it."""

from collections.abc import Iterable
from typing import Any

import yaml

from contracts.columns import RollupColumn, rollup_columns
from contracts.model import Contract

# dbt compares spellings of types as Postgres prints them.
_SPELLED = {"timestamptz": "timestamp with time zone"}


def export(contracts: Iterable[Contract]) -> str:
    """The text of ``dbt_project/models/sources.yml``."""
    source = {
        "name": "rollups",
        "description": "What the load sums from the lake by tenant and minute; one table per event type.",
        "schema": "rollups",
        "tables": [_table(contract) for contract in contracts],
    }
    return yaml.safe_dump({"version": 2, "sources": [source]}, sort_keys=False, allow_unicode=True, width=120)


def _table(contract: Contract) -> dict[str, Any]:
    return {
        "name": contract.rollup_table,
        "description": f"{contract.description} Summed by tenant and minute, each event once.",
        "config": {"meta": {"event_type": contract.type, "owner": contract.owner}},
        "columns": [_column(column) for column in rollup_columns(contract)],
    }


def _column(column: RollupColumn) -> dict[str, Any]:
    data_type = _SPELLED.get(column.sql_type, column.sql_type)
    return {"name": column.name, "description": column.description, "data_type": data_type}
