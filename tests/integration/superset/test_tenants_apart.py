"""What one tenant's people are never shown of another's, by whichever of Superset's ways they ask."""

import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import httpx
import psycopg
import pytest

from superset_config.bundle import Bundle
from superset_config.rest import Superset, SupersetError
from tests.integration.superset.conftest import Home, publish_rows, sql_lab
from warehouse import tenant_login

Homes = tuple[Home, Home]
CHARTS = [chart.path for chart in Bundle.load().of("charts")]
DATASETS = [dataset.path for dataset in Bundle.load().of("datasets")]
EMPTY = {
    # A forecast takes a fortnight, and these tenants' pages were viewed today.
    "charts/overview/forecast_views.yaml",
}
EVERYTHING = "select tenant, sum(page_views) as views from marts.region_daily group by tenant"


@pytest.fixture(scope="session")
def ids(administrator: Superset) -> dict[str, int]:
    """Superset's number of each asset, by path."""
    bundle = Bundle.load()
    found = {}
    for resource in ("chart", "dataset", "database", "dashboard"):
        present = administrator.by_uuid(resource)
        found |= {asset.path: int(present[asset.uuid]["id"]) for asset in bundle.of(f"{resource}s")}
    return found


@pytest.fixture(scope="session")
def database_id(ids: dict[str, int]) -> int:
    return ids["databases/warehouse.yaml"]


@pytest.mark.parametrize("path", CHARTS)
def test_a_chart_shows_each_tenant_its_own_rows(homes: Homes, ids: dict[str, int], path: str) -> None:
    for client, mine, other in ((homes[0].analyst, *homes), (homes[1].viewer, *homes[::-1])):
        shown = json.dumps(client.chart_rows(ids[path]))
        assert other.name not in shown
        assert other.page not in shown
        assert (shown == "[]") == (path in EMPTY), mine.name
        # Of the other's rows it says what it says of a tenant that there is not.
        of_other, of_nobody = (client.chart_rows(ids[path], {"tenant": [name]}) for name in (other.name, "nobody"))
        assert of_other == of_nobody


def test_a_number_is_the_tenant_s_own(homes: Homes, ids: dict[str, int]) -> None:
    for home, views in zip(homes, (1000, 20), strict=True):
        rows = home.viewer.chart_rows(ids["charts/page_views/page_views.yaml"])
        assert sum(value for row in rows for name, value in row.items() if "views" in name.lower()) == views, rows


def connections(env: Mapping[str, str], homes: Homes) -> dict[str, set[int]]:
    """The processes of Postgres that serve each tenant's people."""
    found: dict[str, set[int]] = {tenant_login.role(home.name): set() for home in homes}
    with psycopg.connect(env["WAREHOUSE_DSN"]) as connection:
        asked = "select usename, pid from pg_stat_activity where usename = any(%s)"
        for role, pid in connection.execute(asked, (list(found),)).fetchall():
            found[role].add(pid)
    return found


def test_each_tenant_s_charts_come_over_a_connection_of_its_own_that_stays_open(
    superset_env: Mapping[str, str], homes: Homes, ids: dict[str, int]
) -> None:
    for home in homes:
        home.viewer.chart_rows(ids["charts/page_views/top_pages.yaml"])
    before = connections(superset_env, homes)
    for home in homes * 3:
        shown = home.viewer.chart_rows(ids["charts/page_views/top_pages.yaml"])
        assert [row["page_name"] for row in shown] == [home.page]
    after = connections(superset_env, homes)
    for role, pids in after.items():
        assert pids
        assert pids <= before[role]


def test_tenants_who_ask_at_once_are_each_shown_their_own(homes: Homes, ids: dict[str, int]) -> None:
    def pages(home: Home) -> set[str]:
        return {row["page_name"] for row in home.viewer.chart_rows(ids["charts/page_views/top_pages.yaml"])}

    asked = homes * 12
    with ThreadPoolExecutor(6) as at_once:
        shown = list(at_once.map(pages, asked))
    assert shown == [{home.page} for home in asked]


def test_the_older_address_of_the_map_shows_each_tenant_its_own_rows(homes: Homes, ids: dict[str, int]) -> None:
    shown = [home.viewer.explored(ids["charts/page_views/world_map.yaml"]) for home in homes]
    assert [[row["m1"] for row in rows] for rows in shown] == [[1000], [20]]


