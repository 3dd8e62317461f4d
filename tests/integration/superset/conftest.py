"""A real Superset on the test stack's warehouse, and two tenants with people and rows of their own."""

import os
import secrets
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from psycopg import sql
from psycopg.rows import dict_row
from pydantic import SecretStr

from stack.lifecycle import Stack
from superset_config.admin import Admin
from superset_config.rest import Superset, SupersetSettings
from tenants.create import NewPerson, add_person, create_tenant
from tenants.disable import disable_tenant
from tenants.settings import TenantSettings
from tests.integration.mail_sink import Sink, serving
from tests.integration.superset.marts_kit import Marts
from warehouse.marts import EVENT_TYPES, MARTS, Mart

TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
MOST_SECONDS = 1200
"""For one test and the fixtures it is the first to need: Superset's first start on a busy machine takes minutes."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.timeout(MOST_SECONDS))


@pytest.fixture(scope="session")
def superset_env(stack: Any) -> Mapping[str, str]:
    """Endpoints and credentials of a stack on which Superset runs, too."""
    if not os.environ.get("WATERSHED_TEST_ENV"):
        Stack(stack.settings, only=("superset",)).up(lambda part, what: None)
    env: Mapping[str, str] = stack.env
    return env


@pytest.fixture(scope="session")
def admin_settings(superset_env: Mapping[str, str]) -> SupersetSettings:
    return as_user(superset_env, superset_env["SUPERSET_USER"], superset_env["SUPERSET_PASSWORD"])


@pytest.fixture(scope="session")
def administrator(admin_settings: SupersetSettings) -> Iterator[Superset]:
    with Superset(admin_settings) as client:
        yield client


@pytest.fixture(scope="session")
def tenant_settings(superset_env: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory) -> TenantSettings:
    """The operator's way, but for the keys: those of these tests are in a file of their own."""
    return TenantSettings(
        superset_url=superset_env["SUPERSET_URL"],
        superset_user=superset_env["SUPERSET_USER"],
        superset_password=SecretStr(superset_env["SUPERSET_PASSWORD"]),
        warehouse_dsn=superset_env["WAREHOUSE_DSN"],
        keys_file=tmp_path_factory.mktemp("keys") / "keys.json",
        tenant_login_key=SecretStr(superset_env["TENANT_LOGIN_KEY"]),
    )


@pytest.fixture(scope="module")
def mail_sink() -> Iterator[Sink]:
    with serving() as sink:
        yield sink


def as_user(env: Mapping[str, str], user: str, password: str) -> SupersetSettings:
    return SupersetSettings(superset_url=env["SUPERSET_URL"], superset_user=user, superset_password=SecretStr(password))


@dataclass
class Home:
    """A tenant of these tests: its analyst and viewer, logged in, and the page that only it has."""

    name: str
    analyst: Superset
    viewer: Superset
    keys: dict[str, str] = field(default_factory=dict)

    @property
    def page(self) -> str:
        return f"/only-{self.name}"


WORDS = {"region": "DE", "currency": "EUR", "method": "GET", "unit": "ms"}
RANKS = ({"ranked_by": "purchases", "currency": "(all)"}, {"ranked_by": "revenue", "currency": "EUR"})
STARTS = {
    "minute": TODAY + timedelta(hours=9),
    "hour": TODAY + timedelta(hours=9),
    "day": TODAY,
    "week": TODAY - timedelta(days=TODAY.weekday()),
    "month": TODAY.replace(day=1),
    "ever": datetime(1970, 1, 1, tzinfo=UTC),
}
FORTNIGHT = [TODAY - timedelta(days=n) for n in range(16)]
"""Days of the other families: closed ones for what is shown of these only, and enough for a forecast."""


def publish_rows(dsn: str, tenant: str, views: int, page: str) -> None:
    """What a publication of ``views`` today would write, in one transaction; of other families a row a period."""
    with psycopg.connect(dsn) as connection:
        _forget(connection, tenant)
        for mart in MARTS:
            of_views = mart.event_types == ("page_view",)
            starts = FORTNIGHT if mart.grain == "day" and not of_views else [STARTS[mart.grain]]
            values = {"page_views": views, "bot_page_views": 0, "page_name": page} if of_views else {}
            for start in starts:
                for rank in RANKS if "ranked_by" in mart.dimensions else ({},):
                    _insert(connection, mart, {"tenant": tenant, "period_start": start, **values, **rank})
        for event_type in EVENT_TYPES:
            connection.execute(
                """
                insert into marts.freshness as f (
                    tenant, event_type, complete_through, pending_minutes, pending_hours, newest_period_start,
                    published_at
                )
                values (%s, %s, now(), 0, 0, %s, clock_timestamp())
                on conflict (tenant, event_type) do update set published_at = excluded.published_at
                """,
                (tenant, event_type, STARTS["hour"]),
            )
        run = uuid.uuid4()
        connection.execute("insert into ledger.publications values (%s, %s, now(), 1, null)", (run, tenant))
        connection.execute(
            """
            insert into ledger.gate_results (run_id, stage, suite, expectation, severity, tenant, success)
            values (%s, 'marts', %s, 'is so', 'stop', %s, false)
            """,
            (run, f"suite-of-{tenant}", tenant),
        )
        _receive(connection, tenant, views)


