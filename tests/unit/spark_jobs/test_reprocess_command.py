"""How `watershed reprocess` is called, and wrongly called."""

import dataclasses
from datetime import UTC, datetime
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from contracts.registry import Registry
from spark_jobs.reprocess import code_of
from spark_jobs.reprocess_commands import app, moment

SETTINGS = {
    "LAKE_WAREHOUSE": "s3://x",
    "LAKE_CATALOG_URI": "postgresql://x",
    "LOADER_DSN": "postgresql://127.0.0.1:1/x",
}
RUN = "00000000-0000-0000-0000-000000000001"


def test_a_moment_without_an_offset_is_of_utc_and_a_date_is_its_midnight() -> None:
    assert moment("2026-11-01", "--from") == datetime(2026, 11, 1, tzinfo=UTC)
    assert moment("2026-11-01T12:30+02:00", "--from") == datetime(2026, 11, 1, 10, 30, tzinfo=UTC)


@pytest.mark.parametrize("text", ["yesterday", "2026-13-01", "2026-11-01T12:30:01", ""])
def test_what_is_no_whole_minute_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="--to"):
        moment(text, "--to")


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ([], "--from and --to"),
        (["--from", "2026-11-01"], "--from and --to"),
        (["--from", "2026-11-02", "--to", "2026-11-01"], "must lie before"),
        (["--from", "2026-11-01", "--to", "2026-11-02", "--type", "nothing"], "nothing"),
        (["--undo", RUN, "--dry-run"], "--undo stands alone"),
        (["--undo", RUN, "--tenant", "acme"], "--undo stands alone"),
        (["--list", "--from", "2026-11-01"], "--list stands alone"),
    ],
)
def test_a_wrong_call_says_what_is_wrong_and_opens_nothing(words: list[str], why: str) -> None:
    result = CliRunner().invoke(app, words, env={**SETTINGS, "COLUMNS": "300"})
    assert result.exit_code == 2
    assert why in result.output


def test_other_rollups_are_other_code() -> None:
    """A run that was begun with one must not go on with the other."""
    page_view, purchase = (Registry.load().newest(t) for t in ("page_view", "purchase"))
    assert code_of([page_view, purchase]) == code_of([purchase, page_view])
    assert code_of([page_view]) != code_of([purchase])
    capped = dataclasses.replace(page_view, rollup=dataclasses.replace(page_view.rollup, cap=1))
    assert code_of([capped]) != code_of([page_view])


@pytest.mark.parametrize("name", ["dedupe.py", "rollup.py", "recompute.py", "surviving.py"])
def test_other_code_that_computes_is_other_code(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    page_view = Registry.load().newest("page_view")
    before, read = code_of([page_view]), Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: b"mended" if path.name == name else read(path))
    assert code_of([page_view]) != before
