"""Connections to the warehouse that stay open from one chart to the next, in a pool for each log-in (ADR 0028).

Superset makes an engine for each question and connects anew, 10 ms each: for a chart two or three times. Here the
engine is kept, by everything that makes a connection what it is: the log-in with its password, the server, the
options. So a connection made as one tenant's role is never handed to another's people; and who asks next as the same
role finds it as if it were new: nothing that a question before it set, locked or left open is there any more.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from threading import Lock
from typing import Any

import psycopg2
from sqlalchemy import event
from sqlalchemy.engine import Engine
from sqlalchemy.engine.url import URL
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.pool import QueuePool

MOST_LOGINS = 12
"""Log-ins whose connections are kept; who has not asked for longest is let go first."""

IDLE = 2
"""Connections that stay open for a log-in; with all log-ins a fifth of those Postgres gives."""

AT_ONCE = 32
"""Connections a log-in may have beside these: more than the server has threads, so that nobody waits for one."""


class KeptPool(QueuePool):
    """Marks the engines that are to be kept, and is the pool of one."""


def keep_open(params: Mapping[str, Any]) -> dict[str, Any]:
    """``params`` of an engine, changed so that :class:`Engines` keeps it and its connections."""
    return {**params, "poolclass": KeptPool, "pool_size": IDLE, "max_overflow": AT_ONCE, "pool_use_lifo": True}


class Engines:
    """SQLAlchemy's ``create_engine`` that gives the engine of before where :func:`keep_open` asked for that."""

    def __init__(self, create: Callable[..., Engine]) -> None:
        self._create = create
        self._kept: OrderedDict[tuple[URL, str], Engine] = OrderedDict()
        self._lock = Lock()

    def __call__(self, url: URL, **params: Any) -> Engine:
        """An engine for ``url`` (which has the log-in and its password) and ``params``; connects to nothing."""
        if params.get("poolclass") is not KeptPool:
            return self._create(url, **params)
        key = (url, repr(sorted(params.items())))
        with self._lock:
            engine = self._kept.pop(key, None) or self._made(url, params)
            self._kept[key] = engine
            left = self._kept.popitem(last=False)[1] if len(self._kept) > MOST_LOGINS else None
        if left is not None:
            left.dispose()
        return engine

    def _made(self, url: URL, params: Mapping[str, Any]) -> Engine:
        engine = self._create(url, **params)
        event.listen(engine.pool, "checkout", _check)
        event.listen(engine.pool, "reset", _forget)
        return engine


def _check(_connection: Any, record: Any, _proxy: Any) -> None:
    """A connection is handed out if it is alive and its log-in still may log in; else the pool tries to make another.

    :raises InvalidatePoolError: it is not, and the others of the pool are presumably no better
    """
    connection = record.dbapi_connection
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("select rolcanlogin from pg_roles where rolname = session_user")
            welcome = cursor.fetchone()
        connection.autocommit = False
    except psycopg2.Error as error:
        raise InvalidatePoolError from error
    if welcome != (True,):
        raise InvalidatePoolError


def _forget(_connection: Any, record: Any) -> None:
    """A connection comes back as it was when it was made; the pool closes one that cannot be put so."""
    connection = record.dbapi_connection
    connection.rollback()
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("discard all")
    connection.autocommit = False


def keep_connections() -> None:
    """Have Superset keep the engines that ``keep_open`` marked."""
    from superset.models import core  # noqa: PLC0415 - it loads Superset, which loads the settings

    core.create_engine = Engines(core.create_engine)