@pytest.mark.parametrize("path", DATASETS)
def test_samples_of_a_dataset_are_the_tenant_s_own(homes: Homes, ids: dict[str, int], path: str) -> None:
    query = f"datasource_type=table&datasource_id={ids[path]}&per_page=100&page=1"
    for client, other in ((homes[0].analyst, homes[1]), (homes[1].viewer, homes[0])):
        answer = client.try_send("POST", f"/datasource/samples?{query}", {})
        assert answer.status_code == httpx.codes.OK, answer.text
        assert other.name not in answer.text
        assert other.page not in answer.text


def test_a_viewer_drills_into_the_rows_behind_a_number_and_they_are_its_own(homes: Homes, ids: dict[str, int]) -> None:
    for mine, other in (homes, homes[::-1]):
        granted = mine.viewer.try_send("GET", "me/roles/").json()["result"]["roles"]
        assert ["can_drill", "Dashboard"] in [pair for pairs in granted.values() for pair in pairs]
        behind = _behind(mine.viewer, ids, {"col": "event_type", "op": "==", "val": "purchase"})
        assert [(row["tenant"], row["reason"], row["rejected"]) for row in behind] == [
            (mine.name, f"only-{mine.name}", 1)
        ]
        assert _behind(mine.viewer, ids, {"col": "tenant", "op": "==", "val": other.name}) == []


def _behind(client: Superset, ids: dict[str, int], chosen: dict[str, str]) -> list[dict[str, Any]]:
    """The rows that "drill to detail" shows of the reasons."""
    number = ids["datasets/warehouse/rejects_by_reason.yaml"]
    query = f"datasource_type=table&datasource_id={number}&per_page=100&page=1"
    answer = client.try_send("POST", f"/datasource/samples?{query}", {"filters": [chosen]})
    assert answer.status_code == httpx.codes.OK, answer.text
    rows: list[dict[str, Any]] = answer.json()["result"]["data"]
    return rows


def test_the_values_that_a_filter_offers_are_the_tenant_s_own(homes: Homes, ids: dict[str, int]) -> None:
    dataset = ids["datasets/warehouse/page_views_by_page.yaml"]
    for mine in homes:
        for column, value in (("tenant", mine.name), ("page_name", mine.page)):
            offered = mine.analyst.get(f"datasource/table/{dataset}/column/{column}/values/")["result"]
            assert offered == [value]


def ask(client: Superset, chart_id: int) -> dict[str, Any]:
    """A chart's answer, from the cache where it is there."""
    return client.get(f"chart/{chart_id}/data/")["result"][0]


def test_a_cached_answer_is_not_given_to_another_tenant(
    homes: Homes, administrator: Superset, ids: dict[str, int]
) -> None:
    chart = ids["charts/page_views/top_pages.yaml"]
    mine, other = homes
    ask(administrator, chart)
    for home in (mine, other):
        first, second = ask(home.viewer, chart), ask(home.analyst, chart)
        assert second["is_cached"]
        assert first["cache_key"] == second["cache_key"]
        assert {row["page_name"] for row in second["data"]} == {home.page}
    assert ask(mine.viewer, chart)["cache_key"] != ask(other.viewer, chart)["cache_key"]


def test_an_answer_over_a_dataset_without_a_rule_is_cached_apart_too(
    homes: Homes, administrator: Superset, database_id: int
) -> None:
    mine, _ = homes
    asked = {"database": database_id, "schema": "marts", "table_name": f"own_{mine.name}", "sql": EVERYTHING}
    dataset = mine.analyst.send("POST", "dataset/", asked)["id"]
    query = {"columns": ["tenant"], "metrics": [], "row_limit": 100, "filters": []}
    context = {"datasource": {"id": dataset, "type": "table"}, "queries": [query], "result_type": "full"}
    everybody = administrator.send("POST", "chart/data", context)["result"][0]
    assert len(everybody["data"]) > 1
    seen = mine.analyst.send("POST", "chart/data", context)["result"][0]
    assert [row["tenant"] for row in seen["data"]] == [mine.name]


