"""What people make for themselves: kept, theirs, and out of other tenants' sight."""

import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from superset_config.bundle import Bundle
from superset_config.rest import Superset
from tests.integration.superset.conftest import Home

Homes = tuple[Home, Home]


@dataclass(frozen=True)
class Work:
    """A chart on a published dashboard, made by the first tenant's analyst."""

    title: str
    chart: int
    dashboard: int


@pytest.fixture(scope="module")
def dataset(administrator: Superset) -> int:
    (uuid,) = (each.uuid for each in Bundle.load().of("datasets") if each.name == "page_views_by_page")
    return int(administrator.by_uuid("dataset")[uuid]["id"])


@pytest.fixture(scope="module")
def work(homes: Homes, dataset: int) -> Iterator[Work]:
    analyst = homes[0].analyst
    title = f"Own work {secrets.token_hex(4)}"
    dashboard = analyst.send("POST", "dashboard/", {"dashboard_title": title, "published": True})["id"]
    query = {"columns": ["page_name"], "metrics": ["page_views_of_page"], "filters": [], "row_limit": 10}
    context = {"datasource": {"id": dataset, "type": "table"}, "queries": [query], "result_type": "full"}
    params = {"viz_type": "table", "query_mode": "aggregate", "groupby": ["page_name"]}
    chart = analyst.send(
        "POST",
        "chart/",
        {
            "slice_name": title,
            "viz_type": "table",
            "datasource_id": dataset,
            "datasource_type": "table",
            "params": json.dumps(params),
            "query_context": json.dumps(context),
            "dashboards": [dashboard],
        },
    )["id"]
    yield Work(title, chart, dashboard)
    analyst.send("DELETE", f"dashboard/{dashboard}")
    analyst.send("DELETE", f"chart/{chart}")


def titles(client: Superset, resource: str) -> set[str]:
    name = {"chart": "slice_name", "dashboard": "dashboard_title", "dataset": "table_name"}[resource]
    return {row[name] for row in client.get(f"{resource}/", q="(page_size:100)")["result"]}


def test_an_analyst_s_own_chart_is_kept_and_answers(homes: Homes, work: Work) -> None:
    kept = homes[0].analyst.get(f"chart/{work.chart}")["result"]
    assert kept["slice_name"] == work.title
    assert [owner["first_name"] for owner in kept["owners"]] == [f"{homes[0].name}-analyst"]
    rows = homes[0].analyst.get(f"chart/{work.chart}/data/")["result"][0]["data"]
    assert [row["page_name"] for row in rows] == [homes[0].page]


def test_a_colleague_sees_it_and_may_not_change_it(homes: Homes, work: Work) -> None:
    colleague = homes[0].viewer
    assert work.title in titles(colleague, "chart")
    assert work.title in titles(colleague, "dashboard")
    assert colleague.get(f"dashboard/{work.dashboard}")["result"]["dashboard_title"] == work.title
    for path in (f"chart/{work.chart}", f"dashboard/{work.dashboard}"):
        name = "slice_name" if path.startswith("chart") else "dashboard_title"
        assert colleague.try_send("PUT", path, {name: "taken"}).status_code == httpx.codes.FORBIDDEN


def test_another_tenant_s_people_find_neither_it_nor_its_name(homes: Homes, work: Work) -> None:
    for client in (homes[1].analyst, homes[1].viewer):
        for resource in ("chart", "dashboard"):
            found = titles(client, resource)
            assert work.title not in found
            assert found, "the reviewed ones are there"
        for path in (f"chart/{work.chart}", f"chart/{work.chart}/data/", f"dashboard/{work.dashboard}"):
            answer = client.try_get(path)
            assert answer.status_code in {httpx.codes.FORBIDDEN, httpx.codes.NOT_FOUND}, (path, answer.text)
            assert work.title not in answer.text
        for path in (f"dashboard/{work.dashboard}/charts", f"dashboard/{work.dashboard}/datasets"):
            assert not client.try_get(path).is_success, path


def test_another_tenant_s_people_are_not_offered_as_owners(homes: Homes) -> None:
    offered = json.dumps(homes[1].analyst.get("chart/related/owners", q="(page_size:100)"))
    assert f"{homes[1].name}-analyst" in offered
    assert homes[0].name not in offered


def test_a_viewer_arranges_a_dashboard_of_their_own_and_makes_no_chart(homes: Homes, dataset: int) -> None:
    viewer = homes[0].viewer
    made = viewer.send("POST", "dashboard/", {"dashboard_title": f"Mine {secrets.token_hex(4)}"})["id"]
    viewer.send("PUT", f"dashboard/{made}", {"dashboard_title": "Mine, renamed"})
    assert viewer.get(f"dashboard/{made}")["result"]["dashboard_title"] == "Mine, renamed"
    viewer.send("DELETE", f"dashboard/{made}")
    chart = {"slice_name": "x", "viz_type": "table", "datasource_id": dataset, "datasource_type": "table"}
    assert viewer.try_send("POST", "chart/", chart).status_code == httpx.codes.FORBIDDEN


def test_nobody_but_the_administrator_changes_a_reviewed_chart(homes: Homes, administrator: Superset) -> None:
    charts = administrator.by_uuid("chart")
    reviewed = next(int(charts[each.uuid]["id"]) for each in Bundle.load().of("charts"))
    answer = homes[0].analyst.try_send("PUT", f"chart/{reviewed}", {"slice_name": "mine now"})
    assert answer.status_code == httpx.codes.FORBIDDEN


def favourites(client: Superset, dashboard: int) -> Any:
    return client.get("dashboard/favorite_status/", q=f"!({dashboard})")["result"][0]["value"]


def test_preferences_are_kept_for_each_person(homes: Homes, administrator: Superset) -> None:
    (uuid,) = (each.uuid for each in Bundle.load().of("dashboards") if each.content["slug"] == "page-views")
    dashboard = int(administrator.by_uuid("dashboard")[uuid]["id"])
    one, two = homes[0].viewer, homes[1].viewer
    one.send("POST", f"dashboard/{dashboard}/favorites/")
    assert (favourites(one, dashboard), favourites(two, dashboard)) == (True, False)
    state = json.dumps({"tenant": homes[0].name})
    key = one.try_send("POST", f"/api/v1/dashboard/{dashboard}/filter_state", {"value": state}).json()["key"]
    assert one.get(f"dashboard/{dashboard}/filter_state/{key}")["value"] == state
    one.send("DELETE", f"dashboard/{dashboard}/favorites/")
    assert favourites(one, dashboard) is False
