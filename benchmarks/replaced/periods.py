"""Replacing a period in two tables and noting it in a ledger, while somebody reads: what does the reader see?

The work is that of ``warehouse.publish`` in small. In version v every row says v; odd versions have fewer rows than
even ones, so that rows have to vanish too. A reader that finds two versions, or a number of rows that is not its
version's, has seen a state that never should have been.
"""

import statistics
import threading
import time
from collections.abc import Sequence
from typing import Any, Protocol

ROWS = {0: (300, 120), 1: (200, 80)}
"""Rows of the two tables in even and in odd versions."""
REPLACEMENTS = 200
TABLES = ("hourly", "daily")

Seen = tuple[list[int], list[int], list[int]]
"""The version in each row found of ``hourly``, ``daily`` and ``ledger``."""


class Store(Protocol):
    """A database, with one connection to write and another to read."""

    def create(self) -> None:
        """Make the three tables."""

    def replace(self, version: int, rows: Sequence[int]) -> None:
        """Make the period be ``version``: ``rows[i]`` rows in the i-th table, and one in the ledger."""

    def read(self) -> Seen:
        """Read the period in all three tables as consistently as the database offers."""


def rows_of(version: int) -> tuple[int, int]:
    """How many rows the two tables have in ``version``."""
    return ROWS[version % 2]


def in_one_table(seen: Seen) -> bool:
    """Whether one table by itself is of two versions, or not all of one."""
    return any(len(set(rows)) != 1 or len(rows) != rows_of(rows[0])[i] for i, rows in enumerate(seen[:2]))


def across(seen: Seen) -> bool:
    """Whether what was read, taken together, was never a version."""
    return in_one_table(seen) or len(set().union(*seen)) != 1 or len(seen[2]) != 1


def race(store: Store, replacements: int = REPLACEMENTS) -> dict[str, Any]:
    """Replace the period again and again beside a reader; milliseconds a replacement, and what the reader saw."""
    store.create()
    store.replace(0, rows_of(0))
    judged: list[tuple[bool, bool]] = []
    failed: list[BaseException] = []
    done = threading.Event()

    def reader() -> None:
        try:
            while not done.is_set():
                seen = store.read()
                judged.append((across(seen), in_one_table(seen)))
        except Exception as error:
            failed.append(error)

    thread = threading.Thread(target=reader)
    thread.start()
    took = []
    try:
        for version in range(1, replacements + 1):
            started = time.monotonic()
            store.replace(version, rows_of(version))
            took.append(time.monotonic() - started)
    finally:
        done.set()
        thread.join()
    if failed:
        raise failed[0]
    last = store.read()
    if across(last) or last[2] != [replacements]:
        raise SystemExit("after the last replacement the tables are not its version: the benchmark is wrong")
    return {
        "replacement_ms_median": round(statistics.median(took) * 1000, 1),
        "reads": len(judged),
        "reads_of_a_mixture": sum(mixed for mixed, _ in judged),
        "of_them_within_one_table": sum(within for _, within in judged),
    }
