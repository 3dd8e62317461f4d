"""A metric as Superset asks for it: the SQL over a dataset's columns, how it is written, and in what form. Pure.

dbt says what a metric is (``dbt_project/metrics.py``). A dataset carries it in a :class:`Form`: as it is, or of the
period so far, of the one before, the change between them, of complete periods and of others.

Two of dbt's aggregates read sketches. A dataset merges them itself (``merges.py``) and has the result as a column,
whose name follows: ``visitors`` from ``visitors_sketch``, ``p95`` for the quantile 0.95.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dbt_project.metrics import Aggregate, Metric, Number, Operation, Term, aggregates

CURRENCY = {"symbol": "AUTO", "symbolPosition": "prefix"}
"""The currency shown is that of the rows."""
D3 = {
    "count": ",d", "money": ",.2f", "share": ".1%", "rate": ".2%", "milliseconds": ",.0f", "seconds": ",.1f",
    "score": ".3f", "value": ",.4~r", "time": None,
}  # fmt: skip
"""How Superset writes a metric of each of dbt's formats."""
CHANGE = "+.1%"
WRITTEN = {
    "sum": "SUM({})", "min": "MIN({})", "max": "MAX({})", "count_distinct": "COUNT(DISTINCT {})",
    "distinct": "SUM({})", "quantile": "MAX({})", "share_of_all": "SUM({})",
}  # fmt: skip
"""Aggregates in SQL. Tenants share no users, so their distinct ones add up; of quantiles the slowest tenant's is it."""
LIKE = {"count_like": "LIKE", "count_unlike": "NOT LIKE"}


@dataclass(frozen=True)
class Form:
    """How a dataset carries a metric: the rows counted, and what is added to its label and its description."""

    where: str = ""
    label: str = "{}"
    words: str = "{}"
    has_currency: bool = True
    zero_when_empty: bool = False
    nothing_where: str = ""
    """Of these rows 0 is null: a tile works out a change itself, and from 0 to anything it would say +0.0 %."""
    newest_alone: bool = False
    """Of the rows ``newest`` only, where there are any: what a tile asks for besides its line (``queries.py``)."""


FORMS: dict[str, Form] = {
    "plain": Form(),
    "now": Form("position = 0", words="{} In the period so far.", has_currency=False),
    "before": Form(
        "position = -1", "{} before", "{} In the same elapsed part of the period before.", has_currency=False
    ),
    "change": Form(
        "position = -1",
        "{} change",
        "{} How much more or less that is than in the same elapsed part of the period before.",
        has_currency=False,
    ),
    "complete": Form("complete", words="{} Of periods that are over and completely counted."),
    "incomplete": Form(
        "NOT complete",
        "{}, not complete yet",
        "{} So far, of periods that still run or whose data are still coming in.",
    ),
    "last_day": Form(
        "hour >= (now() AT TIME ZONE 'UTC') - INTERVAL '24 hours'",
        "{}, 24 h",
        "{} In the last 24 hours.",
        zero_when_empty=True,
    ),
    "newest": Form(newest_alone=True, words="{} Where the newest period is among the rows, of it alone."),
    "tile": Form(nothing_where="compared", words="{} Null where a tile would compare with nothing."),
    "newest_tile": Form(
        nothing_where="compared",
        newest_alone=True,
        words="{} Null where a tile would compare with nothing. Where the newest day is among the rows, of it alone.",
    ),
    "choices": Form(words="{} Of all time: the filter lists the most first."),
}
"""By name."""


class FormError(Exception):
    """A metric cannot be carried in a form; the message names both."""


def carried(metric: Metric, form: str) -> dict[str, Any]:
    """What a dataset says of ``metric`` in ``form``, but for its name there.

    :raises FormError: there is no such form, or not of this metric
    """
    if form not in FORMS:
        raise FormError(f"{metric.key}: no such form: {form!r}")
    chosen = FORMS[form]
    changes = form == "change"
    currency = CURRENCY if metric.format == "money" and chosen.has_currency else None
    return {
        "verbose_name": chosen.label.format(metric.label),
        "metric_type": None,
        "expression": _change(metric) if changes else _in_form(metric, chosen),
        "description": chosen.words.format(metric.description),
        "d3format": CHANGE if changes else D3[metric.format],
        "currency": currency,
    }


def sql(metric: Metric, where: str = "", zero_when_empty: bool = False) -> str:
    """The metric over the rows of a dataset ``where`` something is so; all rows without it.

    :raises FormError: a share of the rows shown is of all of them, and cannot be of some
    """
    value = _written(metric.term, where, metric.key)
    if metric.within:
        value = f"CASE WHEN {_where(f'COUNT(DISTINCT {metric.within})', where)} <= 1 THEN {value} END"
    return f"COALESCE({value}, 0)" if metric.zero_when_empty or zero_when_empty else value


def columns(metric: Metric) -> set[str]:
    """The columns that a dataset must have to carry a metric."""
    return {_column(each) for each in aggregates(metric.term)} | ({metric.within} if metric.within else set())


def reference(metric: Mapping[str, Any]) -> tuple[str, str] | None:
    """The key in dbt and the form that a dataset's metric names in its ``extra``; None for one that names none."""
    extra = metric.get("extra") or {}
    return (str(extra["dbt"]), str(extra.get("form", "plain"))) if "dbt" in extra else None


def _in_form(metric: Metric, form: Form) -> str:
    value = sql(metric, form.where, form.zero_when_empty)
    if form.nothing_where:
        value = f"NULLIF({value}, CASE WHEN BOOL_OR({form.nothing_where}) THEN 0 END)"
    if form.newest_alone:
        value = f"CASE WHEN BOOL_OR(newest) THEN {sql(metric, 'newest')} ELSE {value} END"
    return value


def _change(metric: Metric) -> str:
    return f"({sql(metric, FORMS['now'].where)}) / NULLIF({sql(metric, FORMS['before'].where)}, 0) - 1"


def _written(term: Term, where: str, name: str) -> str:
    if isinstance(term, Number):
        return str(term.value)
    if isinstance(term, Aggregate):
        return _aggregate(term, where, name)
    left, right = _written(term.left, where, name), _written(term.right, where, name)
    if term.sign == "/":
        return f"1.0 * {_grouped(term.left, left)} / NULLIF({right}, 0)"
    if term.sign == "*":
        return f"{_grouped(term.left, left)} * {_grouped(term.right, right)}"
    return f"{left} {term.sign} {_grouped(term.right, right)}"


def _grouped(term: Term, text: str) -> str:
    return f"({text})" if isinstance(term, Operation) else text


def _aggregate(found: Aggregate, where: str, name: str) -> str:
    column = _column(found)
    if found.name == "share":
        if where:
            raise FormError(f"{name}: a share of the rows shown cannot be of some of them")
        return f"SUM({column}) / NULLIF(SUM(SUM({column})) OVER (), 0)"
    if found.name in LIKE:
        conditions = [f"{column} {LIKE[found.name]} '{found.argument}'", *([where] if where else [])]
        return f"COUNT(*) FILTER (WHERE {' AND '.join(conditions)})"
    return _where(WRITTEN[found.name].format(column), where)


def _where(aggregate: str, where: str) -> str:
    return f"{aggregate} FILTER (WHERE {where})" if where else aggregate


def _column(found: Aggregate) -> str:
    if found.name == "quantile":
        return f"p{100 * float(found.argument or 0):.0f}"
    return {"distinct": found.column.removesuffix("_sketch"), "share_of_all": "share"}.get(found.name, found.column)
