"""Counts how often Python searches everything for garbage while answers are made, before and after; prints JSON."""

import gc
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3]))

from superset_config.collecting import collect_seldom

ANSWERS = 40
ROWS = 6_480
"""Of the longest chart over two weeks."""


def full_searches() -> int:
    """Of how many full searches ``ANSWERS`` answers are the cause."""
    gc.collect()
    before = gc.get_stats()[2]["collections"]
    kept = [[{"at": at, "n": [answer]} for at in range(ROWS)] for answer in range(ANSWERS)]
    return int(gc.get_stats()[2]["collections"]) - int(before) if kept else 0


def cycles_left() -> int:
    """Of ten thousand cycles that nobody holds any more, how many are still there."""
    gc.collect()

    class Cycle:
        def __init__(self) -> None:
            self.itself = self

    for _ in range(10_000):
        Cycle()
    return sum(isinstance(each, Cycle) for each in gc.get_objects())


facts = {"as Python comes": full_searches()}
collect_seldom()
facts |= {"seldom": full_searches(), "cycles left": cycles_left()}
print(json.dumps(facts))  # noqa: T201 - how the test is told
