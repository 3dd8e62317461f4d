"""``watershed demo …``, as typed, without a stack."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from contracts.parse import HERE
from contracts.registry import Registry
from contracts.validate import EventValidator
from demo.commands import app
from demo.truth import Truth

RUNNER = CliRunner()


def test_generate_writes_the_same_file_for_the_same_words(tmp_path: Path) -> None:
    words = ["generate", "--days", "2", "--total", "400", "--seed", "3", "--end", "2026-11-20T00:00:00", "--json"]
    texts = []
    for name in ("one", "other"):
        out, truth = tmp_path / f"{name}.ndjson", tmp_path / f"{name}.json"
        result = RUNNER.invoke(app, [*words, "--out", str(out), "--truth", str(truth)])
        assert result.exit_code == 0, result.output
        figures = json.loads(result.stdout.splitlines()[-1])
        texts.append((out.read_text(), truth.read_text()))
        assert figures["written"] == len(texts[-1][0].splitlines())
    assert texts[0] == texts[1]
    validator = EventValidator(Registry.load(HERE))
    refused = sum(bool(validator.violations(json.loads(line))) for line in texts[0][0].splitlines())
    told = Truth.load(tmp_path / "one.json")
    assert told.sent["invalid"] == refused
    assert told.page_views == 400


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["generate", "--total", "0"], "greater than or equal to 1"),
        (["generate"], "WRITE_KEY"),
        (["compare", "--truth", "nowhere.json"], "READER_DSN"),
        (["run", "--log", "nowhere.log"], "SUPERSET_URL"),
        (["run", "--log", "nowhere.log", "--days", "3"], "an access log has its own events"),
        (["run", "--log", "nowhere.log", "--rate", "3"], "an access log has its own events"),
        (["run", "--rate", "0"], "0.01"),
    ],
)
def test_what_is_missing_is_said_in_one_line(words: list[str], said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WRITE_KEY", "COLLECTOR_URL", "READER_DSN", "WAREHOUSE_DSN", "SUPERSET_URL"):
        monkeypatch.delenv(name, raising=False)
    result = RUNNER.invoke(app, words)
    assert result.exit_code != 0
    assert said in result.stderr
    assert "Traceback" not in result.stderr
