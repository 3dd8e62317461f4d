"""Superset's security, with tenants: how a person is connected to the warehouse, what is cached apart, what is listed.

Superset's own row-level security filters the reviewed datasets and nothing else: not what is typed in SQL Lab, not a
dataset that an analyst makes. So each person's queries run as their tenant's role, whose rows Postgres itself keeps
apart (``warehouse/schema/row_security.sql``), and every cached answer is kept under what its reader may see.
"""

import os
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from flask import g, has_request_context
from flask_appbuilder.models.filters import BaseFilter
from sqlalchemy import create_engine, or_, select, text
from sqlalchemy.engine import Engine
from sqlalchemy.engine.url import URL, make_url
from superset.errors import ErrorLevel, SupersetError, SupersetErrorType
from superset.exceptions import SupersetSecurityException
from superset.security import SupersetSecurityManager
from superset.utils.core import QuerySource, RowLevelSecurityFilterType

from superset_config import lake
from superset_config.connections import keep_open
from superset_config.own_work import is_own_work
from superset_config.tenancy import NoTenantError, Sight, role_of, sight
from superset_config.within_answer import once
from warehouse import tenant_login

KEPT: Final = "watershed_sight"
"""Where Flask's ``g`` has what the person of a request sees, as a value that outlives the request."""


def _reader_url() -> URL:
    return make_url(os.environ["READER_DSN"]).set(drivername="postgresql+psycopg2")


class Publications:
    """Knows the newest publication: what was cached before it is not taken any more."""

    def __init__(self) -> None:
        self._engine: Engine | None = None

    def newest(self, seen: Sight) -> str:
        """A text that changes whenever a publication may have changed what ``seen`` shows.

        Asked of the warehouse each time, over a connection that stays open (0.3 ms): a copy kept here would make what
        is cached stale for as long as it is kept. Every publication writes each tenant's row of freshness.
        """
        if self._engine is None:  # after gunicorn's fork: a connection may not be shared between processes
            options = {"application_name": "superset-cache", "connect_timeout": 5}
            self._engine = create_engine(_reader_url(), pool_size=2, pool_pre_ping=True, connect_args=options)
        words = "select max(published_at)::text from marts.freshness"
        mine = " where tenant = :tenant" if seen.tenant is not None else ""
        with self._engine.connect() as connection:
            return str(connection.execute(text(words + mine), {"tenant": seen.tenant}).scalar())


PUBLICATIONS = Publications()


class WatershedSecurityManager(SupersetSecurityManager):
    """Superset's security manager that knows tenants."""

    # What the account pages may do is the administrator's, whatever `superset init` would hand on to other roles.
    ADMIN_ONLY_VIEW_MENUS = SupersetSecurityManager.ADMIN_ONLY_VIEW_MENUS | {"Accounts"}

    def sight(self) -> Sight:
        """What the person at work sees.

        :raises NoTenantError: nothing
        """
        return sight(role.name for role in self.get_user_roles())

    def get_rls_cache_key(self, datasource: Any) -> list[str]:
        """Superset's key, and what the person sees as of which publication, under which rules.

        Without the first, an answer over a dataset that no rule covers would be one tenant's, shown to another. Without
        the last, one over a mart that somebody made a rule for would be of whom it does not bind: Superset reads what a
        dataset's SQL is of before it is rendered, when it is no SQL yet.
        """
        try:
            seen = self.sight()
        except NoTenantError as error:
            raise _refused(str(error)) from error
        of_table = super().get_rls_cache_key(datasource)
        return [*of_table, *_rules(self, datasource.database_id), seen.key, PUBLICATIONS.newest(seen)]

    def raise_for_access(self, *args: Any, **kwargs: Any) -> None:
        """As Superset's, and what another tenant's people made by hand is refused, however it is addressed."""
        super().raise_for_access(*args, **kwargs)
        self._keep_sight()
        made = [kwargs.get(name) for name in ("dashboard", "chart", "datasource")]
        if context := kwargs.get("query_context"):
            made.append(context.datasource)
        for thing in filter(None, [*args[:2], *made]):
            if not self._may_see(thing):
                raise _refused("This belongs to another tenant.")

    def _keep_sight(self) -> None:
        """Keep what the person sees, for what of the request is done after it has ended (:func:`_at_work`)."""
        if not is_own_work():
            g.pop(KEPT, None)
            with suppress(NoTenantError):  # who sees nothing keeps nothing, and is refused
                setattr(g, KEPT, self.sight())

    def _may_see(self, thing: Any) -> bool:
        if not hasattr(thing, "created_by_fk") or getattr(thing, "is_managed_externally", False):
            return True
        try:
            seen = self.sight()
        except NoTenantError:
            return False
        if seen.tenant is None or thing.created_by_fk == g.user.id:
            return True
        creator = self.get_user_by_id(thing.created_by_fk) if thing.created_by_fk else None
        return creator is not None and role_of(seen.tenant) in {role.name for role in self.get_user_roles(creator)}

    def colleagues(self) -> Any:
        """A condition's right side: the ids of the people of one's own tenant; None when one sees all."""
        seen = self.sight()
        if seen.tenant is None:
            return None
        users = self.user_model
        mine = users.roles.any(self.role_model.name == role_of(seen.tenant))
        return select(users.id).where(mine)


