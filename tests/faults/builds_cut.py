"""Claims, gates, dbt and publications are cut off from Postgres in mid-transaction: the next run mends it."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial

from tests.faults.bout import Bout
from tests.faults.builds import begun, broken_off
from tests.faults.plant import Plant
from tests.faults.verdict import Verdict
from tests.faults.wire import Wire
from tests.faults.wiring import BUILDS, Pair, Wiring
from tests.integration.lander.processes import wait_for

PLACES = {
    "dbt": (("build", "intermediate.int_page_views_hourly"), ("build", "marts_build.revenue_daily")),
    "gate": (("gate rollups", "ledger.gate_results"), ("gate marts", "ledger.gate_results")),
    "publish": (("claim", "ledger.unpublished"), ("publish", "marts.region_daily"), ("publish", "ledger.publications")),
}
"""By room, the steps and tables at which it is cut off, as it is to write to these."""
GIVES_UP = 120.0
"""Seconds within which a step that is cut off must end by itself."""
SWALLOWED = 15.0
"""Seconds that nothing arrives."""


def _cut(room: str, plant: Plant, step: str, table: str) -> bool:
    wire = _wire(plant, room)
    with begun(plant, step, table) as (process, _), _broken(wire, wire.cut):
        wait_for(f"{step} gives up", lambda: process.poll() is not None, GIVES_UP)
    assert process.returncode, f"{step} was cut off at {table}, and says that all is well"
    return False


def _swallow(room: str, plant: Plant, step: str, table: str) -> bool:
    """Postgres does meanwhile what it was asked for; only its answer waits."""
    wire = _wire(plant, room)
    with begun(plant, step, table) as (process, failpoint), _broken(wire, wire.stall):
        failpoint.release()
        time.sleep(SWALLOWED)
    return bool(process.returncode == 0)


@contextmanager
def _broken(wire: Wire, break_it: Callable[[], None]) -> Iterator[None]:
    before = wire.met
    break_it()
    try:
        yield
    finally:
        wire.mend()
    assert wire.met > before, "nobody spoke through what was broken: nothing was tested"


def _wire(plant: Plant, room: str) -> Wire:
    assert isinstance(plant.fitting, Wiring), "this plant has no wires"
    return plant.fitting.wires[Pair(room, "postgres")]


def _fault(room: str, name: str, break_off: Callable[[str, Plant, str, str], bool]) -> Callable[[Bout], Verdict]:
    return lambda bout: broken_off(name, bout, PLACES[room], partial(break_off, room))


WAYS: Mapping[str, Callable[[str, Plant, str, str], bool]] = {"cut": _cut, "packets swallowed": _swallow}
FAULTS: Mapping[str, Callable[[Bout], Verdict]] = {
    name: _fault(pair.client, name, break_off)
    for pair in BUILDS
    for way, break_off in WAYS.items()
    for name in [f"{pair}: {way}"]
}
