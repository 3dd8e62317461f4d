"""Python's search for garbage in cycles goes through everything that Superset has loaded less often than it would.

A full search takes 0.2 to 0.7 s for Superset's objects, most of which are there for good, and every reader waits; as
Python comes it is made several times for the dashboards' charts once asked. What is no cycle is let go at once anyhow.
"""

import gc

SOME = 5_000
"""New objects before the newest are searched: 2 ms."""
OF_THOSE = 20
"""Searches of the newest before those are searched that outlived one: 20 ms."""
OF_THESE = 100
"""Searches of those before everything is searched."""


def collect_seldom() -> None:
    """Have Python search for garbage less often; for the rest of the process."""
    gc.set_threshold(SOME, OF_THOSE, OF_THESE)
