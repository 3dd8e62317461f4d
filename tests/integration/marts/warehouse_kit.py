"""What the tests of marts share: a warehouse by role, loads as the loader does them, the steps of a run."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
from psycopg.types.json import Jsonb

from dbt_project.build import build
from dbt_project.settings import DbtSettings, DocsBuildSettings
from expectations.gate import Verdict, gate
from expectations.settings import GateSettings
from warehouse.claims import Claim, claim
from warehouse.marts import MARTS as MART_LIST
from warehouse.publish import Publication, publish

ROLES = ("WAREHOUSE", "LOADER", "DBT", "GATE", "PUBLISHER", "READER")
LOADED_THROUGH = datetime(2026, 11, 20, 12, tzinfo=UTC)
MARTS = tuple(mart.name for mart in MART_LIST if mart.event_types == ("page_view",))
"""Those of page views."""
TOTALS = " union all ".join(f"select '{name}', coalesce(sum(page_views), 0) from marts.{name}" for name in MARTS)

COUNTS = {
    "page_view": ("page_views", "bot_page_views"),
    "app_created": ("apps",),
    "app_verified": ("apps",),
    "purchase": ("purchases",),
    "refund": ("refunds",),
    "signup": ("signups",),
    "metric": ("samples",),
    "request_log": ("requests",),
}
"""The measures of each type's rollup that together count every event."""
EMPTY: dict[str, dict[str, Any]] = {
    "page_view": {},
    "app_created": {},
    "app_verified": {},
    "purchase": {"buyers": []},
    "refund": {},
    "signup": {"users": []},
    "metric": {},
    "request_log": {
        "errors": 0,
        "client_errors": 0,
        "timed": 0,
        "satisfied": 0,
        "tolerating": 0,
        "duration_ms": Jsonb({}),
    },
}
"""What a rollup's row has where a test says nothing."""


@dataclass(frozen=True)
class Minute:
    """One row of ``rollups.page_view_minute``."""

    tenant: str
    minute: datetime
    region: str = "DE"
    page: str = "home"
    views: int = 1
    bots: int = 0
    visitors: tuple[int, ...] = ()

    def row(self) -> dict[str, Any]:
        """As the rollup has it."""
        return {
            "tenant": self.tenant,
            "minute": self.minute,
            "region": self.region,
            "page_name": self.page,
            "page_views": self.views,
            "bot_page_views": self.bots,
            "visitors": sorted(set(self.visitors)),
        }


