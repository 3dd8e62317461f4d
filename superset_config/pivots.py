"""A pivot's means are worked out by pandas at once, not cell by cell in Python.

A line's rows become columns by a pivot whose cells are means, each of one row: three thousand for ten lines of two
weeks of hours. Superset hands pandas a function that pandas does not know as its own mean, and so calls for each cell;
of decimals, which Postgres sums to, pandas would go from cell to cell as well. The means are floats either way.
"""

from collections.abc import Callable, Mapping
from functools import partial, wraps
from importlib import import_module
from typing import Any

MEAN = "mean"
FLOATS = "float64"


def of_floats(pivot: Callable[..., Any]) -> Callable[..., Any]:
    """``pivot`` (a frame, and options that name the ``aggregates``, to a frame), its means of floats.

    Columns that hold something else than numbers stay as they are, and are refused as they were.
    """

    @wraps(pivot)
    def pivoted(df: Any, *args: Any, aggregates: Mapping[str, Mapping[str, Any]], **options: Any) -> Any:
        averaged = {of.get("column", name) for name, of in aggregates.items() if of.get("operator") == MEAN}
        numbers = [name for name in averaged & {*df.columns} if _are_numbers(df[name])]
        return pivot(df.astype(dict.fromkeys(numbers, FLOATS)), *args, aggregates=aggregates, **options)

    return pivoted


def by_name(functions: Callable[..., Mapping[str, Any]]) -> Callable[..., dict[str, Any]]:
    """``functions`` (what pandas is to call for each aggregate of a frame), means of floats by pandas' name of them."""
    from numpy import mean  # noqa: PLC0415 - not in every environment that reads this module

    @wraps(functions)
    def named(df: Any, aggregates: Mapping[str, Any]) -> dict[str, Any]:
        return {
            name: asked._replace(aggfunc=MEAN)
            if df[asked.column].dtype == FLOATS and _is(asked.aggfunc, mean)
            else asked
            for name, asked in functions(df, aggregates).items()
        }

    return named


def _is(aggregate: Any, function: Any) -> bool:
    """Whether it is ``function``, with nothing chosen."""
    return isinstance(aggregate, partial) and aggregate.func is function and not (aggregate.args or aggregate.keywords)


def _are_numbers(column: Any) -> bool:
    """Whether these Python objects are numbers, and gaps."""
    from pandas.api.types import infer_dtype  # noqa: PLC0415 - not in every environment that reads this module

    return bool(column.dtype == object and infer_dtype(column, skipna=True) in {"decimal", "integer", "floating"})


def pivot_at_once() -> None:
    """Have Superset's charts pivot by pandas' own mean."""
    # By name: the package has a function of the module's name. It loads Superset, which loads the settings.
    package: Any = import_module("superset.utils.pandas_postprocessing")
    module: Any = import_module("superset.utils.pandas_postprocessing.pivot")
    module._get_aggregate_funcs = by_name(module._get_aggregate_funcs)
    package.pivot = of_floats(package.pivot)
