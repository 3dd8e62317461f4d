"""Runs in Superset's environment: pivots of Superset's own, as charts have them made; prints JSON."""

import json
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any
from unittest import mock

sys.path.insert(0, str(Path(__file__).parents[3]))

import pandas as pd
from pandas.core.groupby.ops import BaseGrouper
from superset.utils import pandas_postprocessing

from superset_config.pivots import pivot_at_once

HOURS = pd.date_range("2026-10-01", periods=5, freq="h")
ROWS = [(hour, source) for hour in HOURS for source in ("a", "b")]
EXACT = [Decimal("0.1"), Decimal("12.30"), None, Decimal(0), Decimal("-7.000001"), Decimal(10**17 + 1)]
SOURCES = ["source"]
IN_PYTHON = "_aggregate_series_pure_python"


def frame(values: list[Any]) -> pd.DataFrame:
    """What a chart's query gives: a row for each hour and source."""
    at, sources = zip(*ROWS, strict=True)
    return pd.DataFrame({"at": at, "source": sources, "n": values}, dtype=object).astype({"at": "datetime64[ns]"})


def pivoted(
    values: list[Any], operator: str = "mean", columns: list[str] | None = SOURCES, **also: Any
) -> tuple[str, int, str]:
    """The pivot of ``values``, how often pandas went through its cells in Python, and ``values`` as they are after."""
    given = frame(values)
    aggregates = {"n": {"operator": operator, **also}}
    inner = getattr(BaseGrouper, IN_PYTHON)
    with mock.patch.object(BaseGrouper, IN_PYTHON, autospec=True, side_effect=inner) as slow:
        try:
            made = pandas_postprocessing.pivot(given, index=["at"], columns=columns, aggregates=aggregates)
        except (TypeError, ValueError) as error:
            return f"{type(error).__name__}: {error}", 0, ""
    return f"{made.to_dict()} {set(map(str, made.dtypes))}", slow.call_count, str(given["n"].tolist())


decimals = [EXACT[number % len(EXACT)] for number in range(len(ROWS))]
asked: dict[str, tuple[list[Any], dict[str, Any]]] = {
    "decimals": (decimals, {}),
    "named": (decimals, {"column": "n"}),
    "whole": ([*range(len(ROWS))], {}),
    "nothing": ([None] * len(ROWS), {}),
    "texts": (["x"] * len(ROWS), {}),
    "means of two": (decimals, {"columns": None}),
    "sums": (decimals, {"operator": "sum"}),
    "in single precision": ([1.0] * len(ROWS), {"options": {"dtype": "float32"}}),
}
before = {name: pivoted(values, **options) for name, (values, options) in asked.items()}
pivot_at_once()
after = {name: pivoted(values, **options) for name, (values, options) in asked.items()}
print(json.dumps({"before": before, "after": after}))  # noqa: T201 - how the test is told
