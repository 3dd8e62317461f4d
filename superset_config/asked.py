"""Whose numbers a dashboard's page asks for, from the requests that its charts send. Pure."""

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

EVERYBODY = "(everybody)"
"""What a request asks for that names no tenant."""
PATHS = ("/api/v1/chart/data", "/superset/explore_json/")
"""Where charts ask: all but those of the older kind, such as the world map, the first."""
# What the second is sent: a form of one field, which the browser writes as multipart.
FIELD = re.compile(r'name="form_data"\r\n\r\n(.*?)\r\n--', re.DOTALL)


def chart_asking(url: str) -> int | None:
    """The number of the chart that asks for data at ``url``; None: none does, as when a filter asks what to offer."""
    parts = urlsplit(url)
    form_data = parse_qs(parts.query).get("form_data")
    if parts.path not in PATHS or not form_data:
        return None
    number = json.loads(form_data[0]).get("slice_id")
    return None if number is None else int(number)


def question(body: str) -> dict[str, Any]:
    """What a chart's request asks, from what it sends."""
    field = FIELD.search(body)
    asked: dict[str, Any] = json.loads(field[1] if field else body)
    return asked


def tenants_asked(body: str) -> set[str]:
    """The tenants whose rows a chart's request asks for, of each of its queries; :data:`EVERYBODY` for one without."""
    asked = question(body)
    queries = asked["queries"] if "queries" in asked else [asked.get("extra_form_data") or {}]
    return set().union(*(_tenants(query) for query in queries))


def _tenants(query: Mapping[str, Any]) -> set[str]:
    filters = [each for each in query.get("filters", ()) if each["col"] == "tenant" and each["op"] == "IN"]
    return {str(value) for each in filters for value in each["val"]} or {EVERYBODY}
