"""The parts of ``watershed demo run``: what was sent before, the access log's own tenant, and the closing addresses."""

from pathlib import Path

from rich.table import Table

from demo.generate import Plan
from demo.send import from_json
from demo.settings import RunSettings
from demo.truth import Truth


class DemoError(Exception):
    """The demo cannot go on; the message says what to do."""


def truth_path(settings: RunSettings, tenant: str) -> Path:
    """Where the truth of a tenant is kept: under ``data``, so that ``make reset`` forgets it with the events."""
    return settings.watershed_state / "data" / "demo" / f"{tenant}.json"


def kept_truth(settings: RunSettings, tenant: str) -> Truth | None:
    """What an earlier run sent; None when this is the first."""
    path = truth_path(settings, tenant)
    return Truth.load(path) if path.exists() else None


def plan_of(truth: Truth | None) -> Plan | None:
    """The plan an earlier run sent by."""
    return from_json(truth.plan) if truth is not None else None


def addresses(settings: RunSettings) -> Table:
    """Where to look, and how to log in."""
    table = Table("", "address", "log-in", title="Look at it")
    superset = f"{settings.superset_user} / {settings.superset_password.get_secret_value()}"
    airflow = f"{settings.airflow_user} / {settings.airflow_password.get_secret_value()}"
    table.add_row("Charts (Superset)", f"{settings.superset_url}/superset/dashboard/page-views/", superset)
    table.add_row("Runs (Airflow)", settings.airflow_url, airflow)
    table.add_row("Models (dbt)", settings.dbt_docs_url, "")
    table.add_row("Gates (Great Expectations)", settings.data_docs_url, "")
    table.add_row("Collector", f"{settings.collector_url}/contracts", "")
    return table
