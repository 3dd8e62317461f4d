"""A report that cannot be made is not tried, and what is missing is said."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from alerts import report, report_needs
from alerts.commands import app
from alerts.due import Due, Standing

NO_MAIL = "nobody is to be told: SMTP_HOST and ALERTS_TO are not set (docs/settings.md)"


@pytest.fixture(autouse=True)
def everything_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    chromium = tmp_path / "chromium"
    chromium.touch(0o700)
    given = {
        "ALERTER_DSN": "postgresql://nowhere/w",
        "SUPERSET_URL": "http://nowhere",
        "SUPERSET_USER": "reporter",
        "SUPERSET_PASSWORD": "x",
        "CHROMIUM_PATH": str(chromium),
        "SMTP_HOST": "mail.example",
        "ALERTS_TO": "ops@here.example",
    }
    for name, value in given.items():
        monkeypatch.setenv(name, value)


def missing() -> list[str]:
    return report_needs.missing(report_needs.AlertSettings.read())


def test_nothing_is_missing_where_all_is_there() -> None:
    assert missing() == []


def test_each_thing_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SMTP_HOST")
    monkeypatch.delenv("ALERTS_TO")
    monkeypatch.setenv("CHROMIUM_PATH", "/nowhere/chromium")
    nobody, chromium = missing()
    assert nobody == NO_MAIL
    assert "/nowhere/chromium" in chromium
    monkeypatch.setattr(report_needs, "BROWSER_LIBRARY", "no_such_library")
    assert missing()[1:] == ["the picture needs no_such_library, which `make setup-dev` installs"]


def test_the_command_says_why_and_ends_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SMTP_HOST")
    monkeypatch.delenv("ALERTS_TO")
    done = CliRunner().invoke(app, ["report", "--day", "2026-11-28", "--if-possible", "--json"])
    assert done.exit_code == 0
    assert json.loads(done.stdout.splitlines()[-1]) == {"day": "2026-11-28", "sent": [], "because": NO_MAIL}


def test_a_wrong_setting_is_a_failure_and_not_something_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ALERTS_TO")
    done = CliRunner().invoke(app, ["report", "--if-possible", "--json"])
    assert done.exit_code == 1
    assert "because" not in done.stdout


def test_a_run_looks_at_its_day_and_those_before_and_says_what_it_sent_or_what_waits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sent = [Due("acme", date(2026, 11, 27)), Due("beta", date(2026, 11, 28), "held")]
    asked: list[Any] = []

    def mail_reports(_dsn: str, _teller: Any, slug: str, days: Any, tenants: Any) -> tuple[list[Due], Standing]:
        asked.append((slug, list(days), list(tenants)))
        return sent, Standing(running=1)

    def last_line() -> dict[str, Any]:
        done = CliRunner().invoke(app, ["report", "--day", "2026-11-28", "--days", "2", "--if-possible", "--json"])
        assert done.exit_code == 0
        said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return said

    monkeypatch.setattr(report, "mail_reports", mail_reports)
    assert last_line() == {"day": "2026-11-28", "sent": ["acme, 2026-11-27", "beta, 2026-11-28 (preliminary)"]}
    sent.clear()
    assert last_line()["because"] == "reports wait: 1 for their day to end"
    assert asked == [("page-views", [date(2026, 11, 27), date(2026, 11, 28)], [])] * 2
