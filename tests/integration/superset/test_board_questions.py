"""What a browser asks when a dashboard is opened is noted, and can be asked again: by a real browser."""

import pytest

from benchmarks.board_questions import board_questions
from superset_config.rest import Superset, SupersetError, SupersetSettings
from superset_config.screenshot import BrowserSettings
from tests.integration.superset.conftest import Home


def test_every_chart_of_a_dashboard_is_asked_for_with_the_dashboard_s_own_filters(
    homes: tuple[Home, Home], admin_settings: SupersetSettings, administrator: Superset
) -> None:
    settings = BrowserSettings(**admin_settings.model_dump())
    questions = board_questions(settings, administrator, homes[0].name, ["service-health"])
    assert len(questions) == len({each.chart for each in questions}) == 19
    by_name = {each.chart: each for each in questions}
    [latency] = by_name["service_health/latency_over_time"].content["queries"]
    assert {"col": "period", "op": "IN", "val": ["Last 24 hours"]} in latency["filters"]
    assert {"col": "tenant", "op": "IN", "val": [homes[0].name]} in latency["filters"]
    assert [step["operation"] for step in latency["post_processing"]] == ["pivot", "sort", "flatten"]
    for name in ("service_health/latency_over_time", "service_health/world_map"):
        asked = by_name[name].ask(administrator)
        assert asked
        assert all(f"'{homes[0].name}'" in sql for sql in asked)
        with pytest.raises(SupersetError, match="no_such_column"):
            broken = by_name[name].narrowed({}).content
            chart = {"queries": [{**query, "columns": ["no_such_column"]} for query in broken.get("queries", [])]}
            older = {"entity": "no_such_column"}
            wrong = {**broken, **(older if by_name[name].is_form else chart)}
            type(by_name[name])("", "", by_name[name].path, wrong).ask(administrator)
