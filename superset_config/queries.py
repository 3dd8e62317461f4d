"""From a chart's parameters to the query that Superset's REST API runs for it.

In the browser, Superset's front end derives the query and saves it beside the parameters. Here it is derived at
import, so that a chart is written once, and `GET /api/v1/chart/<id>/data/` answers for every chart.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

OVERALL = "raw"
"""The number of a big number is asked for apart from its line, over all rows: Superset calls it *Overall value*.

Otherwise it is that of the last period that has one, without a word, though the newest may have none.
"""


class UnknownChart(Exception):
    """A chart type this module does not know how to ask for."""


def query_context(params: Mapping[str, Any]) -> dict[str, Any]:
    """The query context of a chart; the importer fills in the dataset's id.

    :raises UnknownChart: for a ``viz_type`` that is not used yet
    """
    query = {**_common(params), **_of_type(params)}
    also = [{**query, "columns": []}] if params.get("aggregation") == OVERALL else []
    return {
        "datasource": {"id": 0, "type": "table"},
        "force": False,
        "queries": [query, *also],
        "form_data": {**params, "force": False, "result_format": "json", "result_type": "full"},
        "result_format": "json",
        "result_type": "full",
    }


def _common(params: Mapping[str, Any]) -> dict[str, Any]:
    filters = [
        {"col": each["subject"], "op": each["operator"], "val": each["comparator"]}
        for each in params.get("adhoc_filters", [])
    ]
    return {
        "filters": filters,
        "extras": {"having": "", "where": ""},
        "applied_time_extras": {},
        "columns": [],
        "metrics": [],
        "orderby": [],
        "annotation_layers": [],
        "row_limit": params.get("row_limit", 1000),
        "series_limit": 0,
        "order_desc": params.get("order_desc", True),
        "url_params": {},
        "custom_params": {},
        "custom_form_data": {},
    }


def _of_type(params: Mapping[str, Any]) -> dict[str, Any]:
    kind = params["viz_type"]
    if kind not in ASKED:
        raise UnknownChart(f"no query for charts of type {kind!r}: say in {__name__} what they ask for")
    return ASKED[kind](params)


def _big_number(params: Mapping[str, Any]) -> dict[str, Any]:
    return {"columns": [_time_axis(params)], "metrics": [params["metric"]], **_grain(params)}


def _one_number(params: Mapping[str, Any]) -> dict[str, Any]:
    return {"metrics": [params["metric"]]}


def _over_time(params: Mapping[str, Any]) -> dict[str, Any]:
    if params.get("forecastEnabled"):
        return {"columns": [_time_axis(params)], "metrics": params["metrics"], **_grain(params), **_forecast(params)}
    if "x_axis_sort" in params:
        # The axis is text; the metric that it is sorted by has to be asked for, too.
        metrics = [*params["metrics"], params["timeseries_limit_metric"]]
        return {"columns": [params["x_axis"]], "metrics": metrics, **_grain(params)}
    return {"columns": [_time_axis(params), *params["groupby"]], "metrics": params["metrics"], **_grain(params)}


def _parts(params: Mapping[str, Any]) -> dict[str, Any]:
    columns = [params["entity"]] if "entity" in params else params["groupby"]
    return {"columns": columns, "metrics": [params["metric"]], "orderby": [[params["metric"], False]]}


def _table(params: Mapping[str, Any]) -> dict[str, Any]:
    if params["query_mode"] == "raw":
        orderby = [json.loads(each) for each in params.get("order_by_cols", [])]
        return {"columns": params["all_columns"], "metrics": None, "orderby": orderby}
    sort_by = params.get("timeseries_limit_metric")
    orderby = [[sort_by, not params.get("order_desc", True)]] if sort_by else []
    return {"columns": params["groupby"], "metrics": params["metrics"], "orderby": orderby}


ASKED: dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    "big_number": _big_number,
    "big_number_total": _one_number,
    "echarts_timeseries_bar": _over_time,
    "echarts_timeseries_line": _over_time,
    "pie": _parts,
    "treemap_v2": _parts,
    "world_map": _parts,
    "table": _table,
}
"""What each type of chart asks for, beside what all of them ask."""


def _forecast(params: Mapping[str, Any]) -> dict[str, Any]:
    """What makes the forecast of a line: one column a metric, by time, handed to Prophet."""
    means = {metric: {"operator": "mean"} for metric in params["metrics"]}
    prophet = {
        "time_grain": params["time_grain_sqla"],
        "periods": params["forecastPeriods"],
        "confidence_interval": params["forecastInterval"],
        "yearly_seasonality": params["forecastSeasonalityYearly"],
        "weekly_seasonality": params["forecastSeasonalityWeekly"],
        "daily_seasonality": params["forecastSeasonalityDaily"],
        "index": params["x_axis"],
    }
    pivot = {"index": [params["x_axis"]], "columns": [], "aggregates": means, "drop_missing_columns": False}
    return {
        "post_processing": [
            {"operation": "pivot", "options": pivot},
            {"operation": "flatten"},
            {"operation": "prophet", "options": prophet},
        ]
    }


def _time_axis(params: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "columnType": "BASE_AXIS",
        "sqlExpression": params["x_axis"],
        "label": params["x_axis"],
        "expressionType": "SQL",
    }


def _grain(params: Mapping[str, Any]) -> dict[str, Any]:
    grain = params.get("time_grain_sqla")
    return {"extras": {"having": "", "where": "", **({"time_grain_sqla": grain} if grain else {})}}
