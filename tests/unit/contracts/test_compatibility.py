"""Additive changes of a contract are accepted, breaking ones refused with words that say why."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from contracts.compat import breaking, changes
from contracts.model import Contract, ContractError
from contracts.parse import HERE, parse
from contracts.registry import Registry

Schema = dict[str, Any]
Edit = Callable[[Schema], object]


def _written(folder: Path, type_: str, version: int, schema: Schema) -> Path:
    path = folder / type_ / f"v{version}.schema.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(schema))
    return path


def _edited(tmp_path: Path, type_: str, edit: Edit, version: int = 1) -> tuple[Contract, Contract]:
    original = HERE / type_ / "v1.schema.json"
    schema = copy.deepcopy(json.loads(original.read_text()))
    edit(schema)
    return parse(original), parse(_written(tmp_path, type_, version, schema))


def _meta(schema: Schema) -> Schema:
    meta: Schema = schema["x-watershed"]
    return meta


FIELD = {"type": "boolean", "description": "Whether it was a gift."}

ADDITIVE: dict[str, tuple[str, Edit]] = {
    "an optional field": ("purchase", lambda s: s["properties"].update(gift=FIELD)),
    "a measure": (
        "purchase",
        lambda s: _meta(s)["rollup"]["measures"].append(
            {"name": "amount_max", "kind": "max", "field": "amount", "description": "The greatest."}
        ),
    ),
    "a dimension": ("page_view", lambda s: _meta(s)["rollup"]["dimensions"].append({"name": "device"})),
    "another value": ("page_view", lambda s: s["properties"]["device"]["enum"].append("tv")),
    "a longer text": ("page_view", lambda s: s["properties"]["referrer"].update(maxLength=4096)),
    "a greater maximum": ("request_log", lambda s: s["properties"]["duration_ms"].update(maximum=172800000)),
    "a required field made optional": ("purchase", lambda s: s["required"].remove("quantity")),
    "more partitions": ("signup", lambda s: _meta(s).update(partitions=8)),
    "more digits": (
        "purchase",
        lambda s: s["properties"]["amount"].update(
            {
                "maxLength": 21,
                "pattern": r"^(0|[1-9][0-9]{0,15})(\.[0-9]{1,4})?$",
                "x-decimal": {"precision": 20, "scale": 4},
            }
        ),
    ),
    "more tags": ("metric", lambda s: s["properties"]["tags"].update(maxProperties=32)),
}

BREAKING: dict[str, tuple[str, Edit, str]] = {
    "a field is gone": ("signup", lambda s: s["properties"].pop("plan") and _drop_plan(s), "field plan: is gone"),
    "a field changes its kind": (
        "signup",
        lambda s: s["properties"].update(user_id={"type": "boolean", "description": "x"}) or _uncount(s),
        "was string and would be boolean",
    ),
    "an optional field is required": ("page_view", lambda s: s["required"].append("device"), "would be required"),
    "a new field is required": (
        "purchase",
        lambda s: (s["properties"].update(gift=FIELD), s["required"].append("gift")),
        "is new and required",
    ),
    "a value is gone": (
        "page_view",
        lambda s: s["properties"]["device"]["enum"].remove("tablet"),
        "no longer takes tablet",
    ),
    "a shorter text": ("page_view", lambda s: s["properties"]["page_name"].update(maxLength=100), "tightens from 512"),
    "another pattern": ("metric", lambda s: s["properties"]["source"].update(pattern="^[a-z]+$"), "pattern changes"),
    "another scale": (
        "purchase",
        lambda s: s["properties"]["amount"].update(
            {"pattern": r"^(0|[1-9][0-9]{0,13})(\.[0-9]{1,2})?$", "x-decimal": {"precision": 16, "scale": 2}}
        ),
        "scale was 4",
    ),
    "no more negatives": (
        "metric",
        lambda s: s["properties"]["value"].update(pattern=r"^(0|[1-9][0-9]{0,17})(\.[0-9]{1,10})?$"),
        "could be negative",
    ),
    "another default": ("page_view", lambda s: s["properties"]["is_bot"].update(default=True), "an absent one counted"),
    "fewer partitions": ("page_view", lambda s: _meta(s).update(partitions=1), "Kafka cannot shrink"),
    "another key": ("purchase", lambda s: _meta(s).update(partition_key="app_id"), "change order"),
    "a dimension is gone": (
        "page_view",
        lambda s: _meta(s)["rollup"]["dimensions"].pop(),
        "dimension page_name: is gone",
    ),
    "a measure is gone": ("page_view", lambda s: _meta(s)["rollup"]["measures"].pop(), "measure visitors: is gone"),
    "a measure changes its meaning": (
        "request_log",
        lambda s: _meta(s)["rollup"]["measures"][1].update(where={"status": {"gte": 400}}),
        "its where was",
    ),
    "no longer personal": ("signup", lambda s: _meta(s).update(pii=[]), "no longer be treated as personal"),
    "no longer for browsers": ("page_view", lambda s: _meta(s).update(browser=False), "no longer may"),
}


def _drop_plan(schema: Schema) -> None:
    _meta(schema)["rollup"]["dimensions"] = [d for d in _meta(schema)["rollup"]["dimensions"] if d["name"] != "plan"]


def _uncount(schema: Schema) -> None:
    _meta(schema)["rollup"]["measures"] = [m for m in _meta(schema)["rollup"]["measures"] if m["kind"] == "count"]
    _meta(schema).update(partition_key="event_id")


@pytest.mark.parametrize("case", ADDITIVE)
def test_an_additive_change_is_accepted(case: str, tmp_path: Path) -> None:
    old, new = _edited(tmp_path, *ADDITIVE[case])
    assert breaking(old, new) == ()
    assert changes(old, new), "an additive change is reported all the same"


@pytest.mark.parametrize("case", BREAKING)
def test_a_breaking_change_is_refused_and_said(case: str, tmp_path: Path) -> None:
    type_, edit, words = BREAKING[case]
    old, new = _edited(tmp_path, type_, edit)
    assert words in "; ".join(map(str, breaking(old, new)))


def test_no_change_is_no_change() -> None:
    for contract in Registry.load(HERE):
        assert changes(contract, contract) == ()


def test_a_second_version_may_require_more_and_narrow_but_shares_the_tables(tmp_path: Path) -> None:
    def edit(schema: Schema) -> None:
        schema["properties"]["gift"] = FIELD
        schema["required"].append("gift")
        schema["properties"]["quantity"]["maximum"] = 10

    old, new = _edited(tmp_path, "purchase", edit, version=2)
    assert breaking(old, new) == ()
    _written(tmp_path, "purchase", 1, json.loads((HERE / "purchase/v1.schema.json").read_text()))
    registry = Registry.load(tmp_path)
    assert registry.versions("purchase") == (1, 2)
    assert registry.newest("purchase").version == 2


def test_a_second_version_that_does_not_fit_the_tables_is_refused_when_loaded(tmp_path: Path) -> None:
    first = json.loads((HERE / "purchase/v1.schema.json").read_text())
    second = copy.deepcopy(first)
    second["properties"]["quantity"] = {**first["properties"]["amount"], "description": "How many."}
    _written(tmp_path, "purchase", 1, first)
    _written(tmp_path, "purchase", 2, second)
    with pytest.raises(
        ContractError, match="purchase v2 does not fit v1: field quantity: was integer and would be decimal"
    ):
        Registry.load(tmp_path)
