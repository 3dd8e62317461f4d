"""The dbt project keeps its own rules: everything described once, every model with a contract and tests."""

import ast
import re
from pathlib import Path
from typing import Any

import yaml

from contracts.registry import Registry
from dbt_project.selection import PROJECT
from warehouse.marts import EVENT_TYPES, MARTS, NEWEST

MODELS = PROJECT / "models"
OURS = [path for path in sorted(MODELS.rglob("*.yml")) if path.name != "sources.yml"]
OWNERS = {contract.type: contract.owner for contract in Registry.load()}
PERSONAL = {field for contract in Registry.load() for field in contract.pii}
POINTS_TO_A_PERSON = re.compile(r"(user|visitor|buyer|developer|session)s?(_id|_hash|_sketch)?|\w+_hash|referrer")
"""How columns are named that hold persons, or what stands in their place."""
COUNTS = {"visitors", "buyers", "content_hash"}
"""So named and no more than a number, or a hash of a whole event."""
DOC = re.compile(r"\{\{ doc\('(\w+)'\) \}\}")


def _documents(key: str) -> list[dict[str, Any]]:
    return [item for path in OURS for item in yaml.safe_load(path.read_text()).get(key, [])]


def test_every_model_is_described_with_all_its_columns_typed() -> None:
    described = {model["name"]: model for model in _documents("models")}
    assert set(described) == {path.stem for path in MODELS.rglob("*.sql")}
    for name, model in described.items():
        assert model["description"], name
        assert all(column["data_type"] and column["description"] for column in model["columns"]), name


def test_every_column_is_described_once_and_by_reference() -> None:
    written = re.findall(r"{% docs (\w+) %}", (MODELS / "docs.md").read_text())
    assert len(written) == len(set(written))
    used = set()
    for model in _documents("models"):
        for column in model["columns"]:
            reference = DOC.fullmatch(column["description"])
            assert reference is not None, f"{model['name']}.{column['name']}: describe it with doc()"
            assert reference[1] == column["name"]
            used.add(reference[1])
    assert used == set(written), "a description that no column uses, or the other way round"


def test_contracts_are_enforced_for_the_whole_project() -> None:
    project = yaml.safe_load((PROJECT / "dbt_project.yml").read_text())
    assert project["models"]["watershed"]["+contract"] == {"enforced": True}
    assert not any("contract" in path.read_text() for path in MODELS.rglob("*.sql"))


def test_usage_statistics_are_not_sent() -> None:
    project = yaml.safe_load((PROJECT / "dbt_project.yml").read_text())
    assert project["flags"]["send_anonymous_usage_stats"] is False


def _claims(path: Path) -> dict[str, Any]:
    """The claims that a model names: a literal of Jinja, which is one of Python too."""
    found = re.search(r"set claims = ({.*?})\s*%}", path.read_text(), re.DOTALL)
    assert found is not None, path.name
    claims: dict[str, Any] = ast.literal_eval(found[1])
    return claims


def test_publish_knows_every_mart_its_types_and_its_grain() -> None:
    for mart in MARTS:
        claims = _claims(MODELS / "marts" / f"{mart.name}.sql")
        assert tuple(claims["event_types"]) == mart.event_types, mart.name
        assert tuple(claims.get("onward", ())) == mart.onward, mart.name
        assert claims["period"] == mart.grain, mart.name
    assert {mart.name for mart in MARTS} == {path.stem for path in (MODELS / "marts").glob("*.sql")}


def test_a_run_builds_a_model_for_each_of_its_types() -> None:
    for path in [*(MODELS / "marts").glob("*.sql"), *(MODELS / "intermediate").glob("*.sql")]:
        if path.stem != "int_claimed_hours":
            assert 'tags=claims["event_types"]' in path.read_text(), path.name


def test_the_newest_period_of_every_type_is_known() -> None:
    marts = {mart.name: mart for mart in MARTS}
    assert set(NEWEST) == set(EVENT_TYPES)
    for type_, (name, _) in NEWEST.items():
        assert type_ in marts[name].event_types
        assert marts[name].grain == "hour"


