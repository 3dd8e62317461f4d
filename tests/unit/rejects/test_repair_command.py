"""What `watershed repair` refuses before it looks at anything, and what it says then."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from rejects.repair_commands import app
from runtime.settings import SettingsError

RUNNER = CliRunner(env={"COLUMNS": "1000"})


@pytest.mark.parametrize("words", [[], ["--patch", "mend.json", "--revalidate"], ["--patch", ""]])
def test_it_has_to_be_said_how_to_mend_and_only_once(words: list[str]) -> None:
    done = RUNNER.invoke(app, words)
    assert done.exit_code == 2
    assert "--patch FILE or --revalidate" in done.output


def test_a_time_that_is_none_is_named() -> None:
    done = RUNNER.invoke(app, ["--revalidate", "--from", "yesterday"])
    assert done.exit_code == 2
    assert "--from" in done.output


@pytest.mark.parametrize(
    ("text", "said"),
    [("nope", "RFC 6902"), ("[]", "--revalidate"), (None, "cannot be read")],
    ids=["text", "empty", "gone"],
)
def test_a_patch_that_is_none_is_told_in_a_line(tmp_path: Path, text: str | None, said: str) -> None:
    file = tmp_path / "mend.json"
    if text is not None:
        file.write_text(text)
    done = RUNNER.invoke(app, ["--patch", str(file)])
    assert done.exit_code == 1
    assert done.output.startswith("error: --patch: ")
    assert said in done.output


def test_a_patch_may_be_given_as_its_text(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REPAIRER_DSN", "LAKE_CATALOG_URI"):
        monkeypatch.delenv(name, raising=False)
    done = RUNNER.invoke(app, ["--patch", ' [{"op": "remove", "path": "/data/debug"}]'])
    assert isinstance(done.exception, SettingsError), "the patch is read; what is missing is where the lake is"
