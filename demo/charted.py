"""Which mart shows what of each event type, to hold it against what was sent: by day, and money by currency."""

from dataclasses import dataclass

import psycopg
from psycopg import sql

from demo.truth import Truth

ALL = ""
"""In place of a currency, where a number has none."""


@dataclass(frozen=True)
class Charted:
    """The mart that shows a type, and its column for each measure of the rollup: ``counts``, and ``money``."""

    mart: str
    counts: dict[str, str]
    money: dict[str, str]


_REQUESTS = ("requests", "errors", "client_errors", "timed", "duration_sum", "satisfied", "tolerating")
CHARTED = {
    "app_created": Charted("apps_region_daily", {"apps": "created"}, {}),
    "app_verified": Charted("apps_region_daily", {"apps": "verified"}, {}),
    "purchase": Charted("revenue_daily", {"purchases": "purchases", "quantity": "quantity"}, {"revenue": "revenue"}),
    "refund": Charted("revenue_daily", {"refunds": "refunds"}, {"refunded": "refunded"}),
    "signup": Charted("signups_region_daily", {"signups": "signups"}, {}),
    "metric": Charted("metric_hourly", {"samples": "samples", "value_sum": "value_sum"}, {}),
    "request_log": Charted("requests_region_daily", {name: name for name in _REQUESTS}, {}),
}
Key = tuple[str, str, str, str]
"""Mart, ISO day (UTC), column, and the currency or :data:`ALL`."""


def sent(truth: Truth) -> dict[Key, str]:
    """What the marts must show of all types but page views, which are compared by region."""
    expected: dict[Key, str] = {}
    for type_, charted in CHARTED.items():
        for day, totals in truth.totals.get(type_, {}).items():
            for measure, column in charted.counts.items():
                expected[charted.mart, day, column, ALL] = totals.get(measure, "0")
        for day, currencies in truth.money.get(type_, {}).items():
            for currency, sums in currencies.items():
                for measure, column in charted.money.items():
                    expected[charted.mart, day, column, currency] = sums.get(measure, "0")
    for day, users in truth.active_users.items():
        expected["user_activity_daily", day, "daily_active_users", ALL] = str(users)
    return expected


def shown(connection: psycopg.Connection, tenant: str) -> dict[Key, str]:
    """The same, as the marts of ``tenant`` show it. Needs the rights of a reader of ``marts``."""
    found: dict[Key, str] = {}
    for charted in CHARTED.values():
        found |= _sums(connection, tenant, charted.mart, tuple(charted.counts.values()), None)
        if charted.money:
            found |= _sums(connection, tenant, charted.mart, tuple(charted.money.values()), "currency")
    return found | _sums(connection, tenant, "user_activity_daily", ("daily_active_users",), None)


def _sums(
    connection: psycopg.Connection, tenant: str, mart: str, columns: tuple[str, ...], by: str | None
) -> dict[Key, str]:
    query = sql.SQL(
        "select (period_start at time zone 'UTC')::date, {by}, {sums} from marts.{mart} where tenant = %s group by 1, 2"
    ).format(
        by=sql.Identifier(by) if by else sql.Literal(ALL),
        sums=sql.SQL(", ").join(sql.SQL("sum({})").format(sql.Identifier(name)) for name in columns),
        mart=sql.Identifier(mart),
    )
    return {
        (mart, day.isoformat(), column, key): f"{value or 0:f}"
        for day, key, *values in connection.execute(query, (tenant,))
        for column, value in zip(columns, values, strict=True)
    }