ESCAPES = (
    EVERYTHING,
    f"set role reader; {EVERYTHING}",
    f"reset role; {EVERYTHING}",
    f"select set_config('role', 'reader', false); {EVERYTHING}",
    f"select set_config('row_security', 'off', false); {EVERYTHING}",
    f"set session authorization reader; {EVERYTHING}",
    "select tenant, page_views as views from marts.region_hourly where tenant <> '' or true",
    "with everything as (table marts.page_daily) select tenant, page_name from everything",
    "select query_to_xml('select tenant from marts.region_daily', true, true, '')",
    "select (xpath('/x', query_to_xml('select * from marts.page_daily', true, true, '')))",
    "select most_common_vals::text from pg_stats where schemaname = 'marts'",
    "select {{ 'tenant from marts.region_daily' }}",
)


@pytest.mark.parametrize("sql", ESCAPES)
def test_whatever_is_typed_in_sql_lab_other_tenants_rows_do_not_come(homes: Homes, database_id: int, sql: str) -> None:
    mine, other = homes
    answer = sql_lab(mine.analyst, database_id, sql)
    assert other.name not in answer.text
    assert other.page not in answer.text


def test_sql_lab_answers_an_analyst_over_the_marts(homes: Homes, database_id: int) -> None:
    for home, views in zip(homes, (1000, 20), strict=True):
        answer = sql_lab(home.analyst, database_id, EVERYTHING)
        assert answer.status_code == httpx.codes.OK, answer.text
        assert [(row["tenant"], int(row["views"])) for row in answer.json()["data"]] == [(home.name, views)]


@pytest.mark.parametrize(
    "sql",
    [
        "select * from ledger.tenants",
        "select * from rollups.page_view_minute",
        "delete from marts.region_daily",
        "create table marts.mine (x int)",
    ],
)
def test_sql_lab_reaches_nothing_but_the_marts_and_changes_nothing(homes: Homes, database_id: int, sql: str) -> None:
    answer = sql_lab(homes[0].analyst, database_id, sql)
    assert not answer.is_success, answer.text


def test_a_viewer_has_no_sql_lab(homes: Homes, database_id: int) -> None:
    assert sql_lab(homes[0].viewer, database_id, "select 1").status_code == httpx.codes.FORBIDDEN


def test_who_is_of_no_tenant_sees_nothing(stranger: Superset, homes: Homes, ids: dict[str, int]) -> None:
    with pytest.raises(SupersetError, match="belong to no tenant"):
        stranger.chart_rows(ids["charts/page_views/page_views.yaml"])
    answer = sql_lab(stranger, ids["databases/warehouse.yaml"], EVERYTHING)
    assert not answer.is_success
    assert homes[0].name not in answer.text


def test_the_administrator_sees_every_tenant(administrator: Superset, homes: Homes, ids: dict[str, int]) -> None:
    for home in homes:
        rows = administrator.chart_rows(ids["charts/page_views/top_pages.yaml"], {"tenant": [home.name]})
        assert [row["page_name"] for row in rows] == [home.page]


@contextmanager
def ruled(administrator: Superset, database_id: int, mart: str, role: str) -> Iterator[None]:
    """While somebody's own rule over a mart shows a role none of its rows."""
    roles = {each["name"]: each["id"] for each in administrator.get("security/roles/")["result"]}
    table = {"database": database_id, "schema": "marts", "table_name": mart}
    dataset = administrator.send("POST", "dataset/", table)["id"]
    try:
        rule = {"name": f"of a test, {mart}", "filter_type": "Regular", "clause": "tenant = 'nobody'"}
        made = administrator.send("POST", "rowlevelsecurity/", {**rule, "tables": [dataset], "roles": [roles[role]]})[
            "id"
        ]
        try:
            yield
        finally:
            administrator.send("DELETE", f"rowlevelsecurity/{made}")
    finally:
        administrator.send("DELETE", f"dataset/{dataset}")


def test_a_rule_over_a_mart_reaches_the_datasets_that_read_it(
    administrator: Superset, homes: Homes, ids: dict[str, int], database_id: int
) -> None:
    """Somebody's own rule: whoever it is for is not shown by a chart what the table itself would not show them."""
    of_pages, mine = ids["charts/page_views/top_pages.yaml"], {"tenant": [homes[0].name]}
    assert administrator.chart_rows(of_pages, mine)
    with ruled(administrator, database_id, "page_daily", "Admin"):
        assert administrator.chart_rows(of_pages, mine) == []
    assert administrator.chart_rows(of_pages, mine)


