"""The faults that `make faults` makes."""

from tests.faults import pipeline, storm
from tests.faults.bout import Fault
from tests.faults.clocks import skewed
from tests.faults.cuts import cuts
from tests.faults.disks import full
from tests.faults.killed import SHOWS, killed, paused, postgres_immediate
from tests.faults.mischief import postgres_in_mid_transaction
from tests.faults.trio import taken_away

OUTAGE = 15.0
"""Seconds that an outage lasts: longer than health may take to show it."""
LONG_OUTAGE = 90.0
"""So long that twice as long is what a backlog may take, and not the floor (docs/reliability.md)."""
SKEWED = 30.0
"""Seconds that a clock is wrong: a few landings and loads."""


def singles() -> list[Fault]:
    """Faults of a plant's programs, each made by itself."""
    return [
        *(killed(name) for name in SHOWS),
        *(paused(name, OUTAGE) for name in SHOWS),
        paused("s3", LONG_OUTAGE, f", {LONG_OUTAGE:g} s"),
        postgres_immediate(),
        postgres_in_mid_transaction(),
    ]


def wired() -> list[Fault]:
    """Faults of a wired plant's network."""
    return cuts(OUTAGE)


def names() -> list[str]:
    """Every fault's name."""
    return [
        *(fault.name for fault in (*singles(), *taken_away(OUTAGE), *wired(), *full(OUTAGE), *skewed(SKEWED))),
        storm.NAME,
        *pipeline.NAMES,
    ]
