"""What ``benchmarks.dashboards`` asks again of what browsers asked, and what it takes Superset's SQL for."""

from collections.abc import Mapping
from typing import Any

import pytest

from benchmarks.board_questions import Question
from benchmarks.dashboards import statements

OF_ACME = {"col": "tenant", "op": "IN", "val": ["acme"]}
OF_A_PAGE = {"col": "page_name", "op": "IN", "val": ["/"]}
CHART = Question("Board", "a/line", "/api/v1/chart/data?form_data=1", {"queries": [{"filters": [OF_ACME]}, {}]})
OLDER = Question(
    "Board", "a/map", "/superset/explore_json/?form_data=1", {"extra_form_data": {"filters": [OF_ACME], "x": 1}}
)


class Heard:
    """Superset, which only listens."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, Mapping[str, Any]]] = []

    def results(self, context: Mapping[str, Any], path: str) -> list[dict[str, str]]:
        self.heard.append((path, context))
        return [{"query": "select 1"}, {"query": "select 2"}]

    def explore(self, path: str, form_data: Mapping[str, Any]) -> dict[str, str]:
        self.heard.append((path, form_data))
        return {"query": "select 3"}


def asked(question: Question) -> tuple[list[str], list[tuple[str, Mapping[str, Any]]]]:
    superset = Heard()
    return question.ask(superset), superset.heard  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("question", "sql", "path"),
    [
        (CHART, ["select 1", "select 2"], CHART.path),
        (OLDER, ["select 3"], OLDER.path + "&force=true"),
    ],
)
def test_a_question_is_asked_as_the_browser_did_but_past_the_cache(
    question: Question, sql: list[str], path: str
) -> None:
    assert asked(question) == (sql, [(path, {**question.content, "force": True})])


def test_what_is_chosen_as_well_is_added_to_each_query() -> None:
    chosen = {"page_name": ["/"]}
    assert CHART.narrowed(chosen).content["queries"] == [{"filters": [OF_ACME, OF_A_PAGE]}, {"filters": [OF_A_PAGE]}]
    assert OLDER.narrowed(chosen).content["extra_form_data"] == {"filters": [OF_ACME, OF_A_PAGE], "x": 1}
    assert OLDER.narrowed({}).content == OLDER.content


def test_the_sql_of_a_chart_limited_to_some_lines_is_two_statements() -> None:
    assert statements("select 1\n LIMIT 10;\n\nselect 2 where a = ';'\n LIMIT 9;\n\n") == [
        "select 1\n LIMIT 10",
        "select 2 where a = ';'\n LIMIT 9",
    ]
