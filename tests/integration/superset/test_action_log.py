"""What a person did is in Superset's log, once; how long Superset took for each step of it is not."""

from typing import Any

from superset_config.bundle import Bundle
from superset_config.rest import Superset
from tests.integration.superset.conftest import Home


def log_of(administrator: Superset, user_id: int) -> tuple[int, list[dict[str, Any]]]:
    """How many entries a person has, and the newest of them, newest first."""
    asked = f"(filters:!((col:user_id,opr:eq,value:{user_id})),order_column:dttm,order_direction:desc)"
    answer = administrator.get("log/", q=asked)
    return answer["count"], answer["result"]


def test_a_chart_s_answer_is_one_entry(administrator: Superset, homes: tuple[Home, Home]) -> None:
    viewer = homes[0].viewer
    user_id = viewer.get("me/")["result"]["id"]
    charts = {chart.path: chart.uuid for chart in Bundle.load().of("charts")}
    chart_id = int(viewer.by_uuid("chart")[charts["charts/page_views/top_pages.yaml"]]["id"])
    context = viewer.query(chart_id)
    before, _ = log_of(administrator, user_id)
    viewer.answer(context)
    after, newest = log_of(administrator, user_id)
    assert [entry["action"] for entry in newest[: after - before]] == ["ChartDataRestApi.data"]
    assert newest[0]["duration_ms"] > 0
