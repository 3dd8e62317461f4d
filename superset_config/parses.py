"""What Superset parsed is kept: one chart parses the same SQL five times (ADR 0023).

Superset parses a dataset's SQL to see that it is one statement, that it changes nothing, and which tables' rules of
row-level security apply; for the key of its cache and again for the query. Parsing depends on the text and the dialect
alone, and on nobody's rights, so one reader's parse serves another; what follows from it is decided anew each time.
"""

import copy
from collections.abc import Callable
from functools import lru_cache
from typing import Any

MOST_STATEMENTS = 128
"""How many scripts are kept, at about 0.7 MB each for the longest of our datasets: 90 MB at most."""

LONGEST = 16_384
"""Characters: what is longer (in SQL Lab, or many regions chosen) is parsed each time, not kept."""


def remembered(split: Callable[[str, str], list[Any]]) -> Callable[[type, str, str], list[Any]]:
    """``split`` (SQL and Superset's name of the engine to statements) as a class's method that parses a text once.

    Each caller has statements of its own: Superset changes them in place, to add limits and rules. A text that cannot
    be parsed raises as it did, each time.
    """
    kept = lru_cache(MOST_STATEMENTS)(split)

    def split_script(_cls: type, script: str, engine: str) -> list[Any]:
        if len(script) > LONGEST:
            return split(script, engine)
        return [_own(statement) for statement in kept(script, engine)]

    return split_script


def _own(statement: Any) -> Any:
    """A copy that shares nothing that Superset changes."""
    own = copy.copy(statement)
    own._parsed = statement._parsed.copy()
    own.tables = set(statement.tables)
    return own


def remember_parses() -> None:
    """Have Superset's SQL statements parsed once for each text."""
    from superset.sql.parse import SQLStatement  # noqa: PLC0415 - it loads Superset, which loads the settings

    SQLStatement.split_script = classmethod(remembered(SQLStatement.split_script))
