"""Runs in Superset's environment: forecasts of Superset's own, by Prophet, with its fits counted; prints JSON."""

import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest import mock

sys.path.insert(0, str(Path(__file__).parents[3]))

import pandas as pd
from prophet import Prophet

from superset_config.forecasts import MOST_FORECASTS, keep_forecasts

prophet: Any = import_module("superset.utils.pandas_postprocessing.prophet")
DAYS = pd.date_range("2026-10-01", periods=28, freq="D")
VIEWS = [100.0 + 10 * (day % 7) for day in range(28)]


def forecast(views: list[float], periods: int = 3) -> Any:
    """As a chart has it made."""
    frame = pd.DataFrame({"day": DAYS, "views": views})
    options = {"yearly_seasonality": False, "weekly_seasonality": True, "daily_seasonality": False}
    return prophet.prophet(df=frame, time_grain="P1D", periods=periods, confidence_interval=0.8, index="day", **options)


def told(frame: Any) -> str:
    """All that is in ``frame``."""
    return str(frame.to_json())


keep_forecasts()
with mock.patch.object(Prophet, "fit", autospec=True, side_effect=Prophet.fit) as fit:
    first = forecast(VIEWS)
    said = told(first)
    first["views__yhat"] = 0
    again = told(forecast(VIEWS))
    fits_of_the_same = fit.call_count
    other = forecast([*VIEWS[:-1], VIEWS[-1] + 500])
    longer = forecast(VIEWS, periods=5)
    fits_of_three = fit.call_count

keep = import_module("superset_config.forecasts").kept
asked: list[float] = []


def fitted(df: Any, **_: Any) -> Any:
    asked.append(int(df["y"][0]))
    return df


many = keep(fitted)
for n in [*range(MOST_FORECASTS + 1), MOST_FORECASTS, 0]:
    many(pd.DataFrame({"ds": [1], "y": [n]}), periods=1)

facts = {
    "again": again == said,
    "fits_of_the_same": fits_of_the_same,
    "fits_of_three": fits_of_three,
    "other": told(other) != said,
    "longer": len(longer) - len(first),
    "asked": [len(asked), asked[-1]],
}
print(json.dumps(facts))  # noqa: T201 - how the test is told
