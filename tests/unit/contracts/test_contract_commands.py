"""``watershed contracts …``, as typed."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from contracts import generate, history
from contracts.commands import app
from contracts.model import ContractError
from contracts.parse import HERE
from contracts.registry import Registry
from contracts.scaffold import scaffold
from contracts.validate import EventValidator

EXAMPLES = HERE / "page_view/examples"
Invoke = Callable[..., Result]


@pytest.fixture
def invoke() -> Invoke:
    runner = CliRunner()
    return lambda *words, **more: runner.invoke(app, [str(word) for word in words], **more)


def _last(result: Result) -> Any:
    return json.loads(result.stdout.splitlines()[-1])


def test_list_names_every_type_and_its_topic(invoke: Invoke) -> None:
    result = invoke("list", "--json")
    assert result.exit_code == 0
    assert {row["type"]: row["topic"] for row in _last(result)["types"]} == {
        c.type: c.topic for c in Registry.load(HERE)
    }


def test_a_scaffolded_type_passes_its_own_examples(tmp_path: Path) -> None:
    scaffold("level_up", tmp_path)
    registry = Registry.load(tmp_path)
    validator = EventValidator(registry)
    examples = sorted((tmp_path / "level_up/examples").iterdir())
    assert sum(".pass." in e.name for e in examples) == sum(".fail." in e.name for e in examples) == 5
    for example in examples:
        document = json.loads(example.read_text())
        expected = [(v["pointer"], v["keyword"]) for v in document.get("violations", [])]
        found = validator.violations(document.get("event", document))
        assert [(v.pointer, v.keyword) for v in found] == expected


def test_new_event_writes_a_folder_in_the_folder_in_force(
    invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONTRACTS_DIR", str(tmp_path))
    result = invoke("new-event", "level_up", "--json")
    assert result.exit_code == 0
    assert _last(result)["type"] == "level_up"
    assert (tmp_path / "level_up/v1.schema.json").is_file()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("LevelUp", "is no name for an event type"),
        ("level-up", "is no name for an event type"),
        ("1up", "is no name for an event type"),
        ("a" * 41, "40 characters at most"),
        ("order", "reserved word of SQL"),
        ("odcs", "is there already"),
        ("registry", "is there already"),
        ("page_view", "is there already"),
    ],
)
def test_a_name_that_will_not_do_is_refused_with_the_reason(name: str, words: str) -> None:
    with pytest.raises(ContractError, match=words):
        scaffold(name, HERE)


def test_generate_check_names_the_stale_file_and_the_command(
    invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original_stale, original_write = generate.stale, generate.write
    monkeypatch.setattr(generate, "stale", lambda registry, _root=None: original_stale(registry, tmp_path))
    monkeypatch.setattr(generate, "write", lambda registry, _root=None: original_write(registry, tmp_path))
    assert invoke("generate").exit_code == 0
    assert invoke("generate", "--check").exit_code == 0
    (tmp_path / "docs/contracts/metric.md").write_text("edited by hand\n")
    result = invoke("generate", "--check", "--json")
    assert result.exit_code == 1
    assert "docs/contracts/metric.md is stale; run `make generate`" in result.stdout
    assert _last(result) == {"stale": ["docs/contracts/metric.md"]}


def test_validate_takes_one_event_an_array_or_a_line_each(invoke: Invoke, tmp_path: Path) -> None:
    passing = (EXAMPLES / "v1.full.pass.json").read_text()
    failing = json.dumps(json.loads((EXAMPLES / "v1.region_null.fail.json").read_text())["event"])
    assert invoke("validate", EXAMPLES / "v1.full.pass.json").exit_code == 0
    array = tmp_path / "array.json"
    array.write_text(f"[{passing}, {failing}]")
    result = invoke("validate", array, "--json")
    assert result.exit_code == 1
    assert _last(result)["accepted"] == 1
    assert "event 2: /data/region type:" in result.stdout
    lines = json.dumps(json.loads(passing)) + "\n\n" + failing + "\n"
    result = invoke("validate", "-", input=lines)
    assert result.exit_code == 1
    assert "1 of 2 accepted" in result.stdout


def test_validate_names_the_line_that_is_not_json(invoke: Invoke, tmp_path: Path) -> None:
    file = tmp_path / "events.ndjson"
    file.write_text('{"event_type":"signup","data":{"user_id":"u","region":"DE"}}\n{oops\n')
    result = invoke("validate", file)
    assert result.exit_code == 1
    assert "line 2: not JSON" in result.stderr


def test_diff_tells_additive_from_breaking(invoke: Invoke, tmp_path: Path) -> None:
    old = HERE / "signup/v1.schema.json"
    schema = json.loads(old.read_text())
    schema["x-watershed"]["partitions"] = 4
    new = tmp_path / "signup/v1.schema.json"
    new.parent.mkdir()
    new.write_text(json.dumps(schema))
    result = invoke("diff", old, new)
    assert result.exit_code == 0
    assert "additive signup v1 partitions: grow from 2 to 4" in result.stdout
    result = invoke("diff", new, old, "--json")
    assert result.exit_code == 1
    assert _last(result)["breaking"] == 1


def test_the_contracts_of_a_commit_are_read_from_git(tmp_path: Path) -> None:
    def git(*words: str) -> None:
        identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
        subprocess.run(["git", "-C", str(tmp_path), *identity, *words], check=True, capture_output=True)

    git("init", "-q")
    scaffold("level_up", tmp_path / "contracts")
    (tmp_path / "contracts/common.json").write_text((HERE / "common.json").read_text())
    git("add", "contracts")
    git("commit", "-q", "-m", "x")
    (tmp_path / "contracts/level_up/v1.schema.json").unlink()
    assert [c.type for c in history.at_commit("HEAD", tmp_path)] == ["level_up"]
    with pytest.raises(ContractError, match="nowhere"):
        history.at_commit("nowhere", tmp_path)


def test_a_commit_without_contracts_has_none(tmp_path: Path) -> None:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    commit = ["git", "-C", str(tmp_path), *identity, "commit", "-q", "--allow-empty", "-m", "x"]
    subprocess.run(commit, check=True)
    assert history.at_commit("HEAD", tmp_path) == ()
