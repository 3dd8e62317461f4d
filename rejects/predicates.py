"""Filters over the lake's columns, with the arguments that pyiceberg's take: its types hide them from type checkers."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from pyiceberg import expressions
from pyiceberg.expressions import AlwaysTrue, And, BooleanExpression

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
