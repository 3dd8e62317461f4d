"""The metrics of the marts, each defined once: in its mart's ``meta`` in the schema files, as its docs show it.

A definition is data, never SQL: an expression of the few aggregates that :data:`AGGREGATES` allows, over columns. Who
shows the numbers writes the SQL that fits his tables (``superset_config/measures.py``). Pure, but for reading YAML.
"""

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import yaml

from dbt_project.selection import PROJECT

MODELS = PROJECT / "models"
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
AGGREGATES: dict[str, type | None] = {
    "sum": None, "min": None, "max": None, "count_distinct": None, "distinct": None, "quantile": float,
    "share": None, "share_of_all": None, "count_like": str, "count_unlike": str,
}  # fmt: skip
"""The aggregates that an expression may name, and of what type their second argument is, if they have one.

``distinct`` and ``quantile`` read sketches that were merged over the rows chosen. ``share`` is the part of the rows
shown, ``share_of_all`` that of all rows of the period. ``count_like`` counts rows whose text is like a pattern.
"""
UNITS = {
    "count": "a number of them", "money": "an amount in its currency", "share": "a part, in %", "rate": "a part, in %",
    "milliseconds": "milliseconds", "seconds": "seconds", "score": "from 0 to 1", "value": "the metric's own unit",
    "time": "an instant, UTC",
}  # fmt: skip
"""What a metric's ``format`` says of its unit."""
MONEY = "numeric(38,4)"
"""The type of columns that hold an amount of money."""
COLUMN = re.compile(r"[a-z][a-z0-9_]*")
PATTERN = re.compile(r"[A-Za-z ]+%?")
KEYS = {"label", "expression", "format", "description", "within", "zero_when_empty"}
LEAST_DESCRIPTION = 15


class MetricError(Exception):
    """A definition is not what it may be; the message names it."""


@dataclass(frozen=True)
class Aggregate:
    """One of :data:`AGGREGATES` over a column: ``quantile(duration_sketch, 0.95)``."""

    name: str
    column: str
    argument: float | str | None = None


@dataclass(frozen=True)
class Number:
    """A number written in an expression."""

    value: float | int


@dataclass(frozen=True)
class Operation:
    """Two terms put together."""

    sign: Literal["+", "-", "*", "/"]
    left: "Term"
    right: "Term"


Term = Aggregate | Number | Operation
SIGNS: dict[type[ast.operator], Literal["+", "-", "*", "/"]] = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}


@dataclass(frozen=True)
class Metric:
    """One metric of one mart.

    ``within``: the column of which its rows must not have two values (a currency), or there is no number.
    ``zero_when_empty``: no rows are 0, not nothing.
    """

    mart: str
    name: str
    label: str
    expression: str
    format: str
    description: str
    within: str | None = None
    zero_when_empty: bool = False

    @property
    def key(self) -> str:
        """What it is called from outside: ``revenue_daily.net_revenue``."""
        return f"{self.mart}.{self.name}"

    @property
    def columns(self) -> set[str]:
        """The mart's columns that it is made from."""
        return {each.column for each in aggregates(self.term)} | ({self.within} if self.within else set())

    @property
    def term(self) -> Term:
        """The expression, parsed.

        :raises MetricError: see :func:`parsed`
        """
        return parsed(self.expression, self.key)


def parsed(expression: str, name: str) -> Term:
    """An expression as terms: sums, differences, products and quotients of allowed aggregates and of numbers.

    :raises MetricError: for anything else; it calls the expression ``name``
    """
    try:
        term = _term(ast.parse(expression, mode="eval").body, name)
    except SyntaxError as error:
        raise MetricError(f"{name}: {expression!r} is no expression: {error.msg}") from error
    if not list(aggregates(term)):
        raise MetricError(f"{name}: {expression!r} aggregates nothing")
    return term


def aggregates(term: Term) -> Iterator[Aggregate]:
    """The aggregates of an expression."""
    if isinstance(term, Aggregate):
        yield term
    elif isinstance(term, Operation):
        yield from aggregates(term.left)
        yield from aggregates(term.right)


