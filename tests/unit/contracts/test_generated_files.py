"""What is generated from the contracts and committed."""

from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml

from contracts import generate
from contracts.columns import lake_columns, rollup_columns
from contracts.parse import HERE
from contracts.registry import Registry


@pytest.fixture(scope="module")
def registry() -> Registry:
    return Registry.load(HERE)


def test_committed_files_are_what_the_contracts_give(registry: Registry) -> None:
    stale = generate.stale(registry)
    assert not stale, f"stale: {', '.join(stale)}; run `{generate.COMMAND}` and commit"


def test_a_changed_and_an_orphaned_file_are_stale_until_written(registry: Registry, tmp_path: Path) -> None:
    generate.write(registry, tmp_path)
    assert generate.stale(registry, tmp_path) == []
    page = tmp_path / "docs/contracts/signup.md"
    page.write_text(page.read_text() + "edited by hand\n")
    orphan = tmp_path / "contracts/odcs/forgotten.odcs.yaml"
    orphan.write_text("kind: DataContract\n")
    expected = ["contracts/odcs/forgotten.odcs.yaml", "docs/contracts/signup.md"]
    assert generate.stale(registry, tmp_path) == expected
    assert generate.write(registry, tmp_path) == expected
    assert generate.stale(registry, tmp_path) == []
    assert not orphan.exists()


def test_every_column_of_the_sources_is_described_and_is_a_column_of_the_table(registry: Registry) -> None:
    sources = _sources(registry)
    assert set(sources["rollups"]) == {c.rollup_table for c in registry}
    assert set(sources["lake"]) == set(sources["collector"]) == {c.type for c in registry}
    for contract in registry:
        rollup, lake = sources["rollups"][contract.rollup_table]["columns"], sources["lake"][contract.type]["columns"]
        assert [c["name"] for c in rollup] == [c.name for c in rollup_columns(contract)]
        assert [c["name"] for c in lake] == [c.name for c in lake_columns(contract)]
        assert all(c["description"] for c in [*rollup, *lake])


def test_a_rollup_is_made_from_the_lake_and_the_lake_from_the_collector(registry: Registry) -> None:
    sources = _sources(registry)
    for contract in registry:
        above = sources["rollups"][contract.rollup_table]["config"]["meta"]["made_from"]
        assert above == [f"lake.{contract.type}"]
        assert sources["lake"][contract.type]["config"]["meta"]["made_from"] == [f"collector.{contract.type}"]


def _sources(registry: Registry) -> dict[str, dict[str, Any]]:
    sources = yaml.safe_load(generate.generated(registry)["dbt_project/models/sources.yml"])["sources"]
    return {source["name"]: {table["name"]: table for table in source["tables"]} for source in sources}


# The parts of the Open Data Contract Standard 3.1.0 that an export uses, from its published JSON Schema.
_ODCS_PROPERTY = {
    "type": "object",
    "required": ["name", "logicalType", "physicalType", "description"],
    "additionalProperties": False,
    "properties": {
        "name": {"type": "string"},
        "logicalType": {
            "enum": ["string", "date", "timestamp", "time", "number", "integer", "object", "array", "boolean"]
        },
        "physicalType": {"type": "string"},
        "required": {"type": "boolean"},
        "description": {"type": "string", "minLength": 1},
        "classification": {"type": "string"},
        "primaryKey": {"const": True},
        "primaryKeyPosition": {"type": "integer", "minimum": 1},
        "partitioned": {"const": True},
        "partitionKeyPosition": {"type": "integer", "minimum": 1},
        "logicalTypeOptions": {"type": "object", "minProperties": 1},
        "items": {"type": "object", "required": ["logicalType"]},
    },
}
_ODCS = {
    "type": "object",
    "required": ["version", "apiVersion", "kind", "id", "status"],
    "properties": {
        "apiVersion": {"const": "v3.1.0"},
        "kind": {"const": "DataContract"},
        "id": {"type": "string", "format": "uuid"},
        "version": {"type": "string"},
        "schema": {
            "type": "array",
            "minItems": 2,
            "items": {
                "type": "object",
                "required": ["name", "physicalName", "properties"],
                "properties": {
                    "logicalType": {"const": "object"},
                    "properties": {"type": "array", "items": _ODCS_PROPERTY},
                },
            },
        },
    },
}


def test_the_odcs_export_has_the_shape_of_the_standard_and_every_column(registry: Registry) -> None:
    validator = jsonschema_rs.Draft202012Validator(_ODCS, validate_formats=True)
    files = generate.generated(registry)
    for contract in registry:
        document = yaml.safe_load(files[f"contracts/odcs/{contract.type}.odcs.yaml"])
        assert [e.message for e in validator.iter_errors(document)] == []
        lake, rollup = document["schema"]
        assert [p["name"] for p in lake["properties"]] == [c.name for c in lake_columns(contract)]
        assert [p["name"] for p in rollup["properties"]] == [c.name for c in rollup_columns(contract)]


def test_every_type_has_a_page_that_names_its_fields(registry: Registry) -> None:
    files = generate.generated(registry)
    for contract in registry:
        page = files[f"docs/contracts/{contract.type}.md"]
        assert f"({contract.type}.md)" in files["docs/contracts/index.md"]
        assert all(f"| `{field.name}` |" in page for field in contract.fields)