def test_an_answer_from_the_cache_is_of_nobody_whom_a_rule_over_a_mart_binds(
    administrator: Superset, homes: Homes, ids: dict[str, int], database_id: int
) -> None:
    home, of_pages = homes[0], ids["charts/page_views/top_pages.yaml"]
    asked = {**home.viewer.query(of_pages), "force": False}
    assert home.viewer.answer(asked)
    assert home.viewer.results(asked)[0]["is_cached"]
    assert home.analyst.results(asked)[0]["is_cached"], "one tenant's people share what no rule tells apart"
    with ruled(administrator, database_id, "page_daily", "Analyst"):
        assert home.analyst.answer(asked) == []
        assert home.viewer.answer(asked)
    assert home.analyst.answer(asked)


def login(env: Mapping[str, str], tenant: str) -> str:
    at = urlsplit(env["WAREHOUSE_DSN"])
    password = tenant_login.password(env["TENANT_LOGIN_KEY"], tenant)
    return urlunsplit(at._replace(netloc=f"{quote(tenant_login.role(tenant))}:{password}@{at.hostname}:{at.port}"))


def test_postgres_itself_keeps_the_rows_apart(superset_env: Mapping[str, str], homes: Homes) -> None:
    with psycopg.connect(login(superset_env, homes[0].name), autocommit=True) as connection:
        assert connection.execute("select distinct tenant from marts.region_daily").fetchall() == [(homes[0].name,)]
        for words in (
            "set role reader",
            "set session authorization reader",
            f'set role "{tenant_login.role(homes[1].name)}"',
            "set row_security = off; select * from marts.region_daily",
            "alter role current_user superuser",
            "create table marts.mine (x int)",
            "create temp table mine (x int)",
            "grant tenants to reader",
        ):
            with pytest.raises(psycopg.Error):
                connection.execute(words)
            connection.execute("reset all")


def test_every_mart_with_tenants_has_row_security(superset_env: Mapping[str, str]) -> None:
    with psycopg.connect(superset_env["WAREHOUSE_DSN"]) as connection:
        open_ = connection.execute(
            """
            select c.relname from pg_class as c
            where c.relnamespace = 'marts'::regnamespace and c.relkind in ('r', 'p', 'v', 'm')
            and has_table_privilege('tenants', c.oid, 'select')
            -- A view reads as who asks, or says itself whose rows it shows.
            and not coalesce(c.reloptions && array['security_invoker=true', 'security_barrier=true'], false)
            and not (c.relrowsecurity and exists (
                select from pg_policy as p where p.polrelid = c.oid and p.polname = 'own_tenant'
            ))
            """
        ).fetchall()
        readable = connection.execute(
            "select count(*) from pg_tables where schemaname = 'marts'"
            " and has_table_privilege('tenants', format('%I.%I', schemaname, tablename), 'select')"
        ).fetchone()
    assert open_ == []
    assert readable is not None
    assert readable[0] >= 6


def test_a_chart_is_asked_once_and_not_stale_after_a_publication(
    superset_env: Mapping[str, str], homes: Homes, ids: dict[str, int]
) -> None:
    chart = ids["charts/page_views/top_pages.yaml"]
    _, home = homes
    ask(home.viewer, chart)
    assert all(ask(home.viewer, chart)["is_cached"] for _ in range(5))
    publish_rows(superset_env["WAREHOUSE_DSN"], home.name, 21, home.page)
    fresh = ask(home.viewer, chart)
    assert not fresh["is_cached"]
    assert [21 in row.values() for row in fresh["data"]] == [True], fresh["data"]
    publish_rows(superset_env["WAREHOUSE_DSN"], home.name, 20, home.page)


def test_another_tenant_s_publication_leaves_the_cache_alone(
    superset_env: Mapping[str, str], homes: Homes, ids: dict[str, int]
) -> None:
    mine, other = homes
    ask(mine.viewer, ids["charts/page_views/top_pages.yaml"])
    publish_rows(superset_env["WAREHOUSE_DSN"], other.name, 20, other.page)
    assert ask(mine.viewer, ids["charts/page_views/top_pages.yaml"])["is_cached"]
