"""What people take home as a file, from the addresses of the pages' menus: their tenant's rows, and all of them."""

import csv
import io
import json
import re
import secrets
import zipfile
from typing import Any

import httpx
import pytest

from superset_config.bundle import WAREHOUSE, Bundle
from superset_config.rest import Superset
from tests.integration.superset.conftest import Home, sql_lab

Homes = tuple[Home, Home]
STREAMED = 100_000
"""From so many rows on, Superset writes a file piece by piece, after the request has ended."""
PAGES = "select tenant, page_name from marts.page_daily"


def number(superset: Superset, resource: str, path: str) -> int:
    asset = next(each for each in Bundle.load().assets if each.path == path)
    return int(superset.by_uuid(resource)[asset.uuid]["id"])


@pytest.fixture(scope="module")
def top_pages(administrator: Superset) -> int:
    return number(administrator, "chart", "charts/page_views/top_pages.yaml")


@pytest.fixture(scope="module")
def world_map(administrator: Superset) -> int:
    return number(administrator, "chart", "charts/page_views/world_map.yaml")


@pytest.fixture(scope="module")
def database(administrator: Superset) -> int:
    return number(administrator, "database", WAREHOUSE)


def downloaded(client: Superset, chart: int, kind: str, **more: Any) -> httpx.Response:
    """What "Download" in the menu of a chart on a dashboard gives."""
    context = {**client.query(chart), "result_format": kind, "result_type": "full"}
    context["form_data"] = {**context["form_data"], **more}
    return client.submit("/api/v1/chart/data", {"form_data": json.dumps(context)})


def cells(answer: httpx.Response) -> list[list[str]]:
    """The rows of a file in CSV, the names of the columns first."""
    assert answer.status_code == httpx.codes.OK, answer.text
    assert answer.headers["content-type"].startswith("text/csv")
    return list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"))))


def texts(answer: httpx.Response) -> set[str]:
    """The texts in a workbook of Excel (ECMA-376, part 1, 18.4)."""
    assert answer.status_code == httpx.codes.OK, answer.text
    with zipfile.ZipFile(io.BytesIO(answer.content)) as book:
        assert "xl/worksheets/sheet1.xml" in book.namelist()
        return set(re.findall(r"<t[^>]*>([^<]*)</t>", book.read("xl/sharedStrings.xml").decode()))


@pytest.mark.parametrize("who", ["viewer", "analyst"])
def test_a_chart_is_taken_home_as_csv(homes: Homes, top_pages: int, who: str) -> None:
    names, *rows = cells(downloaded(getattr(homes[0], who), top_pages, "csv"))
    assert [dict(zip(names, row, strict=True))["Page"] for row in rows] == [homes[0].page]


@pytest.mark.parametrize("who", ["viewer", "analyst"])
def test_a_chart_is_taken_home_as_a_workbook(homes: Homes, top_pages: int, who: str) -> None:
    shown = texts(downloaded(getattr(homes[0], who), top_pages, "xlsx"))
    assert homes[0].page in shown
    assert homes[1].page not in shown


def test_the_map_is_taken_home_from_its_older_address(homes: Homes, world_map: int) -> None:
    for home, views in zip(homes, ("1000", "20"), strict=True):
        form_data = json.dumps({"slice_id": world_map})
        answer = home.viewer.submit("/superset/explore_json/?csv=true", {"form_data": form_data})
        _, *rows = cells(answer)
        assert len(rows) == 1
        assert views in {cell.removesuffix(".0") for cell in rows[0]}


def test_a_long_file_of_a_chart_has_each_tenant_s_own_rows(homes: Homes, top_pages: int) -> None:
    for home in homes:
        for client in (home.viewer, home.analyst):
            answer = downloaded(client, top_pages, "csv", row_limit=STREAMED)
            assert "X-Accel-Buffering" in answer.headers, "written piece by piece"
            names, *rows = cells(answer)
            assert [dict(zip(names, row, strict=True))["page_name"] for row in rows] == [home.page]


def test_a_long_file_from_sql_lab_has_each_tenant_s_own_rows(homes: Homes, database: int) -> None:
    for home in homes:
        client_id = secrets.token_hex(5)
        asked = sql_lab(home.analyst, database, PAGES, client_id=client_id)
        assert asked.status_code == httpx.codes.OK, asked.text
        answer = home.analyst.submit("/api/v1/sqllab/export_streaming/", {"client_id": client_id})
        assert "X-Accel-Buffering" in answer.headers, "written piece by piece"
        assert cells(answer) == [["tenant", "page_name"], [home.name, home.page]]


def test_a_long_file_for_who_sees_all_tenants_has_all_of_them(
    homes: Homes, administrator: Superset, database: int
) -> None:
    client_id = secrets.token_hex(5)
    of_homes = f"{PAGES} where tenant in ('{homes[0].name}', '{homes[1].name}') order by tenant"
    assert sql_lab(administrator, database, of_homes, client_id=client_id).is_success
    _, *rows = cells(administrator.submit("/api/v1/sqllab/export_streaming/", {"client_id": client_id}))
    assert rows == sorted([home.name, home.page] for home in homes)


def test_another_tenant_s_query_gives_a_long_file_of_one_s_own_rows(homes: Homes, database: int) -> None:
    client_id = secrets.token_hex(5)
    assert sql_lab(homes[0].analyst, database, PAGES, client_id=client_id).is_success
    answer = homes[1].analyst.submit("/api/v1/sqllab/export_streaming/", {"client_id": client_id})
    assert homes[0].name not in answer.text
    assert homes[0].page not in answer.text
