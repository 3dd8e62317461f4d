"""What `watershed trace` refuses before it looks anywhere, and how it ends when it has looked."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import SecretStr
from typer.testing import CliRunner

from runtime.settings import SettingsError
from tests.unit.tracing.test_story import EMPTY, EVENT
from tests.unit.tracing.trace_kit import event_id
from tracing import trace
from tracing.commands import _span, app
from tracing.lake import Wanted
from tracing.settings import TraceSettings

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


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Wanted]:
    """A search that knows event 1 alone; what it was asked for."""
    found: list[Wanted] = []

    def search(_contracts: Any, _settings: Any, _locations: Any, wanted: Wanted, **_: Any) -> dict[str, Any]:
        found.append(wanted)
        if wanted.ids == {event_id(1)}:
            return {**EMPTY, "events": [EVENT]}
        return {**EMPTY, "ids": sorted(wanted.ids), "not_found": sorted(wanted.ids)}

    settings = TraceSettings.model_construct(lake_catalog_uri=SecretStr("postgresql://c"))
    monkeypatch.setattr(TraceSettings, "read", lambda: settings)
    monkeypatch.setattr(trace, "tables", lambda *_: {})
    monkeypatch.setattr(trace, "trace", search)
    return found


def test_with_json_the_answer_is_the_only_line_and_people_are_told_beside_it(asked: list[Wanted]) -> None:
    done = RUNNER.invoke(app, [event_id(1).upper(), "--tenant", "acme", "--at", "2026-03-01T12:00", "--json"])
    assert (done.exit_code, done.exception) == (0, None)
    assert json.loads(done.stdout) == {**EMPTY, "events": [EVENT]}
    assert "rollups.purchase_minute" in done.stderr
    noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    assert asked == [Wanted(frozenset({event_id(1)}), "acme", noon, noon.replace(minute=1))]


def test_without_it_people_are_told(asked: list[Wanted]) -> None:
    done = RUNNER.invoke(app, [event_id(1)])
    assert done.exit_code == 0
    assert f"purchase {event_id(1)} of tenant acme: counted" in done.stdout


@pytest.mark.parametrize("words", [[], ["--json"]])
def test_of_an_id_that_nobody_knows_it_ends_with_1(asked: list[Wanted], words: list[str]) -> None:
    done = RUNNER.invoke(app, [event_id(2), *words])
    assert done.exit_code == 1
    assert f"{event_id(2)}: not known" in (done.stderr if words else done.stdout)
    if words:
        assert json.loads(done.stdout)["not_found"] == [event_id(2)]
