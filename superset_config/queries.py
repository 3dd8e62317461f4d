"""From a chart's parameters to the query that Superset's REST API runs for it.

In the browser, Superset's front end derives the query and saves it beside the parameters. Here it is derived at
import, so that a chart is written once, and `GET /api/v1/chart/<id>/data/` answers for every chart.
"""

import json
from collections.abc import Mapping
from typing import Any


class UnknownChart(Exception):
    """A chart type this module does not know how to ask for."""


def query_context(params: Mapping[str, Any]) -> dict[str, Any]:
    """The query context of a chart; the importer fills in the dataset's id.

    :raises UnknownChart: for a ``viz_type`` that is not used yet
    """
    query = {**_common(params), **_of_type(params)}
    return {
        "datasource": {"id": 0, "type": "table"},
        "force": False,
        "queries": [query],
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
    if kind == "big_number":
        return {"columns": [_time_axis(params)], "metrics": [params["metric"]], **_grain(params)}
    if kind == "echarts_timeseries_bar":
        # The axis is text; the metric that it is sorted by has to be asked for, too.
        metrics = [*params["metrics"], params["timeseries_limit_metric"]]
        return {"columns": [params["x_axis"]], "metrics": metrics, **_grain(params)}
    if kind == "world_map":
        return {"columns": [params["entity"]], "metrics": [params["metric"]], "orderby": [[params["metric"], False]]}
    if kind == "table" and params["query_mode"] == "raw":
        orderby = [json.loads(each) for each in params.get("order_by_cols", [])]
        return {"columns": params["all_columns"], "metrics": None, "orderby": orderby}
    if kind == "table":
        sort_by = params.get("timeseries_limit_metric")
        orderby = [[sort_by, not params.get("order_desc", True)]] if sort_by else []
        return {"columns": params["groupby"], "metrics": params["metrics"], "orderby": orderby}
    raise UnknownChart(f"no query for charts of type {kind!r}: say in {__name__} what they ask for")


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
