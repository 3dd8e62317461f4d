"""Whose numbers a page's charts ask for, from requests as a browser sends them."""

import json
from typing import Any

import pytest

from superset_config.asked import EVERYBODY, chart_asking, tenants_asked

OF_ACME = {"col": "tenant", "op": "IN", "val": ["acme"]}
OTHER = {"col": "region_name", "op": "IN", "val": ["Germany"]}


def form(form_data: Any) -> str:
    """As the older kind of chart sends it."""
    edge = "------WebKitFormBoundaryX"
    head = 'Content-Disposition: form-data; name="form_data"'
    return f"{edge}\r\n{head}\r\n\r\n{json.dumps(form_data)}\r\n{edge}--\r\n"


@pytest.mark.parametrize("path", ["/api/v1/chart/data", "/superset/explore_json/"])
def test_a_chart_that_asks_is_known_by_its_number(path: str) -> None:
    assert chart_asking(f"http://h{path}?form_data=%7B%22slice_id%22%3A12%7D&dashboard_id=3") == 12


def test_a_filter_that_asks_what_to_offer_is_no_chart() -> None:
    assert chart_asking("http://h/api/v1/chart/data") is None
    assert chart_asking("http://h/api/v1/chart/data?form_data=%7B%7D") is None
    assert chart_asking("http://h/api/v1/dashboard/3?form_data=%7B%22slice_id%22%3A12%7D") is None


@pytest.mark.parametrize(
    ("filters", "asked"),
    [([OF_ACME, OTHER], {"acme"}), ([OTHER], {EVERYBODY}), ([], {EVERYBODY}), ([{**OF_ACME, "val": ["b"]}], {"b"})],
)
def test_both_kinds_of_chart_say_whose_numbers_they_want(filters: list[Any], asked: set[str]) -> None:
    assert tenants_asked(json.dumps({"queries": [{"filters": filters}], "form_data": {}})) == asked
    assert tenants_asked(form({"slice_id": 12, "extra_form_data": {"filters": filters}})) == asked


def test_each_query_of_a_chart_counts() -> None:
    assert tenants_asked(json.dumps({"queries": [{"filters": [OF_ACME]}, {"filters": []}]})) == {"acme", EVERYBODY}
