"""The lake in SQL Lab: read-only, for who sees every tenant, and nothing else of the machine."""

import secrets
from collections.abc import Iterator, Mapping
from typing import Any

import httpx
import pyarrow as pa
import pytest

from collector.lake import LakeSettings, open_catalog
from superset_config.admin import Admin
from superset_config.bundle import Bundle
from superset_config.rest import Superset, SupersetSettings
from tests.integration.superset.conftest import Home, as_user, sql_lab


@pytest.fixture(scope="module")
def database_id(administrator: Superset) -> int:
    (uuid,) = (each.uuid for each in Bundle.load().of("databases") if each.path == "databases/lake.yaml")
    return int(administrator.by_uuid("database")[uuid]["id"])


@pytest.fixture(scope="module")
def table(superset_env: Mapping[str, str]) -> Iterator[str]:
    """A table of the lake with three events."""
    catalog = open_catalog(LakeSettings.model_validate({name.lower(): value for name, value in superset_env.items()}))
    name = f"sqllab_{secrets.token_hex(4)}"
    rows = pa.table({"tenant": ["a", "b", "b"], "n": pa.array([1, 2, 3], pa.int64())})
    made = catalog.create_table(f"events.{name}", schema=rows.schema)
    made.append(rows)
    yield name
    catalog.purge_table(f"events.{name}")


@pytest.fixture(scope="module")
def analyst(superset_env: Mapping[str, str], admin_settings: SupersetSettings) -> Iterator[Superset]:
    """An analyst who sees every tenant."""
    name, password = f"all-{secrets.token_hex(4)}", secrets.token_urlsafe(18)
    with Admin(admin_settings) as admin:
        admin.ensure_person(name, f"{name}@here.example", ["Analyst", "All tenants"], password)
    with Superset(as_user(superset_env, name, password)) as client:
        yield client


def test_an_analyst_who_sees_every_tenant_asks_the_lake(analyst: Superset, database_id: int, table: str) -> None:
    sql = f"select tenant, sum(n) as n from events.{table} group by tenant order by tenant"
    answer = sql_lab(analyst, database_id, sql, "events")
    assert answer.status_code == httpx.codes.OK, answer.text
    assert [(row["tenant"], int(row["n"])) for row in answer.json()["data"]] == [("a", 1), ("b", 5)]


def test_a_commit_is_seen_by_the_next_question(
    superset_env: Mapping[str, str], analyst: Superset, database_id: int, table: str
) -> None:
    catalog = open_catalog(LakeSettings.model_validate({name.lower(): value for name, value in superset_env.items()}))
    sql = f"select count(*) as n from events.{table} where n >= 100"
    assert sql_lab(analyst, database_id, sql, "events").json()["data"] == [{"n": 0}]
    catalog.load_table(f"events.{table}").append(pa.table({"tenant": ["c"], "n": pa.array([100], pa.int64())}))
    assert sql_lab(analyst, database_id, sql, "events").json()["data"] == [{"n": 1}]
    catalog.load_table(f"events.{table}").delete("n = 100")


def test_every_table_of_the_lake_is_there(analyst: Superset, database_id: int) -> None:
    sql = "select table_schema || '.' || table_name as name from information_schema.tables"
    found = {row["name"] for row in sql_lab(analyst, database_id, sql, "events").json()["data"]}
    assert {"events.page_view", "events.purchase", "quality.rejected_events"} <= found


@pytest.mark.parametrize(
    "sql",
    [
        "select * from read_text('/etc/passwd')",
        "select * from read_csv('/etc/passwd', sep=':')",
        "select * from '/etc/passwd'",
        "select * from glob('/*')",
        "select * from read_text('http://127.0.0.1/')",
        "copy (select 1) to '/tmp/out.csv'",
        "copy (select 1) to 's3://lake/out.csv'",
        "attach '/tmp/other.db'",
        "set enable_external_access = true",
        "install spatial",
        "load '/tmp/evil.duckdb_extension'",
        "create table mine (x int)",
    ],
)
def test_nothing_else_can_be_read_or_written(analyst: Superset, database_id: int, table: str, sql: str) -> None:
    answer = sql_lab(analyst, database_id, sql, "events")
    assert "root:" not in answer.text
    assert not answer.is_success or answer.json()["data"] == [], answer.text


@pytest.mark.parametrize("what", ["duckdb_settings()", "duckdb_secrets()"])
def test_the_key_of_the_store_is_not_shown(
    stack: Any, analyst: Superset, database_id: int, table: str, what: str
) -> None:
    answer = sql_lab(analyst, database_id, f"select * from {what}", "events")
    assert answer.is_success, answer.text
    assert answer.json()["data"]
    assert stack.own("superset")["LAKE_SECRET_ACCESS_KEY"] not in answer.text


def test_a_tenant_s_analyst_is_refused(homes: tuple[Home, Home], database_id: int, table: str) -> None:
    answer = sql_lab(homes[0].analyst, database_id, f"select * from events.{table}", "events")
    assert not answer.is_success
    assert "every tenant" in answer.text


def test_a_dataset_over_the_lake_is_refused_to_a_tenant_too(
    homes: tuple[Home, Home], analyst: Superset, database_id: int, table: str
) -> None:
    made = {
        "database": database_id,
        "schema": "events",
        "table_name": f"of_{table}",
        "sql": f"select * from events.{table}",
    }
    dataset = analyst.send("POST", "dataset/", made)["id"]
    query = {"columns": ["tenant"], "metrics": [], "filters": [], "row_limit": 10}
    context = {"datasource": {"id": dataset, "type": "table"}, "queries": [query], "result_type": "full"}
    assert len(analyst.send("POST", "chart/data", context)["result"][0]["data"]) > 0
    assert not homes[0].analyst.try_send("POST", "chart/data", context).is_success
    analyst.send("DELETE", f"dataset/{dataset}")
