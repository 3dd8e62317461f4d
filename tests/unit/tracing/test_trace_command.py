"""What `watershed trace` refuses before it looks anywhere, and what it says then."""

from datetime import UTC, datetime

import pytest
from typer.testing import CliRunner

from runtime.settings import SettingsError
from tracing.commands import _span, app

RUNNER = CliRunner(env={"COLUMNS": "1000"})


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "EVENT_ID"),
        ([" "], "EVENT_ID"),
        (["x", "--at", "noon"], "--at"),
        (["x", "--from", "yesterday"], "--from"),
        (["x", "--at", "2026-03-01T12:00", "--to", "2026-03-02"], "--from and --to"),
        (["x", "--from", "2026-03-02", "--to", "2026-03-01"], "not after"),
    ],
)
def test_a_mistake_in_the_options_is_named(words: list[str], said: str) -> None:
    done = RUNNER.invoke(app, words)
    assert done.exit_code == 2
    assert said in done.output


def test_a_type_that_there_is_not_is_told_in_a_line() -> None:
    done = RUNNER.invoke(app, ["x", "--type", "nope"])
    assert done.exit_code == 2
    assert done.output.startswith("error: there is no event type 'nope'")


def test_a_missing_setting_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TRACER_DSN", "LAKE_CATALOG_URI"):
        monkeypatch.delenv(name, raising=False)
    done = RUNNER.invoke(app, ["x"])
    assert isinstance(done.exception, SettingsError)
    assert "TRACER_DSN" in str(done.exception)


def test_a_minute_is_looked_in_as_a_whole_and_times_are_utc() -> None:
    noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    assert _span("2026-03-01T12:00:41", None, None) == (noon, noon.replace(minute=1))
    assert _span("2026-03-01T13:00:41+01:00", None, None) == (noon, noon.replace(minute=1))
    assert _span(None, None, "2026-03-01T12:00") == (None, noon)
    assert _span(None, None, None) == (None, None)
