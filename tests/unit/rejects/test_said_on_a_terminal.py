"""What senders wrote is shown as it is, and neither obeyed as markup nor by the terminal."""

import psycopg
import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from contracts.registry import ContractError
from contracts.validate import Violation
from rejects import commands, rehearse_commands, repair_commands, terminal
from rejects.browse import Overview
from rejects.examine import Refused
from rejects.rehearse import Rehearsal, Senders
from rejects.tally import Tally
from spark_jobs.reject_labels import Labels
from tests.unit.rejects.rejects_kit import REGISTRY, purchase, reject

HOSTILE = ["[/x]", "[red]", "[link=https://evil.example]here", ":smile:", "\x1b]0;owned\x07", "\x9b2J", "\u202egnp"]
OBEYED = ("\x1b", "\x07", "\x9b", "\u202e")


@pytest.fixture(params=HOSTILE)
def hostile(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def shown(text: str, captured: pytest.CaptureFixture[str]) -> str:
    out = captured.readouterr().out
    assert not any(each in out for each in OBEYED)
    assert terminal.plain(text) in out.replace("\n", "")
    return out


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "400")


def test_an_unknown_fields_name_is_not_in_what_a_repair_says(hostile: str, capsys: pytest.CaptureFixture[str]) -> None:
    tally = Tally(Labels(REGISTRY))
    message = f"{hostile} is not a field of purchase v1"
    tally.add(Refused(reject(purchase()), (Violation("/data/x", "additionalProperties", message),)))
    done = {"dry_run": True, "unanswered": 0, "files_missing": 2, **tally.as_json()}
    repair_commands._show(done, terminal.console(stderr=False))
    assert hostile not in shown("/data/(unknown) additionalProperties", capsys)


def test_a_rejection_in_a_list_and_alone(hostile: str, capsys: pytest.CaptureFixture[str]) -> None:
    one = reject(
        body=hostile.encode(), tenant=hostile, event_type=hostile, reasons=(Violation(f"/{hostile}", "type", hostile),)
    )
    overview = Overview(Labels(REGISTRY), 10)
    overview.add(one)
    commands._show_overview(overview, frozenset(), terminal.console(stderr=False))
    shown(hostile, capsys)
    commands._show_one(one, None, terminal.console(stderr=False))
    shown(hostile, capsys)


def test_a_body_keeps_its_lines(capsys: pytest.CaptureFixture[str]) -> None:
    commands._show_one(reject(body=b'{\n\t"a": 1\r\n}'), None, terminal.console(stderr=False))
    assert '{\n        "a": 1\\r\n}' in capsys.readouterr().out.expandtabs(8)


def test_a_name_in_a_rehearsal(hostile: str, capsys: pytest.CaptureFixture[str]) -> None:
    senders = Senders()
    event = {"event_id": "e", "occurred_at": "t"}
    senders.add(event, "acme", [Violation("/data/x", "propertyNames", hostile)], Labels(REGISTRY))
    found = Rehearsal(REGISTRY.newest("purchase"), 1, senders, (), rejected={(hostile, "k_1"): (1, 0)})
    rehearse_commands._show(found, terminal.console(stderr=False))
    assert shown(hostile, capsys).count(terminal.plain(hostile)) == 2


@given(st.text())
def test_plain_text_has_nothing_that_does_not_show(text: str) -> None:
    assert terminal.plain(text).isprintable()
    assert terminal.plain(text) == text or not text.isprintable()


@pytest.mark.parametrize("error", [psycopg.OperationalError("gone"), OSError("gone"), ContractError("gone")])
def test_what_is_away_is_told_in_a_line(error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit), terminal.trouble_told():
        raise error
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert said.count("\n") == 1
