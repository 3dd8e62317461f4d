"""`make faults` does not pass by doing less: what was asked for and not made is named, counted, and why."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.faults import run
from tests.faults.verdict import Verdict

HELD, BROKEN = Verdict("a", "broker"), Verdict("b", "broker", findings=["1 lost"])
ROOT = {"c": "only root can"}
ROUNDS = ("of_brokers", "of_plant", "of_wires", "of_disks", "of_clocks")


@pytest.mark.parametrize(
    ("found", "code", "said"),
    [
        ([HELD], 1, ["not made: b: time was over", "not made: c: only root can", "1 made, 0 broke", "2 not made: 1"]),
        ([HELD, Verdict("b", "broker")], 0, ["not made: c: only root can", "2 made", "1 not made: 0 that could be, 1"]),
        ([HELD, BROKEN], 1, ["2 made, 1 broke a promise"]),
        ([HELD, Verdict("b", "broker"), Verdict("c", "broker")], 0, ["3 made, 0 broke a promise; 0 not made"]),
    ],
    ids=["no time", "not as root", "broken", "all"],
)  # fmt: skip
def test_what_was_not_made_is_said_and_only_what_cannot_be_made_is_excused(
    found: Sequence[Verdict], code: int, said: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run.ended("abc", found, ROOT, run.TIME_OVER) == code
    told = capsys.readouterr().out
    assert all(words in told for words in said), told


Call = Callable[..., int]


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Call:
    """The program with rounds that make every fault they want, at once."""

    def each(running: Any, *_: object, **__: object) -> None:
        running.found += [
            Verdict(name, "broker")
            for name in run.names()
            if running.wanted(name) and name not in {verdict.fault for verdict in running.found}
        ]

    def called(*words: str) -> int:
        monkeypatch.setattr("sys.argv", ["faults", "--folder", str(tmp_path), *words])
        return run.main()

    for name in ROUNDS:
        monkeypatch.setattr(run, name, each)
    monkeypatch.setattr(run, "OF_PIPELINE", [each])
    return called


def test_a_run_that_has_time_is_through(call: Call, capsys: pytest.CaptureFixture[str]) -> None:
    assert call() == 0
    assert f"{len(run.names())} made, 0 broke a promise; 0 not made" in capsys.readouterr().out


@pytest.mark.parametrize("broken", ROUNDS)
def test_a_plant_that_does_not_start_costs_no_other_fault(
    call: Call, broken: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def breaks(_running: run.Run) -> None:
        raise RuntimeError("not ready within 180 s")

    monkeypatch.setattr(run, broken, breaks)
    assert call() == 1, "nobody knows what a plant that does not stop has done"
    told = capsys.readouterr()
    assert "not ready within 180 s" in told.err
    assert f"{len(run.names())} made" in told.out, "those that follow make them here"


def test_a_run_whose_time_is_over_fails_and_names_what_it_did_not_come_to(
    call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("--seconds", "0", "--only", "kafka: kill -9") == 1
    assert capsys.readouterr().out.startswith("faults: not made: kafka: kill -9: time was over")


def test_to_ask_for_a_fault_that_there_is_not_is_a_mistake(call: Call) -> None:
    with pytest.raises(SystemExit) as left:
        call("--only", "no such words")
    assert left.value.code == 2


def test_what_this_machine_cannot_make_is_not_tried(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(run.disks, "why_not", lambda: "only root can")
    monkeypatch.setattr(run.clocks, "why_not", lambda: None)
    given = argparse.Namespace(only=None, seconds=60, folder=tmp_path, port_offset=0)
    run.of_disks(run.Run(given))
    assert set(run.cannot().values()) == {"only root can"}
    assert set(run.cannot()) == {fault.name for fault in run.full(run.OUTAGE)}
