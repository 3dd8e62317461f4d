"""Row security of the marts, as migration leaves it: also of marts and views that come later."""

from collections.abc import Iterator
from urllib.parse import quote, urlsplit, urlunsplit
from uuid import uuid4

import psycopg
import pytest

from contracts.registry import Registry
from tests.integration.marts.warehouse_kit import Warehouse
from warehouse import tenant_login
from warehouse.migrate import migrate
from warehouse.tenants import TenantError, bar_tenant, ensure_tenant, tenants

KEY = "k" * 64


@pytest.fixture
def tenant(unbuilt: Warehouse) -> Iterator[str]:
    name = f"rows-{uuid4().hex[:8]}"
    ensure_tenant(unbuilt.dsns["WAREHOUSE"], KEY, name)
    yield name
    role = tenant_login.role(name)
    unbuilt.rows(f'drop owned by "{role}"', role="SUPERUSER")
    unbuilt.rows(f'drop role "{role}"', role="SUPERUSER")


def as_tenant(warehouse: Warehouse, tenant: str, query: str) -> list[tuple[object, ...]]:
    at = urlsplit(warehouse.dsns["WAREHOUSE"])
    who = f"{quote(tenant_login.role(tenant))}:{tenant_login.password(KEY, tenant)}"
    dsn = urlunsplit(at._replace(netloc=f"{who}@{at.hostname}:{at.port}"))
    with psycopg.connect(dsn) as connection:
        return connection.execute(query.encode()).fetchall()


def test_a_mart_and_a_view_that_come_later_show_a_tenant_its_own_rows(unbuilt: Warehouse, tenant: str) -> None:
    unbuilt.rows("create table marts.later (tenant text, n int)")
    unbuilt.rows("create view marts.later_view as select * from marts.later")
    unbuilt.rows("create table marts.of_nobody (n int)")
    unbuilt.rows("insert into marts.later values (%s, 1), ('other', 2)", (tenant,))
    migrate(unbuilt.dsns["WAREHOUSE"], Registry.load())
    for relation in ("later", "later_view"):
        assert as_tenant(unbuilt, tenant, f"select tenant, n from marts.{relation}") == [(tenant, 1)]
        assert len(unbuilt.rows(f"select n from marts.{relation}", role="READER")) == 2
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        as_tenant(unbuilt, tenant, "select n from marts.of_nobody")


def test_a_tenant_is_made_once_and_keeps_its_time_zone(unbuilt: Warehouse, tenant: str) -> None:
    dsn = unbuilt.dsns["WAREHOUSE"]
    assert not ensure_tenant(dsn, KEY, tenant, "Asia/Kolkata")
    assert not ensure_tenant(dsn, KEY, tenant)
    assert [(each.name, each.time_zone, each.may_log_in) for each in tenants(dsn)] == [(tenant, "Asia/Kolkata", True)]


def test_a_barred_tenant_cannot_log_in_until_it_is_made_again(unbuilt: Warehouse, tenant: str) -> None:
    dsn = unbuilt.dsns["WAREHOUSE"]
    bar_tenant(dsn, tenant)
    with pytest.raises(psycopg.OperationalError, match="not permitted to log in"):
        as_tenant(unbuilt, tenant, "select 1")
    ensure_tenant(dsn, KEY, tenant)
    assert as_tenant(unbuilt, tenant, "select 1") == [(1,)]


@pytest.mark.parametrize("name", ["", "Acme", "a b", "a'; --", 'a"b', "a.b", "x" * 41])
def test_a_name_that_is_not_allowed_reaches_no_database(unbuilt: Warehouse, name: str) -> None:
    with pytest.raises(TenantError, match="1 to 40"):
        ensure_tenant("postgresql://nowhere.invalid", KEY, name)


def test_a_time_zone_that_does_not_exist_is_refused(unbuilt: Warehouse) -> None:
    with pytest.raises(TenantError, match="no time zone"):
        ensure_tenant(unbuilt.dsns["WAREHOUSE"], KEY, "acme", "Mars/Olympus")


def test_publishing_goes_on_with_row_security(unbuilt: Warehouse) -> None:
    """The publisher writes and the reader reads every tenant's rows, also those of tenants that were never made."""
    unbuilt.rows("insert into marts.page_daily values ('never-made', '/', now(), 1, 1, 0, '{}')", role="PUBLISHER")
    assert unbuilt.rows("select tenant from marts.page_daily", role="READER") == [("never-made",)]


def test_a_tenant_sees_of_the_ledger_what_was_done_for_itself(unbuilt: Warehouse, tenant: str) -> None:
    for name in (tenant, "other", "*"):
        unbuilt.rows("insert into ledger.publications values (%s, %s, now(), 1, null)", (uuid4(), name))
        unbuilt.rows(
            "insert into ledger.gate_results values (%s, 'marts', 'suite', 'is so', 'stop', %s, true, null, now())",
            (uuid4(), name),
        )
        unbuilt.rows(
            """
            insert into ledger.restatements (run_id, mart, tenant, period_start, key, old, new, cause)
            values (%s, 'page_daily', %s, now(), '{}', '{}', '{}', 'late')
            """,
            (uuid4(), name),
        )
    unbuilt.rows(
        "insert into ledger.loads (run_id, type, started_at, land_seq_from, land_seq_to) values (%s, 'x', now(), 0, 0)",
        (uuid4(),),
    )
    migrate(unbuilt.dsns["WAREHOUSE"], Registry.load())
    for view in ("publications", "gate_results", "restatements"):
        assert as_tenant(unbuilt, tenant, f"select tenant from marts.{view}") == [(tenant,)]
        seen = unbuilt.rows(f"select tenant from marts.{view}", role="READER")
        assert {(tenant,), ("other",), ("*",)} <= set(seen)
    assert as_tenant(unbuilt, tenant, "select tenant from marts.loads") == []
    assert unbuilt.rows("select tenant from marts.loads", role="READER") == [("*",)]
