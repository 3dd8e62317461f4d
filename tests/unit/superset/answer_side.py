"""Runs in Superset's environment: what is asked of rules, schemas and currencies within requests; prints JSON.

Superset's own functions call what is replaced here by something that counts; no database or server.
"""

# ruff: noqa: E402 (Superset's models want the application before they are loaded)

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

sys.path.insert(0, str(Path(__file__).parents[3]))

from flask import g
from superset.app import create_app

app = create_app()

from superset import jinja_context
from superset.common import query_actions
from superset.models.core import Database
from superset.security.manager import SupersetSecurityManager
from superset.sql.parse import SQLScript
from superset.utils import rls

from superset_config import within_answer
from superset_config.parses import KeptTemplates, remember_templates

asked: dict[str, list[object]] = {"datasets": [], "rules": [], "schema": [], "currency": [], "everything": []}


def rules(table: Any, _database: Any, _catalog: Any) -> list[str]:
    asked["rules"].append(table.table)
    return [f"{table.catalog} = '{g.user.get_id()}'"]


def schema(_database: Any, catalog: str | None) -> str:
    asked["schema"].append(catalog)
    return f"of {g.user.get_id()}"


def currency(**known: Any) -> str:
    asked["currency"].append(known["filters"])
    return f"{g.user.get_id()} {[each['val'] for each in known['filters']]}"


def datasets(database: Any) -> frozenset[object]:
    asked["datasets"].append(database.id)
    return frozenset([("marts", "one"), ("marts", "other"), ("else", "third")])


def everything(_manager: Any, permission: str, _view: str) -> bool:
    asked["everything"] += ["all"] * (permission == "all_database_access")
    return bool(g.user.get_id() == "a")


rls.get_predicates_for_table = rules
within_answer._datasets = datasets
Database.get_default_schema = schema
query_actions.detect_currency = currency
SupersetSecurityManager.can_access = everything
within_answer.ask_once()
remember_templates()

warehouse, dataset = Database(id=1, sqlalchemy_uri="postgresql://"), SimpleNamespace(uid="1", currency_code_column="c")
warehouse.get_default_catalog = lambda: "whole"
manager = SupersetSecurityManager.__new__(SupersetSecurityManager)


def of(*values: object, column: str = "c", op: str = "IN") -> dict[str, object]:
    """A filter of a query."""
    return {"col": column, "op": op, "val": list(values)}


def answer(filters: list[dict[str, object]]) -> list[object]:
    """What Superset does for one query of a chart: its SQL under its rules, the schema, the currency, who sees all."""
    script = SQLScript("select a from one union all select a from other union all select a from third", "postgresql")
    rls.apply_rls(warehouse, None, "marts", script.statements[0])
    query = SimpleNamespace(filter=filters, granularity=None, from_dttm=None, to_dttm=None, extras={})
    context = SimpleNamespace(form_data={"currency_format": {"symbol": "AUTO"}})
    return [
        script.format(),
        warehouse.get_default_schema(None),
        query_actions._detect_currency(context, query, dataset),
        manager.can_access_all_datasources(),
    ]


def requested(user: str, *queries: list[dict[str, object]]) -> list[list[object]]:
    """The answers to a request with ``queries``."""
    with app.test_request_context():
        g.user = SimpleNamespace(get_id=lambda: user)
        return [answer(query) for query in queries]


def counted() -> dict[str, int]:
    """What was asked since the last time."""
    found = {what: len(each) for what, each in asked.items()}
    for each in asked.values():
        each.clear()
    return found


facts: dict[str, object] = {}
x, y = [of("EUR", "USD")], [of("EUR", "INR")]
facts["first"], facts["first_asked"] = requested("a", x, x), counted()
facts["of_two_filters"], facts["of_two_filters_asked"] = requested("a", x, y), counted()
facts["of_another"], facts["of_another_asked"] = requested("b", x), counted()
facts["of_one_currency"] = [answered[2] for answered in requested("a", [of("t", column="tenant"), of("INR")])]
facts["of_one_currency_asked"] = counted()
not_one = [[], [of("INR", column="tenant")], [of("INR", op="NOT IN")], [of("(all)")], [of(None)], [of()]]
not_one += [[{"col": "c", "op": "IN", "val": "INR"}]]
facts["not_of_one"] = [answered[2] for answered in requested("a", *not_one)]
counted()
with app.test_request_context():
    found = []
    for person in ("a", "b"):
        g.user = SimpleNamespace(get_id=lambda person=person: person)
        found.append(answer(x))
facts["of_two_people_in_one"], _ = found, counted()
with app.app_context():
    g.user = SimpleNamespace(get_id=lambda: "a")
    answer(x)
    answer(x)
facts["outside_of_requests_asked"] = counted()
with app.app_context():
    processor = jinja_context.BaseTemplateProcessor(database=mock.MagicMock())
facts["templates"] = isinstance(processor.env, KeptTemplates)
print(json.dumps(facts))  # noqa: T201 - how the test is told
