"""Filters over the lake's columns, with the arguments that pyiceberg's take: its types hide them from type checkers."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from pyiceberg import expressions
from pyiceberg.expressions import AlwaysFalse, AlwaysTrue, And, BooleanExpression, Or

_TAKES: Any = expressions


def equal(column: str, value: str) -> BooleanExpression:
    """``column = value``."""
    found: BooleanExpression = _TAKES.EqualTo(column, value)
    return found


def since(column: str, instant: datetime) -> BooleanExpression:
    """``column >= instant``."""
    found: BooleanExpression = _TAKES.GreaterThanOrEqual(column, instant.isoformat())
    return found


def before(column: str, instant: datetime) -> BooleanExpression:
    """``column < instant``."""
    found: BooleanExpression = _TAKES.LessThan(column, instant.isoformat())
    return found


def among(column: str, values: Iterable[str | int]) -> BooleanExpression:
    """``column in values``."""
    found: BooleanExpression = _TAKES.In(column, set(values))
    return found


def every(filters: Iterable[BooleanExpression]) -> BooleanExpression:
    """All of them; without any, every row."""
    return And(AlwaysTrue(), AlwaysTrue(), *filters)


def absent(column: str) -> BooleanExpression:
    """The column is null."""
    found: BooleanExpression = _TAKES.IsNull(column)
    return found


def either(filters: Iterable[BooleanExpression]) -> BooleanExpression:
    """At least one of them holds."""
    found: BooleanExpression = AlwaysFalse()
    for one in filters:
        found = Or(found, one)
    return found
