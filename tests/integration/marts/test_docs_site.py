"""The docs site: built from a real warehouse, served as files, and nothing else of the machine."""

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from dbt_project.docs import build_docs
from expectations.settings import DataDocsSettings
from stack.docs_settings import DocsSettings
from stack.docs_site import server
from tests.integration.marts.warehouse_kit import Minute, Warehouse


@pytest.fixture
def site(tmp_path: Path) -> Iterator[httpx.Client]:
    (tmp_path / "secret").write_text("not for readers")
    docs = server(DocsSettings(docs_port=1, site_dir=tmp_path).model_copy(update={"docs_port": 0}))
    thread = threading.Thread(target=docs.serve_forever)
    thread.start()
    with httpx.Client(base_url=f"http://127.0.0.1:{docs.server_address[1]}") as client:
        yield client
    docs.shutdown()
    docs.server_close()
    thread.join()


def test_it_is_ready_when_it_is_built_and_serves_lineage_and_suites(
    warehouse: Warehouse, site: httpx.Client, tmp_path: Path
) -> None:
    assert site.get("/health/live").status_code == 200
    unready = site.get("/health/ready")
    assert (unready.status_code, set(unready.json()["reasons"])) == (503, {"dbt", "data-docs"})
    settings = DataDocsSettings(site_dir=tmp_path, watershed_state=tmp_path / "state")
    assert build_docs(warehouse.docs_settings, settings)
    assert not build_docs(warehouse.docs_settings, settings), "built again though nothing changed"
    assert site.get("/health/ready").status_code == 200
    page = site.get("/dbt/").text
    assert "https://charts.example/superset/dashboard/page-views/" in page
    assert "| **Net revenue** (`net_revenue`) | Gross revenue less what was refunded" in page
    suites = site.get("/data-docs/").text
    assert "marts_build.region_daily.stop" in suites
    assert "https://" not in suites
    suite = site.get("/data-docs/expectations/marts_build/region_daily/stop.html")
    assert "of a day are those of its hours" in suite.text
    assert "watershed_docs_requests_total" in site.get("/metrics").text


def test_types_are_shown_before_any_build_and_follow_the_tables(
    unbuilt: Warehouse, site: httpx.Client, tmp_path: Path
) -> None:
    settings = DataDocsSettings(site_dir=tmp_path, watershed_state=tmp_path / "state")

    def types(model: str) -> dict[str, str]:
        catalog = json.loads((unbuilt.dbt_settings.dbt_dir / "docs" / "catalog.json").read_text())
        columns = catalog["nodes"][f"model.watershed.{model}"]["columns"]
        return {name: column["type"] for name, column in columns.items()}

    assert build_docs(unbuilt.docs_settings, settings)
    assert types("region_daily")["page_views"] == "bigint"
    assert types("region_daily")["period_start"] == "timestamp with time zone"
    assert '"bigint"' in site.get("/dbt/").text
    unbuilt.rows("alter table marts_build.region_daily add column new_one text", role="DBT")
    assert build_docs(unbuilt.docs_settings, settings)
    assert types("region_daily")["new_one"] == "text"
    assert not build_docs(unbuilt.docs_settings, settings)


def test_the_page_says_how_fresh_a_mart_is_and_what_the_gate_found_though_nothing_else_changed(
    warehouse: Warehouse, site: httpx.Client, tmp_path: Path
) -> None:
    settings = DataDocsSettings(site_dir=tmp_path, watershed_state=tmp_path / "state")
    build_docs(warehouse.docs_settings, settings)
    assert "| region_daily | not known yet | no gate has looked yet |" in site.get("/dbt/").text
    warehouse.load([Minute("acme", datetime(2026, 11, 20, 9, 5, tzinfo=UTC), views=3)])
    warehouse.run()
    warehouse.rows("update marts.freshness set complete_through = '2026-11-20 11:30Z'", role="PUBLISHER")
    assert not build_docs(warehouse.docs_settings, settings), "dbt ran again though only the state changed"
    page = site.get("/dbt/").text
    assert "| region_daily | 2026-11-20 11:30 UTC | passed, " in page
    assert "acme" not in page, "a tenant's name is nobody else's business"


@pytest.mark.parametrize("path", ["/secret", "/dbt/../secret", "/dbt/%2e%2e/secret", "/data-docs/", "/dbt", "//secret"])
def test_it_serves_no_file_beside_the_pages_and_lists_no_folder(site: httpx.Client, tmp_path: Path, path: str) -> None:
    (tmp_path / "data-docs").mkdir()
    request = site.build_request("GET", "/")
    request.url = request.url.copy_with(raw_path=path.encode())
    answer = site.send(request)
    assert answer.status_code == 404
    assert "not for readers" not in answer.text


def test_readiness_says_the_way_out(site: httpx.Client) -> None:
    assert "watershed docs build" in json.dumps(site.get("/health/ready").json())