def test_no_mart_has_money_without_its_currency() -> None:
    money = {"revenue", "refunded", "net_revenue", "average_purchase"}
    described = {model["name"]: {column["name"] for column in model["columns"]} for model in _documents("models")}
    for name, columns in described.items():
        assert not columns & money or "currency" in columns, name
    for mart in MARTS:
        if described[mart.name] & money:
            assert "currency" in mart.dimensions, mart.name
    # And no test sums it across: the sums of a level are compared by currency.
    for model in _documents("models"):
        for test in model.get("data_tests", []):
            arguments = test.get("sums_to", {}).get("arguments", {})
            if set(arguments.get("measures", [])) & money:
                assert "currency" in arguments["by"], model["name"]


def test_every_mart_is_tested_for_its_key_and_its_periods_and_has_a_unit_test() -> None:
    marts = {mart.name: mart for mart in MARTS}
    models = {model["name"]: model for model in _documents("models") if model["name"] in marts}
    for name, model in models.items():
        tests = {test: body["arguments"] for item in model["data_tests"] for test, body in item.items()}
        assert set(tests["unique_together"]["columns"]) == set(marts[name].key), name
        assert tests["starts_a_period"]["period"] == marts[name].grain, name
    tested = {test["model"] for test in _documents("unit_tests")}
    assert tested >= set(marts) | {path.stem for path in (MODELS / "intermediate").glob("*.sql")}


def test_every_mart_is_on_a_dashboard() -> None:
    dashboards = _documents("exposures")
    shown = {name for dashboard in dashboards for name in dashboard["depends_on"]}
    assert {name for name in shown if name.startswith("ref(")} == {f"ref('{mart.name}')" for mart in MARTS}


def test_nothing_is_written_into_the_repository() -> None:
    build = Path(PROJECT / "build.py").read_text()
    assert '"--target-path"' in build
    assert '"--log-path"' in build


def test_every_model_has_an_owner_who_owns_an_event_type_that_it_is_made_from() -> None:
    groups = {group["name"] for group in _documents("groups")}
    assert groups == {group["owner"]["name"] for group in _documents("groups")} == set(OWNERS.values())
    for model in _documents("models"):
        owner = model["config"]["group"]
        assert owner in groups, model["name"]
        (file,) = MODELS.rglob(f"{model['name']}.sql")
        if file.parent.name == "staging":
            assert owner == OWNERS[file.stem.removeprefix("stg_").removesuffix("_minute")], model["name"]
        elif file.stem != "int_claimed_hours":
            assert owner in {OWNERS[name] for name in _claims(file)["event_types"]}, model["name"]


def test_every_source_and_exposure_has_an_owner() -> None:
    groups = {group["name"] for group in _documents("groups")}
    for source in [*_documents("sources"), *_contracted()]:
        for table in source["tables"]:
            metas = [part.get("config", {}).get("meta", {}) for part in (source, table)]
            assert any(meta.get("owner") in groups for meta in metas), table["name"]
    for dashboard in _documents("exposures"):
        assert dashboard["owner"]["name"] in groups, dashboard["name"]


def test_every_column_that_points_to_a_person_says_so_and_its_model_can_be_selected_by_it() -> None:
    for model in _documents("models"):
        marked = {column["name"]: _pii(column) for column in model["columns"] if _pii(column)}
        named = {each["name"] for each in model["columns"] if POINTS_TO_A_PERSON.fullmatch(each["name"])}
        assert set(marked) == named - COUNTS, model["name"]
        assert set(marked.values()) <= {"keyed hash"}, "what is personal itself never leaves the lake"
        assert ("pii" in model["config"].get("tags", [])) == bool(marked), model["name"]


def test_what_contracts_call_personal_is_marked_in_the_sources() -> None:
    for source in _contracted():
        for table in source["tables"]:
            for column in table.get("columns", []):
                where = f"{source['name']}.{table['name']}.{column['name']}"
                # A sketch in a rollup is called after what it counts.
                is_sketch = source["name"] == "rollups" and column["data_type"] == "bigint[]"
                named = POINTS_TO_A_PERSON.fullmatch(column["name"]) and column["name"] not in COUNTS
                is_personal = column["name"] in PERSONAL and source["name"] == "lake"
                assert bool(_pii(column)) == bool(is_sketch or named or is_personal), where
                assert _pii(column) in ({"personal"} if is_personal else {None, "keyed hash"}), where


def _contracted() -> list[dict[str, Any]]:
    sources: list[dict[str, Any]] = yaml.safe_load((MODELS / "sources.yml").read_text())["sources"]
    return sources


def _pii(column: dict[str, Any]) -> str | None:
    found: str | None = column.get("config", {}).get("meta", {}).get("pii")
    return found
