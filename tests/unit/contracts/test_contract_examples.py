"""The examples are the tests: each file in ``contracts/*/examples`` says what its contract accepts or refuses."""

import json
import re
from pathlib import Path

import pytest

from contracts.registry import Registry, folder
from contracts.validate import EventValidator

FILES = sorted(folder().glob("*/examples/*.json"))
NAME = re.compile(r"v([1-9][0-9]*)\.[a-z0-9_]+\.(pass|fail)\.json")


@pytest.fixture(scope="module")
def registry() -> Registry:
    return Registry.load()


@pytest.fixture(scope="module")
def validator(registry: Registry) -> EventValidator:
    return EventValidator(registry)


@pytest.mark.parametrize("file", FILES, ids=lambda f: f"{f.parent.parent.name}/{f.name}")
def test_an_example_gets_the_verdict_in_its_name(file: Path, validator: EventValidator, registry: Registry) -> None:
    named = NAME.fullmatch(file.name)
    assert named, f"{file.name}: an example is called v<N>.<case>.pass.json or v<N>.<case>.fail.json"
    document = json.loads(file.read_text())
    passing = named[2] == "pass"
    event = document if passing else document["event"]
    # An event that names no version would be judged by the newest; here it is by the file's.
    event.setdefault("schema_version", int(named[1]))
    expected = [] if passing else sorted((v["pointer"], v["keyword"]) for v in document["violations"])
    found = validator.violations(event)
    assert [(v.pointer, v.keyword) for v in found] == expected
    assert passing or found, "a fail example needs violations"
    assert event["event_type"] == file.parent.parent.name
    if passing:
        assert validator.contract_of(event) == registry.get(event["event_type"], event["schema_version"])


@pytest.mark.parametrize("verdict", ["pass", "fail"])
@pytest.mark.parametrize("type_", Registry.load().types())
def test_every_version_has_five_examples_of_each_verdict(type_: str, verdict: str) -> None:
    for version in Registry.load().versions(type_):
        files = list((folder() / type_ / "examples").glob(f"v{version}.*.{verdict}.json"))
        assert len(files) >= 5, f"{type_} v{version} has {len(files)} {verdict} examples"