class Warehouse:
    """A database, and each role's way to it."""

    def __init__(self, dsns: Mapping[str, str], folder: Path) -> None:
        self.dsns = dsns
        self.folder = folder

    def rows(self, query: str, parameters: Any = None, role: str = "WAREHOUSE") -> list[tuple[Any, ...]]:
        """Run one statement as ``role``."""
        with psycopg.connect(self.dsns[role]) as connection:
            cursor = connection.execute(query, parameters)
            return cursor.fetchall() if cursor.description else []

    def empty(self) -> None:
        """Empty every table; the load is through :data:`LOADED_THROUGH`."""
        ((tables,),) = self.rows(
            """
            select string_agg(format('%I.%I', schemaname, tablename), ', ') from pg_tables
            where schemaname in ('rollups', 'ledger', 'intermediate', 'marts_build', 'marts')
            """
        )
        self.rows(f"truncate {tables}", role="SUPERUSER")
        self.loaded_through(LOADED_THROUGH)

    def wait_until(self, condition: str) -> None:
        """Wait, for half a minute at most, until the query ``condition`` gives true."""
        deadline = time.monotonic() + 30
        while self.rows(condition, role="SUPERUSER") != [(True,)]:
            assert time.monotonic() < deadline, condition
            time.sleep(0.05)

    def load(self, minutes: Iterable[Minute], empty: Iterable[tuple[str, datetime]] = (), cause: str = "load") -> None:
        """Load page views; ``empty``: minutes (tenant, minute) of which nothing remains."""
        self.load_rows("page_view", [m.row() for m in minutes], empty, cause)

    def load_rows(
        self,
        type_: str,
        rows: Iterable[Mapping[str, Any]],
        empty: Iterable[tuple[str, datetime]] = (),
        cause: str = "load",
    ) -> None:
        """What a load of a type does: replace whole minutes and their cells and mark their hours, in one transaction.

        ``rows`` are of the type's rollup; columns left out are null, or empty where they must not be.
        """
        found = [{**EMPTY[type_], **row} for row in rows]
        touched = {(row["tenant"], row["minute"]) for row in found} | set(empty)
        table = f"rollups.{type_}_minute"
        with psycopg.connect(self.dsns["LOADER"]) as connection:
            connection.execute(
                "select rollups.ensure_months(%s, %s::date[])",
                (f"{type_}_minute", [minute.date() for _, minute in touched]),
            )
            for tenant, minute in touched:
                at = (tenant, minute)
                connection.execute(f"delete from {table} where tenant = %s and minute = %s".encode(), at)
                connection.execute(
                    "delete from ledger.cells where tenant = %s and minute = %s and type = %s", (*at, type_)
                )
                counted = sum(
                    sum(row[name] for name in COUNTS[type_]) for row in found if (row["tenant"], row["minute"]) == at
                )
                if counted:
                    connection.execute(
                        "insert into ledger.cells values (%s, %s, %s, %s, %s, %s, 0, 0, 0, 0, 0)",
                        (type_, *at, LOADED_THROUGH, counted, counted),
                    )
            for row in found:
                columns, values = ", ".join(row), ", ".join(["%s"] * len(row))
                connection.execute(f"insert into {table} ({columns}) values ({values})".encode(), list(row.values()))
            hours = sorted({(t, minute.replace(minute=0)) for t, minute in touched})
            self.mark(hours, cause, connection=connection, type_=type_)

    def mark(
        self,
        hours: Iterable[tuple[str, datetime]],
        cause: str = "load",
        received_from: datetime = LOADED_THROUGH,
        connection: psycopg.Connection | None = None,
        type_: str = "page_view",
    ) -> None:
        """Mark hours as changed, as a load does."""
        if connection is None:
            with psycopg.connect(self.dsns["LOADER"]) as own:
                self.mark(hours, cause, received_from, own, type_)
            return
        for tenant, hour in hours:
            connection.execute(
                """
                insert into ledger.unpublished as u (type, tenant, hour, cause, received_from)
                values (%s, %s, %s, %s, %s)
                on conflict (type, tenant, hour) do update set
                    change_id = nextval('ledger.change_seq'),
                    cause = excluded.cause,
                    received_from = least(u.received_from, excluded.received_from)
                """,
                (type_, tenant, hour, cause, received_from),
            )

    def loaded_through(self, instant: datetime, *types: str) -> None:
        """Say how far the load of ``types`` (default: page views) is."""
        for type_ in types or ("page_view",):
            self.rows(
                """
                insert into ledger.cursors (type, loaded_through) values (%s, %s)
                on conflict (type) do update set loaded_through = excluded.loaded_through
                """,
                (type_, instant),
            )

    def claim(self, run_id: UUID | None = None, **options: bool) -> Claim:
        """Claim for a new run, or for ``run_id``."""
        return claim(self.dsns["PUBLISHER"], run_id or uuid4(), **options)

    def build(self, run_id: UUID, **options: Any) -> None:
        """Run dbt."""
        build(self.dbt_settings, run_id, **options)

    @property
    def dbt_settings(self) -> DbtSettings:
        """Those of this database."""
        return DbtSettings(dbt_dsn=self.dsns["DBT"], watershed_state=self.folder)

    @property
    def docs_settings(self) -> DocsBuildSettings:
        """Those of this database, with Superset elsewhere."""
        return DocsBuildSettings(
            **self.dbt_settings.model_dump(), reader_dsn=self.dsns["READER"], superset_url="https://charts.example"
        )

    def gate(self, stage: Any, run_id: UUID, **options: Any) -> Verdict:
        """Run a gate."""
        places = {"gate_dsn": self.dsns["GATE"], "watershed_state": self.folder, "site_dir": self.folder / "site"}
        return gate(GateSettings(**places, **options), stage, run_id)

    def pass_gates(self, run_id: UUID, failing: Mapping[str, str] | None = None) -> None:
        """Write gate results as if the gates had run: all passed but the stops that ``failing`` names by tenant."""
        with psycopg.connect(self.dsns["GATE"]) as connection:
            for stage in ("rollups", "marts"):
                connection.execute(
                    """
                    insert into ledger.gate_results (
                        run_id, stage, suite, expectation, severity, tenant, success, checked_at
                    ) values (%s, %s, 'suite.stop', 'holds', 'stop', '*', true, clock_timestamp())
                    """,
                    (run_id, stage),
                )
            for tenant, expectation in (failing or {}).items():
                connection.execute(
                    """
                    insert into ledger.gate_results (
                        run_id, stage, suite, expectation, severity, tenant, success, checked_at
                    ) values (%s, 'marts', 'suite.stop', %s, 'stop', %s, false, clock_timestamp())
                    """,
                    (run_id, expectation, tenant),
                )

    def publish(self, run_id: UUID) -> Publication:
        """Publish a run."""
        return publish(self.dsns["PUBLISHER"], run_id)

    def run(self, *, gates: bool = True) -> Publication:
        """All steps of one build run; without ``gates`` they are taken as passed."""
        run_id = self.claim().run_id
        if gates:
            self.gate("rollups", run_id)
        self.build(run_id)
        if gates:
            self.gate("marts", run_id)
        else:
            self.pass_gates(run_id)
        return self.publish(run_id)

    def mart(self, name: str, schema: str = "marts") -> dict[tuple[Any, ...], tuple[int, int, int]]:
        """(tenant, period_start, *dimensions) → (page_views, visitors, bot_page_views)."""
        (key,) = (mart.key for mart in MART_LIST if mart.name == name)
        found = self.rows(
            f"select {', '.join(key)}, page_views, visitors, bot_page_views from {schema}.{name}",
            role="READER" if schema == "marts" else "GATE",
        )
        return {row[:-3]: row[-3:] for row in found}

    def marts(self) -> dict[str, dict[tuple[Any, ...], tuple[int, int, int]]]:
        """Every mart."""
        return {name: self.mart(name) for name in MARTS}

    def offer(self, tenants: Iterable[str], hour: datetime, views: int) -> UUID:
        """A claimed, built and passed candidate of one hour, without dbt: ``views`` page views in every mart.

        For tests of publish alone; gives the run.
        """
        names = list(tenants)
        self.mark([(tenant, hour) for tenant in names])
        run_id = self.claim().run_id
        with psycopg.connect(self.dsns["DBT"]) as connection:
            connection.execute("truncate intermediate.int_claimed_hours")
            connection.execute(
                """
                insert into intermediate.int_claimed_hours (run_id, event_type, tenant, hour, change_id, built_at)
                select claimed_by, type, tenant, hour, claimed_change_id, clock_timestamp()
                from ledger.unpublished where claimed_by = %s
                """,
                (run_id,),
            )
            for tenant in names:
                connection.execute(
                    "delete from intermediate.int_page_views_hourly where tenant = %s and period_start = %s",
                    (tenant, hour),
                )
                connection.execute(
                    "insert into intermediate.int_page_views_hourly (tenant, region, page_name, period_start, "
                    "page_views, bot_page_views, visitors_sketch) values (%s, 'DE', 'DE', %s, %s, 0, '{}')",
                    (tenant, hour, views),
                )
            for mart in (mart for mart in MART_LIST if mart.name in MARTS):
                more, nothing = (", visitors_by_hour", ", '{}'") if mart.name == "page_views_daily" else ("", "")
                columns = ", ".join(("tenant", "period_start", *mart.dimensions))
                keys = "".join(", %s" for _ in mart.dimensions)
                for tenant in names:
                    where = (tenant, mart.grain, hour)
                    connection.execute(
                        f"delete from marts_build.{mart.name} "
                        "where tenant = %s and period_start = date_trunc(%s, %s::timestamptz, 'UTC')".encode(),
                        where,
                    )
                    connection.execute(
                        f"insert into marts_build.{mart.name} ({columns}, page_views, visitors, bot_page_views, "
                        f"visitors_sketch{more}) values (%s, date_trunc(%s, %s::timestamptz, 'UTC'){keys}, "
                        f"%s, 0, 0, '{{}}'{nothing})".encode(),
                        (*where, *["DE"] * len(mart.dimensions), views),
                    )
        self.pass_gates(run_id)
        return run_id


def totals(warehouse: Warehouse) -> set[int]:
    """The views that each mart shows in all; one number when they agree."""
    return {int(total) for _, total in warehouse.rows(TOTALS, role="READER")}