def _rules_of_person(manager: WatershedSecurityManager, database_id: int) -> list[str]:
    """The rules, over whatever table of the database, that bind the person at work."""
    # Its models want the application before they are loaded.
    from superset.connectors.sqla.models import (  # noqa: PLC0415
        RLSFilterRoles,
        RLSFilterTables,
        RowLevelSecurityFilter,
        SqlaTable,
    )

    rule = RowLevelSecurityFilter
    mine = [role.id for role in manager.get_user_roles()]
    names_me = rule.id.in_(select(RLSFilterRoles.c.rls_filter_id).where(RLSFilterRoles.c.role_id.in_(mine)))
    regular = rule.filter_type == RowLevelSecurityFilterType.REGULAR  # for the roles named; else for the others
    tables = (
        select(RLSFilterTables.c.rls_filter_id)
        .join(SqlaTable, SqlaTable.id == RLSFilterTables.c.table_id)
        .where(SqlaTable.database_id == database_id)
    )
    found = manager.session.query(rule.id, rule.group_key, rule.clause).filter(rule.id.in_(tables), regular == names_me)
    return [repr(tuple(each)) for each in found.order_by(rule.id)]


_rules = once(_rules_of_person, lambda _manager, database_id: database_id)


def _refused(message: str) -> SupersetSecurityException:
    return SupersetSecurityException(
        SupersetError(
            message=message, error_type=SupersetErrorType.DATASOURCE_SECURITY_ACCESS_ERROR, level=ErrorLevel.WARNING
        )
    )


def connect_as_tenant(
    uri: URL, params: dict[str, Any], _username: str | None, security_manager: Any, source: QuerySource | None
) -> tuple[URL, dict[str, Any]]:
    """Superset's ``DB_CONNECTION_MUTATOR``: connect to the warehouse as the role of the person's tenant.

    A program's own work (the bootstrap) reads as ``reader``, which sees all. Connections stay open but for it and for
    SQL Lab, whose queries are stopped by ending their connection: it must be nobody else's.

    :raises SupersetSecurityException: nobody is known, or they may see nobody's data
    """
    if uri.drivername == "duckdb":
        return uri, {**params, "creator": _lake_connection(security_manager)}
    reader = _reader_url()
    if (uri.username, uri.host, uri.port, uri.database) != (reader.username, reader.host, reader.port, reader.database):
        return uri, params
    seen = _at_work(security_manager)
    if seen is None:
        return uri, params
    if source is not QuerySource.SQL_LAB:
        params = keep_open(params)
    if seen.tenant is None:
        return uri, params
    password = tenant_login.password(os.environ["TENANT_LOGIN_KEY"], seen.tenant)
    return uri.set(username=tenant_login.role(seen.tenant), password=password), params


def _at_work(security_manager: Any) -> Sight | None:
    """What may be seen by whom a connection is made for; None for a program's own work, which says that it is.

    A download of many rows connects when its request has ended: nobody is logged in there, and ``g`` has what
    :meth:`WatershedSecurityManager.raise_for_access` kept of the request (superset/commands/streaming_export/base.py).

    :raises SupersetSecurityException: nobody is known, or they may see nobody's data
    """
    if is_own_work():
        return None
    if not has_request_context():
        kept = g.get(KEPT)
        if isinstance(kept, Sight):
            return kept
        raise _refused("Log in first.")
    user = getattr(g, "user", None)
    if not user:
        raise _refused("Log in first.")
    try:
        return sight(role.name for role in security_manager.get_user_roles(user))
    except NoTenantError as error:
        raise _refused(str(error)) from error


def _lake_connection(security_manager: Any) -> Callable[[], Any]:
    """How to connect to the lake: as a program, with nothing in it; as a person, if they see every tenant."""
    seen = _at_work(security_manager)
    if seen is None:
        return lake.empty
    if seen.tenant is not None:
        raise _refused("The lake holds every tenant's events: it is for people who see all tenants.")
    return lake.connect


def _confine(filter_class: type[BaseFilter], model: Any) -> None:
    """Have a list's filter leave out what the people of other tenants made."""
    theirs: Callable[[Any, Any, Any], Any] = filter_class.apply

    def apply(self: Any, query: Any, value: Any) -> Any:
        from superset import security_manager  # noqa: PLC0415

        query = theirs(self, query, value)
        if not getattr(g, "user", None) or g.user.is_anonymous:
            return query
        try:
            colleagues = security_manager.colleagues()
        except NoTenantError:
            return query.filter(model.is_managed_externally.is_(True))
        if colleagues is None:
            return query
        return query.filter(or_(model.is_managed_externally.is_(True), model.created_by_fk.in_(colleagues)))

    filter_class.apply = apply


def only_colleagues(query: Any) -> Any:
    """Superset's ``EXTRA_RELATED_QUERY_FILTERS``: offer the people of one's own tenant as owners, and no others."""
    from superset import security_manager  # noqa: PLC0415

    try:
        colleagues = security_manager.colleagues()
    except NoTenantError:
        return query.filter(security_manager.user_model.id == g.user.id)
    return query if colleagues is None else query.filter(security_manager.user_model.id.in_(colleagues))


def confine_lists() -> None:
    """Lists of charts, dashboards and datasets hold the reviewed ones and those of one's own tenant."""
    from superset.charts.filters import ChartFilter  # noqa: PLC0415
    from superset.connectors.sqla.models import SqlaTable  # noqa: PLC0415
    from superset.dashboards.filters import DashboardAccessFilter  # noqa: PLC0415
    from superset.models.dashboard import Dashboard  # noqa: PLC0415
    from superset.models.slice import Slice  # noqa: PLC0415
    from superset.views.base import DatasourceFilter  # noqa: PLC0415

    _confine(ChartFilter, Slice)
    _confine(DashboardAccessFilter, Dashboard)
    _confine(DatasourceFilter, SqlaTable)
