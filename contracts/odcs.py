"""A contract as the Open Data Contract Standard 3.1 has it: for catalogues and tools outside of Watershed."""

import uuid
from typing import Any

import yaml

from contracts.columns import LakeColumn, lake_columns, rollup_columns
from contracts.model import Contract

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "watershed/contracts")
_LAKE_LOGICAL = {
    "string": "string",
    "integer": "integer",
    "int": "integer",
    "long": "integer",
    "hash": "integer",
    "boolean": "boolean",
    "decimal": "number",
    "timestamp": "timestamp",
    "map": "object",
}
_SQL_LOGICAL = {
    "text": "string",
    "bigint": "integer",
    "timestamptz": "timestamp",
    "jsonb": "object",
    "bigint[]": "array",
    "numeric": "number",
}


def export(contract: Contract) -> str:
    """The YAML document: identity and handling, then the lake's table and the rollup's."""
    document: dict[str, Any] = {
        "apiVersion": "v3.1.0",
        "kind": "DataContract",
        "id": str(uuid.uuid5(_NAMESPACE, contract.type)),
        "name": contract.type,
        "version": f"{contract.version}.0.0",
        "status": "active",
        "domain": contract.owner,
        "description": {
            "purpose": contract.description,
            "limitations": "The contract is closed: an event with an unknown field is rejected.",
        },
        "schema": [_lake(contract), _rollup(contract)],
        "slaProperties": [
            {"property": "retention", "value": contract.retention_days, "unit": "d", "element": contract.table}
        ],
        "team": {"name": contract.owner},
        "customProperties": [
            {"property": "kafkaTopic", "value": contract.topic},
            {"property": "kafkaPartitions", "value": contract.partitions},
            {"property": "partitionKey", "value": contract.partition_key},
            {"property": "browserKeysMaySend", "value": contract.browser},
        ],
    }
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=120)


def _lake(contract: Contract) -> dict[str, Any]:
    return {
        "name": contract.type,
        "physicalName": contract.table,
        "physicalType": "table",
        "logicalType": "object",
        "description": f"{contract.description} One row a delivery, duplicates included.",
        "dataGranularityDescription": "One row for each event received",
        "properties": [_lake_property(contract, column) for column in lake_columns(contract)],
    }


def _lake_property(contract: Contract, column: LakeColumn) -> dict[str, Any]:
    found: dict[str, Any] = {
        "name": column.name,
        "logicalType": _LAKE_LOGICAL[column.kind],
        "physicalType": column.iceberg_type,
        "required": column.required,
        "description": column.description,
    }
    schema = contract.schema["properties"].get(column.name, {})
    if column.kind == "string":
        options = {k: schema[k] for k in ("minLength", "maxLength", "pattern", "format") if k in schema}
    elif column.kind == "integer":
        options = {k: schema[k] for k in ("minimum", "maximum")}
    else:
        options = {}
    if options:
        found["logicalTypeOptions"] = options
    if column.name == "occurred_at":
        found |= {"partitioned": True, "partitionKeyPosition": 1}
    if column.pii:
        found["classification"] = "personal"
    return found


def _rollup(contract: Contract) -> dict[str, Any]:
    properties = []
    for position, column in enumerate(rollup_columns(contract), start=1):
        logical = _SQL_LOGICAL[column.sql_type.partition("(")[0]]
        found: dict[str, Any] = {
            "name": column.name,
            "logicalType": logical,
            "physicalType": column.sql_type,
            "required": column.required,
            "description": column.description,
        }
        if column.role == "key":
            found |= {"primaryKey": True, "primaryKeyPosition": position}
        if column.name == "minute":
            found |= {"partitioned": True, "partitionKeyPosition": 1}
        if logical == "array":
            found["items"] = {"logicalType": "integer", "physicalType": "bigint"}
        properties.append(found)
    return {
        "name": contract.rollup_table,
        "physicalName": f"rollups.{contract.rollup_table}",
        "physicalType": "table",
        "logicalType": "object",
        "description": f"{contract.description} Summed by tenant and minute, each event once.",
        "dataGranularityDescription": "One row for each tenant, minute and combination of the dimensions",
        "properties": properties,
    }
