"""What people make for themselves: kept, theirs, and out of other tenants' sight."""

import io
import json
import secrets
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx
import pytest
import yaml

from superset_config.admin import Admin
from superset_config.bundle import WAREHOUSE, Bundle
from superset_config.rest import Superset, SupersetSettings
from tests.integration.superset.conftest import Home

Homes = tuple[Home, Home]


@dataclass(frozen=True)
class Work:
    """A chart on a published dashboard, made by the first tenant's analyst."""

    title: str
    chart: int
    dashboard: int


@dataclass(frozen=True)
class Made:
    """A dashboard, chart or dataset that ``client`` made."""

    client: Superset
    resource: str
    number: int

    @property
    def path(self) -> str:
        return f"{self.resource}/{self.number}"


@pytest.fixture(scope="module")
def dataset(administrator: Superset) -> int:
    (uuid,) = (each.uuid for each in Bundle.load().of("datasets") if each.name == "page_views_by_page")
    return int(administrator.by_uuid("dataset")[uuid]["id"])


@pytest.fixture(scope="module")
def database(administrator: Superset) -> int:
    warehouse = next(each for each in Bundle.load().of("databases") if each.path == WAREHOUSE)
    return int(administrator.by_uuid("database")[warehouse.uuid]["id"])


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


@pytest.fixture
def made(homes: Homes, dataset: int, database: int) -> Iterator[Callable[..., Made]]:
    """Have somebody of the first tenant make something of a kind; what was made is gone afterwards."""
    everything: list[Made] = []

    def make(resource: str, title: str, **more: Any) -> Made:
        client = homes[0].viewer if resource == "dashboard" else homes[0].analyst
        chart = {"viz_type": "table", "datasource_id": dataset, "datasource_type": "table", "params": "{}"}
        body = {
            "dashboard": {"dashboard_title": title, "published": True},
            "chart": {"slice_name": title, **chart},
            "dataset": {"table_name": title, "database": database, "schema": "marts", "sql": "select 1 as one"},
        }[resource]
        made = Made(client, resource, client.send("POST", f"{resource}/", {**body, **more})["id"])
        everything.append(made)
        return made

    yield make
    for each in everything:
        each.client.send("DELETE", each.path)


CERTIFIED = {"certified_by": "platform"}


@pytest.mark.parametrize("resource", ["dashboard", "chart", "dataset"])
@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_nobody_shows_what_they_made_to_every_tenant_by_calling_it_reviewed(
    homes: Homes, made: Callable[..., Made], resource: str, method: str
) -> None:
    title = f"invoices_{secrets.token_hex(4)}"
    reviewed = {"is_managed_externally": True}
    if resource == "dataset" and method == "POST":
        thing = made(resource, title, **reviewed)
    elif method == "POST":
        thing = made(resource, title, **reviewed, **CERTIFIED)
    else:
        thing = made(resource, title)
        assert thing.client.try_send("PUT", thing.path, reviewed).status_code == httpx.codes.OK
    assert title in titles(thing.client, resource)
    assert thing.client.get(thing.path)["result"]["is_managed_externally"] is False
    for client in (homes[1].analyst, homes[1].viewer):
        assert title not in titles(client, resource)
        answer = client.try_get(thing.path)
        assert answer.status_code in {httpx.codes.FORBIDDEN, httpx.codes.NOT_FOUND}, answer.text


def test_nobody_shows_what_they_import_to_every_tenant(homes: Homes) -> None:
    title = f"Imported {secrets.token_hex(4)}"
    board = {"dashboard_title": title, "slug": None, "uuid": str(uuid4()), "version": "1.0.0", "position": {}}
    board |= {"metadata": {}, "is_managed_externally": True}
    answer = imported(homes[0].analyst, "dashboard", {"dashboards/imported.yaml": board})
    assert answer.status_code == httpx.codes.OK, answer.text
    mine = homes[0].analyst.by_uuid("dashboard")[str(board["uuid"])]
    assert title not in titles(homes[1].viewer, "dashboard")
    homes[0].analyst.send("DELETE", f"dashboard/{mine['id']}")


