"""The parts of ``watershed demo run``: what was sent before, the access log's own tenant, and the closing addresses."""

from pathlib import Path

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


def addresses(settings: RunSettings) -> list[str]:
    """Where to look, and how to log in; lines, not a table, since a terminal would cut what is to be copied."""
    rows = [
        ("charts", f"{settings.superset_url}/superset/dashboard/page-views/"),
        ("", f"log-in {settings.superset_user} / {settings.superset_password.get_secret_value()}"),
        ("runs", settings.airflow_url),
        ("", f"log-in {settings.airflow_user} / {settings.airflow_password.get_secret_value()}"),
        ("models", settings.dbt_docs_url),
        ("gates", settings.data_docs_url),
        ("contracts", f"{settings.collector_url}/contracts"),
    ]
    return [f"  {name:<10} {text}" for name, text in rows]
