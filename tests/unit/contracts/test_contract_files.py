"""What a schema file must look like, and the messages for one that does not."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from contracts.columns import ENVELOPE, lake_columns, rollup_columns
from contracts.model import ContractError, UnknownType, UnknownVersion
from contracts.parse import HERE, decimal_pattern, parse, read_json
from contracts.registry import Registry

Schema = dict[str, Any]
TAGS: Schema = read_json(HERE / "metric/v1.schema.json")["properties"]["tags"]


def _measure(schema: Schema, index: int) -> Schema:
    found: Schema = schema["x-watershed"]["rollup"]["measures"][index]
    return found


WRONG: dict[str, tuple[Callable[[Schema], object], str]] = {
    "open": (lambda s: s.update(additionalProperties=True), "/additionalProperties"),
    "no metadata": (lambda s: s.pop("x-watershed"), "x-watershed"),
    "unknown metadata": (lambda s: s["x-watershed"].update(colour="blue"), "colour"),
    "unbounded text": (
        lambda s: s["properties"].update(note={"type": "string", "description": "x"}),
        "/properties/note",
    ),
    "unbounded number": (
        lambda s: s["properties"].update(n={"type": "integer", "minimum": 0, "description": "x"}),
        "/properties/n",
    ),
    "a float": (lambda s: s["properties"].update(n={"type": "number", "description": "x"}), "/properties/n"),
    "nullable": (
        lambda s: s["properties"].update(n={"type": ["boolean", "null"], "description": "x"}),
        "/properties/n",
    ),
    "undescribed": (lambda s: s["properties"].update(gift={"type": "boolean"}), "/properties/gift"),
    "upper-case field": (lambda s: s["properties"].update(Gift={"type": "boolean", "description": "x"}), "Gift"),
    "envelope's name": (
        lambda s: s["properties"].update(tenant={"type": "boolean", "description": "x"}),
        "'tenant' is a column of the envelope",
    ),
    "hash column's name": (
        lambda s: s["properties"].update(user_id_hash={"type": "boolean", "description": "x"}),
        "'user_id_hash' is the name of a hash column",
    ),
    "word of SQL": (
        lambda s: s["properties"].update(order={"type": "boolean", "description": "x"}),
        "'order' is a reserved word of SQL",
    ),
    "unknown reference": (
        lambda s: s["properties"].update(x={"$ref": "../common.json#/$defs/nowhere"}),
        "common.json has no $defs/nowhere",
    ),
    "loose decimal": (lambda s: s["properties"]["amount"].update(pattern="^[0-9.]+$"), "the pattern must be ^(0|"),
    "required but absent": (lambda s: s["required"].append("nothing"), "'nothing' is not among the properties"),
    "pii but absent": (lambda s: s["x-watershed"].update(pii=["nothing"]), "pii names 'nothing'"),
    "key of no field": (lambda s: s["x-watershed"].update(partition_key="nothing"), "partition_key 'nothing'"),
    "dimension of no field": (
        lambda s: s["x-watershed"]["rollup"]["dimensions"].append({"name": "nothing"}),
        "no field 'nothing'",
    ),
    "dimension of money": (
        lambda s: s["x-watershed"]["rollup"]["dimensions"].append({"name": "amount"}),
        "a string, or a required integer",
    ),
    "key too long to index": (
        lambda s: (
            s["properties"]["app_id"].update(maxLength=2400),
            s["x-watershed"]["rollup"]["dimensions"].append({"name": "user_id"}),
        ),
        "Postgres could not index them",
    ),
    "a rollup column that is a word of SQL": (
        lambda s: _measure(s, 1).update(name="limit"),
        "'limit' is a reserved word",
    ),
    "a sum that could overflow": (
        lambda s: s["properties"]["amount"].update(
            {"pattern": decimal_pattern(30, 4, signed=False), "x-decimal": {"precision": 30, "scale": 4}}
        ),
        "a sum would overflow 38 digits",
    ),
    "two columns of a name": (lambda s: _measure(s, 1).update(name="region"), "two columns 'region'"),
    "count of a field": (lambda s: _measure(s, 1).update(field="quantity"), "/x-watershed/rollup/measures/1"),
    "sum of nothing": (lambda s: _measure(s, 0).pop("field"), "/x-watershed/rollup/measures/0"),
    "sum of text": (lambda s: _measure(s, 0).update(field="user_id"), "sum needs an integer or a decimal"),
    "the last of a map": (
        lambda s: (s["properties"].update(tags=copy.deepcopy(TAGS)), _measure(s, 3).update(kind="last", field="tags")),
        "last needs an integer or a decimal or a string",
    ),
    "the last of a personal number": (
        lambda s: (s["x-watershed"]["pii"].append("quantity"), _measure(s, 3).update(kind="last", field="quantity")),
        "only of strings is there a hash",
    ),
    "distinct numbers": (lambda s: _measure(s, 3).update(field="quantity"), "distinct counts strings"),
    "condition of another kind": (lambda s: _measure(s, 1).update(where={"quantity": "1"}), "never equals '1'"),
    "condition true for 1": (lambda s: _measure(s, 1).update(where={"quantity": True}), "never equals True"),
    "bounds on text": (lambda s: _measure(s, 1).update(where={"currency": {"gte": 1}}), "need an integer field"),
    "a default that is never used": (
        lambda s: s["properties"]["quantity"].update(default=1),
        "its default says nothing",
    ),
    "a template in a description": (lambda s: s.update(description="{{ env_var('X') }}"), "/description"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_contract_is_refused_with_its_file_and_what_to_change(case: str, tmp_path: Path) -> None:
    edit, words = WRONG[case]
    schema = copy.deepcopy(read_json(HERE / "purchase/v1.schema.json"))
    edit(schema)
    path = tmp_path / "purchase/v1.schema.json"
    path.parent.mkdir()
    path.write_text(json.dumps(schema))
    with pytest.raises(ContractError) as refused:
        parse(path)
    assert str(path) in str(refused.value)
    assert words in str(refused.value)


def test_the_metaschema_itself_is_valid() -> None:
    jsonschema_rs.meta.validate(read_json(HERE / "metaschema.json"))


def test_a_file_that_is_not_json_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x/v1.schema.json"
    path.parent.mkdir()
    path.write_text("{")
    with pytest.raises(ContractError, match=r"x/v1\.schema\.json"):
        parse(path)


def test_a_folder_without_contracts_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="CONTRACTS_DIR"):
        Registry.load(tmp_path)


def test_a_misnamed_schema_file_is_not_overlooked(tmp_path: Path) -> None:
    path = tmp_path / "signup/v01.schema.json"
    path.parent.mkdir()
    path.write_text((HERE / "signup/v1.schema.json").read_text())
    with pytest.raises(ContractError, match="N from 1"):
        Registry.load(tmp_path)


def test_the_folder_in_force_is_a_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "level_up/v1.schema.json"
    path.parent.mkdir()
    path.write_text((HERE / "signup/v1.schema.json").read_text())
    monkeypatch.setenv("CONTRACTS_DIR", str(tmp_path))
    assert Registry.load().types() == ("level_up",)
    monkeypatch.setenv("CONTRACTS_DIR", "")
    assert "page_view" in Registry.load().types()


def test_what_is_unknown_says_what_is_known() -> None:
    registry = Registry.load(HERE)
    with pytest.raises(UnknownType, match="page_view"):
        registry.newest("page_veiw")
    with pytest.raises(UnknownVersion, match="it has 1"):
        registry.get("page_view", 9)


def test_names_follow_from_the_type() -> None:
    contract = Registry.load(HERE).newest("request_log")
    assert (contract.topic, contract.table, contract.rollup_table) == (
        "events.request_log",
        "events.request_log",
        "request_log_minute",
    )


def test_lake_columns_are_envelope_then_fields_then_a_hash_per_distinct_field() -> None:
    for contract in Registry.load(HERE):
        expected = [
            *(c.name for c in ENVELOPE),
            *contract.schema["properties"],
            *(f"{name}_hash" for name in contract.hashed_fields),
        ]
        assert [c.name for c in lake_columns(contract)] == expected


def test_a_personal_field_leaves_the_lake_as_its_hash_only() -> None:
    contract = Registry.load(HERE).newest("app_created")
    assert "developer_id" in contract.pii
    assert contract.hashed_fields == ("developer_id",)
    assert {c.name: c.sql_type for c in rollup_columns(contract)}["developer"] == "bigint"


def test_rollup_columns_have_the_types_that_postgres_sums_exactly() -> None:
    registry = Registry.load(HERE)
    purchase = {c.name: c.sql_type for c in rollup_columns(registry.newest("purchase"))}
    assert purchase["revenue"] == "numeric(38,4)"
    assert purchase["quantity"] == "bigint"
    assert purchase["buyers"] == "bigint[]"
    metric = {c.name: c.sql_type for c in rollup_columns(registry.newest("metric"))}
    assert metric["value_last"] == "numeric(28,10)"
    assert metric["value_last_at"] == "timestamptz"
    app = {c.name: c.sql_type for c in rollup_columns(registry.newest("app_created"))}
    assert app["app_name"] == "text"
    request_log = {c.name: (c.sql_type, c.role) for c in rollup_columns(registry.newest("request_log"))}
    assert request_log["status"] == ("bigint", "key")
    assert request_log["duration_ms"] == ("jsonb", "measure")


@pytest.mark.parametrize(
    ("precision", "scale", "fits", "not_"),
    [
        (4, 2, ["0", "99.99", "10", "0.5"], ["100", "1.234", "01", "1.", ".5", "-1", "+1", "1e2", ""]),
        (3, 0, ["0", "999"], ["1000", "1.0"]),
        (2, 2, ["0", "0.99"], ["1", "0.999"]),
    ],
)
def test_a_decimal_pattern_takes_what_fits(precision: int, scale: int, fits: list[str], not_: list[str]) -> None:
    pattern = decimal_pattern(precision, scale, signed=False)
    validator = jsonschema_rs.Draft202012Validator({"pattern": pattern})
    assert all(validator.is_valid(text) for text in fits)
    assert not any(validator.is_valid(text) for text in not_)


def test_regions_are_the_assigned_codes_and_zz() -> None:
    pattern = read_json(HERE / "common.json")["$defs"]["region"]["pattern"]
    validator = jsonschema_rs.Draft202012Validator({"type": "string", "pattern": pattern})
    letters = [chr(c) for c in range(ord("A"), ord("Z") + 1)]
    taken = {a + b for a in letters for b in letters if validator.is_valid(a + b)}
    assert len(taken) == 249 + 1
    assert {"DE", "GB", "US", "JP", "ZZ", "SS", "CW"} <= taken
    assert not {"UK", "EU", "XK", "AA", "YU", "AN"} & taken
