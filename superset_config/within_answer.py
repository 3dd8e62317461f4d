"""What Superset asks again and again within one answer is asked once (ADR 0043).

A chart of one number and its line is two queries over the same dataset, each rendered twice: for the key of its cache
and to be run. For each of them Superset looks for the rules of row-level security of every table in it, asks the
warehouse for its default schema, and asks the dataset once more for the currency its amounts are in. Within a request
the answers cannot differ: the same person asks the same things at the same moment.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

from flask import g, has_request_context


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


def ask_once() -> None:
    """Have Superset ask for rules, schemas and currencies once in a request."""
    # They load Superset, which loads the settings.
    from superset.common import query_actions  # noqa: PLC0415
    from superset.models.core import Database  # noqa: PLC0415
    from superset.utils import rls  # noqa: PLC0415

    rls.get_predicates_for_table = once(
        rls.get_predicates_for_table, lambda table, database, catalog: (table, database.id, catalog)
    )
    Database.get_default_schema = once(
        Database.get_default_schema, lambda database, catalog: (database.id, database.sqlalchemy_uri, catalog)
    )
    query_actions.detect_currency = once(
        query_actions.detect_currency, lambda **asked: repr({**asked, "datasource": asked["datasource"].uid})
    )
