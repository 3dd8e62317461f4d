"""Faults of the pipeline's own work: builds and publications by command, topics, and Airflow's runs."""

import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from stack.lifecycle import Stack
from tests.e2e.kit import Airflow
from tests.faults import airflow_killed, airflow_runs, builds, builds_cut, scheduled, topics
from tests.faults.bout import Bout
from tests.faults.plant import Plant
from tests.faults.scheduled import Scheduled
from tests.faults.verdict import Verdict
from tests.faults.wiring import Wiring

if TYPE_CHECKING:
    from tests.faults.run import Run

B = TypeVar("B", bound=Bout)
Up = Callable[[Plant, Sequence[str]], AbstractContextManager[Plant]]
"""Brings a plant of some parts up, and down again."""
BY_COMMAND: Mapping[str, Callable[[Bout], Verdict]] = {**builds.FAULTS, **topics.FAULTS}
BY_AIRFLOW: Mapping[str, Callable[[Scheduled], Verdict]] = {**airflow_killed.FAULTS, **airflow_runs.FAULTS}
NAMES = (*BY_COMMAND, *builds_cut.FAULTS, *BY_AIRFLOW)
PARTS = ("redis", "spark-connect", "collector", "lander")
TYPES = ("page_view", "purchase")
"""Two that reach marts will do: each costs time in every load and build, and each step is waited for."""
RATE = 50


def of_builds(run: "Run", up: Up) -> None:
    """Each fault by command, on a plant without Airflow."""
    if any(map(run.wanted, BY_COMMAND)):
        with up(_empty(run), PARTS) as plant:
            _make(run, BY_COMMAND, partial(_bout, run, plant))


def of_cut_builds(run: "Run", up: Up) -> None:
    """Each by command too, on one that is wired."""
    if any(map(run.wanted, builds_cut.FAULTS)):
        _empty(run)
        with Wiring(run.settings) as wiring, up(Plant(run.settings, wiring), PARTS) as plant:
            _make(run, builds_cut.FAULTS, partial(_bout, run, plant))


def of_airflow(run: "Run", up: Up) -> None:
    """Each with Airflow, on a plant that is whole."""
    if any(map(run.wanted, BY_AIRFLOW)):
        with up(_empty(run), scheduled.PARTS) as plant, Airflow(plant.env) as airflow:
            scheduled.know_dags(airflow)

            def scheduled_bout(name: str) -> Scheduled:
                past = airflow_runs.PAST.get(name, timedelta())
                return Scheduled(airflow, plant, *_given(run), past=past, **_options(run))

            _make(run, BY_AIRFLOW, scheduled_bout)


OF_PIPELINE = (of_builds, of_cut_builds, of_airflow)


def _bout(run: "Run", plant: Plant, _name: str) -> Bout:
    return Bout(plant, *_given(run), **_options(run))


def _given(run: "Run") -> tuple[Path, int]:
    return run.given.folder / "journals", random.getrandbits(32)


def _options(run: "Run") -> dict[str, Any]:
    return {"types": run.given.types or TYPES, "rate": RATE}


def _empty(run: "Run") -> Plant:
    Stack(run.settings).reset(lambda _part, _what: None)
    return Plant(run.settings)


def _make(run: "Run", faults: Mapping[str, Callable[[B], Verdict]], bout: Callable[[str], B]) -> None:
    for name, fault in faults.items():
        if run.wanted(name):
            run.judged(name, partial(_made, fault, bout(name)))


def _made(fault: Callable[[B], Verdict], bout: B) -> Sequence[Verdict]:
    bout.begin()
    try:
        return [fault(bout)]
    finally:
        bout.load.stop()