def defined() -> dict[str, Metric]:
    """All metrics by key, in the order of the files.

    :raises MetricError: for a definition that is not allowed, and for an amount of money that could be added across
        currencies
    """
    found: dict[str, Metric] = {}
    for file in sorted(MODELS.rglob("*.yml")):
        document = yaml.load(file.read_text(encoding="utf-8"), LOADER) or {}  # noqa: S506 (both are safe)
        tables = [table for source in document.get("sources", []) for table in source["tables"]]
        for mart in [*document.get("models", []), *tables]:
            found |= {metric.key: metric for metric in of_mart(mart)}
    return found


def of_mart(mart: Mapping[str, Any]) -> Iterator[Metric]:
    """The metrics that one entry of a schema file defines.

    :raises MetricError: see :func:`defined`
    """
    types = {column["name"]: column.get("data_type") for column in mart.get("columns", [])}
    for name, said in mart.get("config", {}).get("meta", {}).get("metrics", {}).items():
        key = f"{mart['name']}.{name}"
        if unknown := said.keys() - KEYS:
            raise MetricError(f"{key}: a metric has no {', '.join(sorted(unknown))}")
        if missing := {"label", "expression", "format", "description"} - said.keys():
            raise MetricError(f"{key}: {', '.join(sorted(missing))} missing")
        metric = Metric(mart["name"], name, **said)
        if metric.format not in UNITS:
            raise MetricError(f"{key}: no such format: {metric.format!r}")
        if len(metric.description) < LEAST_DESCRIPTION:
            raise MetricError(f"{key}: {metric.description!r} does not say what the number means")
        if types and (strange := metric.columns - types.keys()):
            raise MetricError(f"{key}: {mart['name']} has no column {', '.join(sorted(strange))}")
        is_money = metric.format == "money" or any(types.get(column) == MONEY for column in metric.columns)
        if is_money and metric.within != "currency":
            raise MetricError(f"{key}: an amount of money needs `within: currency`, or it is added across currencies")
        yield metric


def table(metrics: Mapping[str, Mapping[str, Any]]) -> str:
    """What a mart's page in dbt's docs says of the metrics in its ``meta``, as Markdown."""
    rows = [
        f"| **{said['label']}** (`{name}`) | {said['description']} | {_spelled(said)} | {UNITS[said['format']]} |"
        for name, said in metrics.items()
    ]
    return "\n".join(
        ["#### Metrics\n", "| metric | what it means | how it is made | unit |", "|---|---|---|---|", *rows]
    )


def _spelled(said: Mapping[str, Any]) -> str:
    within = f", within one {said['within']}" if said.get("within") else ""
    return f"`{said['expression']}`{within}"


def _term(node: ast.expr, name: str) -> Term:
    if isinstance(node, ast.BinOp) and type(node.op) in SIGNS:
        return Operation(SIGNS[type(node.op)], _term(node.left, name), _term(node.right, name))
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float) and not isinstance(node.value, bool):
        return Number(node.value)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.keywords:
        return _aggregate(node.func.id, node.args, f"{name}: {ast.unparse(node)!r}")
    raise MetricError(f"{name}: {ast.unparse(node)!r} may not stand in an expression")


def _aggregate(called: str, arguments: list[ast.expr], name: str) -> Aggregate:
    if called not in AGGREGATES:
        raise MetricError(f"{name} is none of {', '.join(AGGREGATES)}")
    column, others = (arguments[0] if arguments else None), arguments[1:]
    if not isinstance(column, ast.Name) or not COLUMN.fullmatch(column.id):
        raise MetricError(f"{name} is not of a column")
    wanted = AGGREGATES[called]
    values = [other.value if isinstance(other, ast.Constant) else None for other in others]
    if [type(value) for value in values] != ([wanted] if wanted else []):
        raise MetricError(f"{name} has other arguments than it may")
    for value in values:
        if isinstance(value, str) and not PATTERN.fullmatch(value):
            raise MetricError(f"{name}: {value!r} is no pattern of words")
        if isinstance(value, float) and not 0 < value < 1:
            raise MetricError(f"{name}: {value} is no quantile")
        if isinstance(value, str | float):
            return Aggregate(called, column.id, value)
    return Aggregate(called, column.id)
