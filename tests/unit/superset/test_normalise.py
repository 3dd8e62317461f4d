"""One dashboard, numbered by the file and by an installation, is the same."""

from typing import Any

from superset_config.normalise import as_file, normal


def board(first: int, second: int) -> dict[str, Any]:
    """A dashboard of two charts with these numbers; a click on the second filters nothing."""
    return {
        "dashboard_title": "Two",
        "uuid": "b" * 8,
        "position": {
            "CHART-a": {"meta": {"chartId": first, "uuid": "a1"}},
            "CHART-b": {"meta": {"chartId": second, "uuid": "b2"}},
        },
        "metadata": {
            "chart_configuration": {str(second): {"id": second, "crossFilters": {"scope": {"excluded": [first]}}}},
            "global_chart_configuration": {"scope": {"excluded": [second]}},
        },
    }


def test_the_numbers_of_charts_make_no_difference() -> None:
    assert normal(board(1, 2)) == normal(board(25, 9))


def test_which_chart_is_meant_makes_one() -> None:
    other = board(1, 2)
    other["metadata"]["chart_configuration"] = {"1": {"id": 1, "crossFilters": {"scope": {"excluded": [2]}}}}
    assert normal(other) != normal(board(1, 2))


def test_an_export_becomes_a_file_with_the_files_own_numbers() -> None:
    assert as_file(board(25, 9), board(1, 2)) == board(1, 2)


def test_a_dashboard_that_was_only_looked_at_is_as_it_was() -> None:
    seen = {"shared_label_colors": ["games"], "map_label_colors": {"games": "#e04"}, "color_scheme_domain": ["#e04"]}
    file, looked_at = board(1, 2), board(25, 9)
    file["metadata"]["shared_label_colors"] = []
    looked_at["metadata"] |= seen
    assert normal(looked_at) == normal(file)
    assert as_file(looked_at, file) == file
    assert as_file(looked_at, {}).get("metadata", {}).keys().isdisjoint(seen)
