"""What Superset asks again and again within one answer is asked once (ADR 0043).

A chart of one number and its line is two queries over the same dataset, each rendered twice: for the key of its cache
and to be run. For each of them Superset looks for the rules of row-level security of every table in it, asks the
warehouse for its default schema, and asks the dataset once more for the currency its amounts are in. Within a request
the answers cannot differ: the same person asks the same things at the same moment. And what need not be asked is not:
the rules of what is no dataset, the currency of amounts of one chosen currency.
"""

import re
from collections.abc import Callable, Collection
from functools import wraps
from typing import Any

from flask import g, has_request_context

CURRENCY = re.compile(r"[A-Z]{3}")
"""ISO 4217."""


def once(ask: Callable[..., Any], key: Callable[..., object]) -> Callable[..., Any]:
    """``ask``, asked once in a request for each ``key`` of its arguments and each person; outside of one, each time.

    :param key: of the same arguments as ``ask``: all that the answer depends on, beside who asks
    """

    @wraps(ask)
    def asked(*args: Any, **kwargs: Any) -> Any:
        if not has_request_context():
            return ask(*args, **kwargs)
        user = getattr(g, "user", None)
        known: dict[tuple[object, ...], Any] = g.setdefault("watershed_asked", {})
        place = (ask.__qualname__, user.get_id() if user is not None else None, key(*args, **kwargs))
        if place not in known:
            known[place] = ask(*args, **kwargs)
        return known[place]

    return asked


def of_datasets(
    ask: Callable[..., list[str]], datasets: Callable[[Any], Collection[object]]
) -> Callable[..., list[str]]:
    """``ask`` for the rules of a table of a database, which only a dataset can have.

    The reviewed datasets have no catalog, those that people make have the database's only one. Superset does not look
    for the rules of the latter in the SQL of the former; they are the same table's, which can have but one dataset.

    :param datasets: the (schema, name) of each dataset of a database, whatever its catalog
    """

    @wraps(ask)
    def rules(table: Any, database: Any, default_catalog: str | None) -> list[str]:
        if (table.schema, table.table) not in datasets(database):
            return []
        return ask(table.qualify(catalog=default_catalog), database, default_catalog)

    return rules


def of_filter(detect: Callable[..., str | None]) -> Callable[..., str | None]:
    """``detect``, which reads a dataset for the currency of its amounts, where no filter leaves only one of them."""

    @wraps(detect)
    def detected(**asked: Any) -> str | None:
        column = asked["datasource"].currency_code_column
        for each in asked["filters"] or ():
            match each:
                case {"col": name, "op": "IN", "val": [str(value)]} if name == column and CURRENCY.fullmatch(value):
                    return value
        return detect(**asked)

    return detected


def ask_once() -> None:
    """Have Superset ask for rules, schemas, currencies and access to everything once in a request."""
    # They load Superset, which loads the settings.
    from superset.common import query_actions  # noqa: PLC0415
    from superset.models.core import Database  # noqa: PLC0415
    from superset.security.manager import SupersetSecurityManager  # noqa: PLC0415
    from superset.utils import rls  # noqa: PLC0415

    rls.get_predicates_for_table = of_datasets(
        once(rls.get_predicates_for_table, lambda table, database, catalog: (table, database.id, catalog)),
        once(_datasets, lambda database: database.id),
    )
    Database.get_default_schema = once(
        Database.get_default_schema, lambda database, catalog: (database.id, database.sqlalchemy_uri, catalog)
    )
    query_actions.detect_currency = of_filter(
        once(query_actions.detect_currency, lambda **asked: repr({**asked, "datasource": asked["datasource"].uid}))
    )
    SupersetSecurityManager.can_access_all_databases = once(
        SupersetSecurityManager.can_access_all_databases, lambda *_: ()
    )


def _datasets(database: Any) -> frozenset[object]:
    """The (schema, name) of each dataset of a database."""
    from superset import db  # noqa: PLC0415
    from superset.connectors.sqla.models import SqlaTable  # noqa: PLC0415

    found = db.session.query(SqlaTable.schema, SqlaTable.table_name).filter(SqlaTable.database_id == database.id)
    return frozenset((schema, name) for schema, name in found)
