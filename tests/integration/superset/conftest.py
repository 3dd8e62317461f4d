"""A real Superset on the test stack's warehouse, and two tenants with people and rows of their own."""

import os
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
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


def publish_rows(dsn: str, tenant: str, views: int, page: str) -> None:
    """What a publication of ``views`` today would write, in one transaction."""
    newest = TODAY + timedelta(hours=9)
    with psycopg.connect(dsn) as connection:
        for mart in ("region_hourly", "region_daily", "region_weekly", "region_monthly", "page_daily"):
            connection.execute(f"delete from marts.{mart} where tenant = %s".encode(), (tenant,))
        for mart, column, value, start in (
            ("region_hourly", "region", "DE", newest),
            ("region_daily", "region", "DE", TODAY),
            ("region_weekly", "region", "DE", TODAY - timedelta(days=TODAY.weekday())),
            ("region_monthly", "region", "DE", TODAY.replace(day=1)),
            ("page_daily", "page_name", page, TODAY),
        ):
            connection.execute(
                f"insert into marts.{mart} (tenant, {column}, period_start, page_views, visitors, bot_page_views,"
                " visitors_sketch) values (%s, %s, %s, %s, 1, 0, '{7}')".encode(),
                (tenant, value, start, views),
            )
        connection.execute(
            "insert into marts.freshness as f (tenant, event_type, complete_through, pending_minutes, pending_hours,"
            " newest_period_start, published_at) values (%s, 'page_view', now(), 0, 0, %s, clock_timestamp())"
            " on conflict (tenant, event_type) do update set published_at = excluded.published_at",
            (tenant, newest),
        )


def forget_rows(dsn: str, tenant: str) -> None:
    with psycopg.connect(dsn) as connection:
        for mart in ("region_hourly", "region_daily", "region_weekly", "region_monthly", "page_daily", "freshness"):
            connection.execute(f"delete from marts.{mart} where tenant = %s".encode(), (tenant,))


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


def sql_lab(client: Superset, database_id: int, sql: str, schema: str = "marts") -> httpx.Response:
    """Ask in SQL Lab, whatever comes of it."""
    query = {"database_id": database_id, "sql": sql, "schema": schema, "runAsync": False, "queryLimit": 1000}
    return client.try_send("POST", "sqllab/execute/", {**query, "client_id": secrets.token_hex(5)})


@pytest.fixture
def marts(stack: Any) -> Iterator[Marts]:
    """Temporary marts, for datasets' numbers worked out by hand."""
    with psycopg.connect(stack.env["WAREHOUSE_DSN"], row_factory=dict_row) as connection:
        connection.execute("set timezone = 'UTC'")
        marts = Marts(connection)
        marts.shape()
        yield marts
        connection.rollback()