def _receive(connection: psycopg.Connection, tenant: str, views: int) -> None:
    """What the ledger has when the views were received within this hour, and one event was rejected."""
    values = {"tenant": tenant, "views": views, "reason": f"only-{tenant}"}
    connection.execute(
        """
        insert into ledger.cells (
            type, tenant, minute, received_hour, landed, counted, duplicates, collisions, copies, minted, over_cap
        )
        values (
            'page_view', %(tenant)s, date_trunc('hour', now()), date_trunc('hour', now()), %(views)s, %(views)s,
            0, 0, 0, 0, 0
        )
        """,
        values,
    )
    connection.execute(
        """
        insert into ledger.rejects (tenant, event_type, received_hour, reason, field, rejected, named)
        values (%(tenant)s, 'purchase', date_trunc('hour', now()), %(reason)s, '/data/amount', 1, 1)
        """,
        values,
    )
    # Of the day before, an hour that nobody balances anew meanwhile.
    connection.execute(
        """
        insert into ledger.books (
            tenant, type, received_hour, acknowledged, landed, unlanded, missing, set_aside, copies, counted,
            duplicates, collisions, quarantined, erased, not_loaded, unexplained, charted_apart, rejected,
            rejected_unlanded, reasons, minted, in_doubt, void, "foreign", closed, balanced, checked_at
        )
        values (
            %(tenant)s, 'page_view', date_trunc('hour', now()) - interval '1 day', %(views)s, %(views)s, 0, 0, 0, 0,
            %(views)s, 0, 0, 0, 0, 0, 0, 0, 0, 0, '{}', 0, 0, 0, 0, true, true, now()
        )
        """,
        values,
    )


def _insert(connection: psycopg.Connection, mart: Mart, given: Mapping[str, Any]) -> None:
    """One row of a mart: what is ``given``, and for every other column a value of its type that names the tenant."""
    of_type: dict[str, Any] = {
        "bigint": 1,
        "numeric": 1,
        "ARRAY": [7],
        "jsonb": '{"100": 1}',
        "text": f"only-{given['tenant']}",
        "timestamp with time zone": STARTS["hour"],
    }
    columns = connection.execute(
        """
        select column_name, data_type from information_schema.columns
        where table_schema = 'marts' and table_name = %s
        """,
        (mart.name,),
    ).fetchall()
    row = {name: given.get(name, WORDS.get(name, of_type[kind])) for name, kind in columns}
    names = sql.SQL(", ").join(map(sql.Identifier, row))
    places = sql.SQL(", ").join([sql.Placeholder()] * len(row))
    statement = sql.SQL("insert into {} ({}) values ({})").format(sql.Identifier("marts", mart.name), names, places)
    connection.execute(statement, list(row.values()))


def _forget(connection: psycopg.Connection, tenant: str) -> None:
    of_ledger = [("ledger", name) for name in ("publications", "gate_results", "cells", "rejects", "books")]
    for table in (*(("marts", mart.name) for mart in MARTS), *of_ledger):
        connection.execute(sql.SQL("delete from {} where tenant = %s").format(sql.Identifier(*table)), (tenant,))


def forget_rows(dsn: str, tenant: str) -> None:
    with psycopg.connect(dsn) as connection:
        _forget(connection, tenant)
        connection.execute("delete from marts.freshness where tenant = %s", (tenant,))


@pytest.fixture(scope="session")
def homes(superset_env: Mapping[str, str], tenant_settings: TenantSettings) -> Iterator[tuple[Home, Home]]:
    """Two tenants: the first with 1,000 views today, the second with 20."""
    made = []
    for letter, views in (("a", 1000), ("b", 20)):
        name = f"home-{letter}-{secrets.token_hex(4)}"
        first = create_tenant(tenant_settings, name, NewPerson(f"{name}-analyst", f"analyst@{name}.example"))
        viewer = NewPerson(f"{name}-viewer", f"viewer@{name}.example", "Business viewer")
        second = add_person(tenant_settings, name, viewer, invite=False)
        assert first.password and second.password
        home = Home(
            name,
            Superset(as_user(superset_env, f"{name}-analyst", first.password)),
            Superset(as_user(superset_env, f"{name}-viewer", second.password)),
            first.keys,
        )
        publish_rows(superset_env["WAREHOUSE_DSN"], name, views, home.page)
        made.append(home)
    yield made[0], made[1]
    for home in made:
        home.analyst.close()
        home.viewer.close()
        forget_rows(superset_env["WAREHOUSE_DSN"], home.name)
        disable_tenant(tenant_settings, home.name, really=True)


@pytest.fixture(scope="session")
def stranger(superset_env: Mapping[str, str], admin_settings: SupersetSettings) -> Iterator[Superset]:
    """An analyst whom nobody has put into a tenant."""
    name, password = f"stranger-{secrets.token_hex(4)}", secrets.token_urlsafe(18)
    with Admin(admin_settings) as admin:
        admin.ensure_person(name, f"{name}@nowhere.example", ["Analyst"], password)
    with Superset(as_user(superset_env, name, password)) as client:
        yield client


def sql_lab(
    client: Superset, database_id: int, words: str, schema: str = "marts", client_id: str | None = None
) -> httpx.Response:
    """Ask in SQL Lab, whatever comes of it. By ``client_id`` the query is found again."""
    query = {"database_id": database_id, "sql": words, "schema": schema, "runAsync": False, "queryLimit": 1000}
    return client.try_send("POST", "sqllab/execute/", {**query, "client_id": client_id or secrets.token_hex(5)})


@pytest.fixture
def marts(stack: Any) -> Iterator[Marts]:
    """Temporary marts, for datasets' numbers worked out by hand."""
    with psycopg.connect(stack.env["WAREHOUSE_DSN"], row_factory=dict_row) as connection:
        connection.execute("set timezone = 'UTC'")
        marts = Marts(connection)
        marts.shape()
        yield marts
        connection.rollback()
