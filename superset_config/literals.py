"""From what a reader chose to SQL text: every value that can be typed goes through here, never raw into a query."""

import re
from collections.abc import Sequence

_INSTANT = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")


class MacroError(ValueError):
    """A template passed something that may not become SQL; the message names it."""


def literals(values: Sequence[object]) -> str:
    """``('a', 'b')``: the values as SQL string literals, quotes doubled; ``(null)`` when there are none."""
    return "(" + (", ".join("'" + str(value).replace("'", "''") + "'" for value in values) or "null") + ")"


def among(column: str, values: Sequence[object]) -> str:
    """A condition that ``column`` is one of ``values``; ``true`` when nothing was chosen."""
    return f"{column} in {literals(values)}" if values else "true"


def instant(value: str | None) -> str | None:
    """``YYYY-MM-DD HH:MM:SS`` by the clock of the column ``time_zone``, as SQL; None when there is none.

    :raises MacroError: for anything else
    """
    if not value:
        return None
    if not _INSTANT.fullmatch(value):
        raise MacroError(f"not an instant: {value!r}")
    return f"(timestamp '{value}' at time zone time_zone)"
