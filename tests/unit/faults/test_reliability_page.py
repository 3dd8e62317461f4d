"""What docs/reliability.md names is there, and its results are those that were written."""

import json
import re
from pathlib import Path

import pytest

from stack.settings import REPO
from tests.faults import catalogue, page
from tests.faults.verdict import RESULTS, Verdict, keep

NAMED = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")


def test_every_test_that_is_named_exists() -> None:
    named = NAMED.findall(page.PAGE.read_text())
    assert len(named) > 30
    missing = [f"{file}::{name}" for file, name in named if f"def {name}(" not in (REPO / file).read_text()]
    assert missing == []


def test_results_are_of_faults_that_there_are() -> None:
    assert set(json.loads(RESULTS.read_text())) <= set(catalogue.names())


def test_no_two_faults_have_one_name() -> None:
    """The results are kept by name: one would be written over the other's."""
    assert len(set(catalogue.names())) == len(catalogue.names())


def test_the_results_of_a_run_stay_beside_those_of_others(tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    keep([Verdict("a", "broker", sent=1), Verdict("b", "broker", sent=1)], {"date": "yesterday"}, file)
    keep([Verdict("b", "broker", sent=2, findings=["1 lost"])], {"date": "today"}, file)
    kept = json.loads(file.read_text())
    assert {name: (v["sent"], v["held"], v["date"]) for name, v in kept.items()} == {
        "a": (1, True, "yesterday"),
        "b": (2, False, "today"),
    }


HELD = Verdict(
    "a", "broker", 15, sent=1000, red_after=2.5, recovered_after=3.0, bound=30, caught_up_after=20, books="balance"
)


@pytest.mark.parametrize(
    ("verdict", "words"),
    [
        (HELD, ["| a | today | 15 | 1,000 |", "| 2.5 | 3 | 30 | 20 | balance |", "| held |"]),
        (Verdict("a", "broker", findings=["1 lost"]), ["**broken**", "- **a**: 1 lost"]),
        (
            Verdict("a", "broker", 8, sent=1000, acknowledged=1000),
            ["| a | today | 8 | 1,000 | 1,000 | 0 | - | - | - |"],
        ),
    ],
    ids=["held", "broken", "not looked at"],
)
def test_a_verdict_is_told_as_it_is(tmp_path: Path, verdict: Verdict, words: list[str]) -> None:
    file = tmp_path / "results.json"
    keep([verdict], {"date": "today", "machine": "this one"}, file)
    text = page.results(json.loads(file.read_text()), ["a", "b"])
    assert all(word in text for word in words), text
    assert "No result of these is written yet: b." in text