def test_what_is_reviewed_stays_so_whoever_says_otherwise(homes: Homes, administrator: Superset) -> None:
    asset = next(Bundle.load().of("charts"))
    reviewed = f"chart/{administrator.by_uuid('chart')[asset.uuid]['id']}"
    administrator.send("PUT", reviewed, {"is_managed_externally": False})
    assert administrator.get(reviewed)["result"]["is_managed_externally"] is True
    assert homes[0].viewer.get(reviewed)["result"]["slice_name"] == asset.name


def imported(client: Superset, kind: str, files: dict[str, Any]) -> httpx.Response:
    """Upload files as a bundle of a kind of thing, as Superset exports it."""
    metadata = {"version": "1.0.0", "type": {"dashboard": "Dashboard", "dataset": "SqlaTable"}[kind]}
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as bundle:
        for name, value in {"metadata.yaml": metadata, **files}.items():
            bundle.writestr(f"export/{name}", yaml.safe_dump(value))
    form = {"passwords": "{}", "overwrite": "true"}
    return client.submit(f"/api/v1/{kind}/import/", form, {"formData": ("export.zip", content.getvalue())})


def test_superset_fetches_no_address_that_an_imported_dataset_names(homes: Homes, administrator: Superset) -> None:
    bundle = Bundle.load()
    warehouse = next(each for each in bundle.of("databases") if each.path == WAREHOUSE)
    known = administrator.get(f"database/{administrator.by_uuid('database')[warehouse.uuid]['id']}")["result"]
    database = {**warehouse.content, "database_name": known["database_name"], "sqlalchemy_uri": "postgresql://h/d"}
    name = f"fetched_{secrets.token_hex(4)}"
    dataset = {"table_name": name, "schema": "marts", "uuid": str(uuid4()), "version": "1.0.0", "columns": []}
    dataset |= {"metrics": [], "database_uuid": warehouse.uuid, "data": "http://127.0.0.1:9/rows.csv"}
    files = {warehouse.path: database, "datasets/warehouse/fetched.yaml": dataset}
    answer = imported(homes[0].analyst, "dataset", files)
    assert not answer.is_success
    assert "Data URI is not allowed" in answer.text
    assert name not in titles(homes[0].analyst, "dataset")


def test_nobody_reads_the_names_of_other_tenants_people_by_making_them_owners(
    homes: Homes, made: Callable[..., Made], admin_settings: SupersetSettings
) -> None:
    with Admin(admin_settings) as admin:
        strangers = [person.id for person in admin.people(homes[1].name)]
        (colleague,) = (each.id for each in admin.people(homes[0].name) if each.username.endswith("-analyst"))
        nobody = 1 + max(person.id for person in admin.people())
    mine = [made(resource, f"owned_{secrets.token_hex(4)}") for resource in ("dashboard", "chart", "dataset")]
    for thing in mine:
        for owners in ([strangers[0]], [1], strangers, [colleague, *strangers]):
            answer = thing.client.try_send("PUT", thing.path, {"owners": owners})
            assert answer.status_code == httpx.codes.UNPROCESSABLE_ENTITY, (thing.path, answer.text)
            assert homes[1].name not in answer.text
            told = answer.json()["message"]
            assert thing.client.try_send("PUT", thing.path, {"owners": [nobody]}).json()["message"] == told
    refused = homes[0].viewer.try_send("POST", "dashboard/", {"dashboard_title": "x", "owners": strangers})
    assert refused.status_code == httpx.codes.UNPROCESSABLE_ENTITY, refused.text
    board = mine[0]
    board.client.send("PUT", board.path, {"owners": [colleague]})
    owners = {each["id"] for each in board.client.get(board.path)["result"]["owners"]}
    assert colleague in owners
    assert len(owners) == 2


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
