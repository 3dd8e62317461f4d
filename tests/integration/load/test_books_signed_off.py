"""An operator signs off an hour that does not balance, or takes it back, and that is kept."""

import json

import psycopg
import pytest
from typer.testing import CliRunner

from books import commands, show
from books.sign_off import history, sign_off, take_back
from tests.integration.load.books_kit import HOUR, NOON, THROUGH


def test_an_acknowledged_event_that_is_nowhere_is_red_until_someone_signs_it_off(kit, probe, arrival, landed):
    collector = landed()
    collector.take(kit.row(arrival(event=7)))
    collector.say()
    assert kit.reconcile().red >= 1
    assert kit.state() == ("red", {"acknowledged": 4, "landed": 3, "unlanded": 1, "counted": 3})
    assert kit.complete_through() == NOON, "everything received before it is in the charts, and not beyond"
    asked = show.Asked(kit.tenant, probe.contract.type, NOON, NOON + HOUR, red=True)
    (lost,) = show.lost(probe.watershed, asked)
    assert (lost["collector_id"], lost["events"], lost["sequences"]) == (collector.id, 1, [[4, 4]])
    sign_off(probe.watershed, asked, "bob", "never mind")
    assert kit.complete_through() == THROUGH
    these = show.Asked(kit.tenant, probe.contract.type, NOON, NOON + HOUR)
    assert len(take_back(probe.watershed, these, "ann", "I do mind")) == 1
    assert kit.complete_through() == NOON
    assert take_back(probe.watershed, these, "ann", "again") == [], "once"
    assert len(sign_off(probe.watershed, asked, "ann", "the disk of host 7 burnt")) == 1
    assert kit.complete_through() == THROUGH
    kit.reconcile(everything=True)
    assert kit.books()[NOON]["signed_off_because"] == "the disk of host 7 burnt"
    assert kit.complete_through() == THROUGH, "nothing else went wrong"
    collector.take(kit.row(arrival(event=8)))
    collector.say()
    kit.reconcile()
    assert kit.complete_through() == NOON, "one more is lost, which nobody has looked at"
    told = [(one["deed"], one["by"], one["because"], one["lacking"]) for one in history(probe.watershed, these)]
    assert told == [
        ("lapsed", "reconcile", "something else does not balance", {"unlanded": 2}),
        ("signed off", "ann", "the disk of host 7 burnt", {"unlanded": 1}),
        ("taken back", "ann", "I do mind", {"unlanded": 1}),
        ("signed off", "bob", "never mind", {"unlanded": 1}),
    ]


def test_the_history_of_sign_offs_is_shown_and_nobody_changes_it(stack, kit, probe, arrival, landed):
    collector = landed()
    collector.take(kit.row(arrival(event=7)))
    collector.say()
    kit.reconcile()
    runner = CliRunner(env={**stack.own("books"), "COLUMNS": "200"})
    of_hour = ["--tenant", kit.tenant, "--type", probe.contract.type, "--hour", "2026-03-01T12"]

    def told() -> list[tuple[str, str, str]]:
        done = runner.invoke(commands.app, ["sign-offs", "--tenant", kit.tenant, "--json"])
        assert done.exit_code == 0, done.output
        return [(o["deed"], o["by"], o["because"]) for o in json.loads(done.stdout.splitlines()[-1])["sign_offs"]]

    assert runner.invoke(commands.app, ["take-back", *of_hour, "--because", "x"]).exit_code == 1, "it is not signed off"
    for command, because in (("sign-off", "lost"), ("take-back", "found")):
        words = [command, *of_hour, "--because", because, "--by", "ann"]
        assert runner.invoke(commands.app, [*words, "--because", " "]).exit_code == 2, "a reason is asked for"
        before = told()
        assert runner.invoke(commands.app, [*words, "--dry-run"]).exit_code == 0
        assert told() == before
        assert runner.invoke(commands.app, words).exit_code == 0
    assert told() == [("taken back", "ann", "found"), ("signed off", "ann", "lost")]
    assert "signed off by ann" in runner.invoke(commands.app, ["sign-offs", "--tenant", kit.tenant]).stdout
    with psycopg.connect(kit.settings.bookkeeper_dsn, autocommit=True) as bookkeeper:
        for change in ("update ledger.sign_offs set by = 'bob'", "delete from ledger.sign_offs"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                bookkeeper.execute(change.encode())
