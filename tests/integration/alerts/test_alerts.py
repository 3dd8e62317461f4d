"""Alerts on a real Postgres and a real mail server: each incident is told once, and its end once."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg import sql

from alerts.check import Checked, check
from alerts.definitions import Alert, load_alerts
from alerts.tell import Teller
from books.show import NUMBERS
from contracts.registry import Registry
from runtime.mail import Mailer, MailError
from tests.integration.mail_sink import Sink, serving
from warehouse.migrate import migrate

ALERTS = {alert.name: alert for alert in load_alerts()}
NOTHING = {"text": "", "bigint": 0, "numeric": 0, "jsonb": "{}", "ARRAY": []}
"""What a column of a mart, by its type, has where a test does not say."""


@pytest.fixture(scope="module")
def sink() -> Iterator[Sink]:
    with serving() as made:
        yield made


@dataclass
class World:
    """A warehouse of these tests, its owner's connection, and the mail server."""

    owner: psycopg.Connection[Any]
    owner_dsn: str
    alerter_dsn: str
    sink: Sink

    def check(self, *names: str, told: bool = True) -> Checked:
        """One run over the alerts called so."""
        mailer = Mailer("127.0.0.1", self.sink.port, "watershed@here.example", starttls=False)
        chosen: list[Alert] = [ALERTS[name] for name in names]
        return check(self.alerter_dsn, chosen, Teller(mailer, ("ops@here.example",)) if told else None)

    def complete(self, minutes_ago: float | None, tenant: str = "t", event_type: str = "page_view") -> None:
        """A publication, which knows how far it is complete or (None) does not."""
        self.owner.execute(
            "insert into marts.freshness (tenant, event_type, complete_through, pending_minutes, pending_hours,"
            " published_at) values (%s, %s, now() - %s * interval '1 minute', 0, 0, now()) on conflict"
            " (tenant, event_type) do update set complete_through = excluded.complete_through",
            (tenant, event_type, minutes_ago),
        )

    def first_published(self, minutes_ago: float) -> None:
        self.owner.execute(
            "update marts.freshness set first_published_at = now() - %s * interval '1 minute'", (minutes_ago,)
        )

    def requests(self, requests: int, errors: int, minutes_ago: float = 5, service: str = "web") -> None:
        at = datetime.now(UTC) - timedelta(minutes=minutes_ago)
        self._put("request_minute", at, service=service, route="/", requests=requests, errors=errors)

    def revenue(self, amount: int, hours_ago: float, purchases: int = 30, currency: str = "EUR") -> None:
        at = datetime.now(UTC) - timedelta(hours=hours_ago)
        values = {"region": "DE", "currency": currency, "net_revenue": amount, "purchases": purchases}
        self._put("revenue_region_hourly", at, **values)

    def _put(self, mart: str, at: datetime, **values: Any) -> None:
        columns = self.owner.execute(
            "select column_name, data_type from information_schema.columns"
            " where table_schema = 'marts' and table_name = %s and is_nullable = 'NO'",
            (mart,),
        ).fetchall()
        row = {name: NOTHING.get(kind) for name, kind in columns} | {"tenant": "t", "period_start": at, **values}
        self.owner.execute(
            sql.SQL("insert into marts.{} ({}) values ({})").format(
                sql.Identifier(mart),
                sql.SQL(", ").join(map(sql.Identifier, row)),
                sql.SQL(", ").join(sql.Placeholder() * len(row)),
            ),
            list(row.values()),
        )


@pytest.fixture
def world(migrated: tuple[str, str], sink: Sink) -> Iterator[World]:
    owner_dsn, alerter_dsn = migrated
    sink.away = False
    sink.taken.clear()
    with psycopg.connect(owner_dsn, autocommit=True) as owner:
        owner.execute("truncate ledger.incidents, marts.freshness")
        yield World(owner, owner_dsn, alerter_dsn, sink)


@pytest.fixture
def with_marts(world: World) -> World:
    """The marts of requests and revenue as `make up` makes them, empty."""
    world.owner.execute("drop table if exists marts.request_minute, marts.revenue_region_hourly cascade")
    migrate(world.owner_dsn, Registry.load())
    world.complete(0, event_type="request_log")
    world.complete(0, event_type="purchase")
    return world


def test_an_incident_is_told_once_and_its_end_once(world: World) -> None:
    world.complete(20)
    assert world.check("data_incomplete").opened == 1
    assert world.sink.subjects() == ["Alert: Data are not complete (t, page_view)"]
    for _ in range(3):
        assert world.check("data_incomplete").mails == 0
    world.complete(1)
    assert world.check("data_incomplete").closed == 1
    assert world.sink.subjects() == ["Over: Data are not complete (t, page_view)"]
    assert world.check("data_incomplete").mails == 0
    world.complete(16)
    assert world.check("data_incomplete").opened == 1
    assert len(world.sink.subjects()) == 1


def test_data_that_are_complete_within_the_threshold_are_no_incident(world: World) -> None:
    world.complete(14)
    assert world.check("data_incomplete").opened == 0
    assert world.sink.taken == []


def test_data_of_which_nobody_ever_said_how_far_they_are_complete_are_an_incident(world: World) -> None:
    world.complete(None)
    world.first_published(16)
    world.complete(None)
    assert world.check("data_incomplete").opened == 1
    (message,) = world.sink.taken
    assert "- t, page_view: 16 minutes" in str(message.get_payload())
    world.complete(1)
    assert world.check("data_incomplete").closed == 1


def test_a_fresh_stack_has_time_to_say_how_far_it_is_complete(world: World) -> None:
    world.complete(None)
    assert world.check("data_incomplete").opened == 0
    world.first_published(14)
    assert world.check("data_incomplete").opened == 0


def test_hours_that_do_not_balance_are_an_incident_until_they_are_signed_off(world: World) -> None:
    row = dict.fromkeys(NUMBERS, 0) | {
        "tenant": "t", "type": "purchase", "unlanded": 1, "reasons": {}, "closed": True, "balanced": False,
        "checked_at": "2026-11-29T14:00:00Z",
    }  # fmt: skip
    for hour in (11, 12):
        book = json.dumps(row | {"received_hour": f"2026-11-29T{hour}:00:00Z"})
        world.owner.execute(
            "insert into ledger.books select (jsonb_populate_record(null::ledger.books, %s)).*", (book,)
        )
    assert world.check("books_unbalanced").opened == 1
    (message,) = world.sink.taken
    assert "- t, purchase: 2 hours" in str(message.get_payload())
    world.owner.execute("update ledger.books set signed_off_at = now()")
    assert world.check("books_unbalanced").closed == 1
    world.owner.execute("truncate ledger.books")


def test_several_tenants_at_once_are_one_mail_that_names_each(world: World) -> None:
    for tenant in ("acme", "beta", "gamma"):
        world.complete(60, tenant)
    world.check("data_incomplete")
    (message,) = world.sink.taken
    assert message["Subject"] == "Alert: Data are not complete (acme, page_view and 2 more)"
    text = message.get_payload()
    for tenant in ("acme", "beta", "gamma"):
        assert f"- {tenant}, page_view: 60 minutes" in str(text)


def test_what_could_not_be_told_is_told_when_the_mail_server_is_back(world: World) -> None:
    world.complete(20)
    world.sink.away = True
    with pytest.raises(MailError, match="451"):
        world.check("data_incomplete")
    world.sink.away = False
    assert world.check("data_incomplete").mails == 1
    assert len(world.sink.subjects()) == 1


def test_without_a_mail_server_incidents_are_kept_and_said_to_be_untold(world: World) -> None:
    world.complete(20)
    done = world.check("data_incomplete", told=False)
    assert (done.opened, done.mails, done.untold) == (1, 0, 1)


def test_every_alert_is_active_over_the_marts_as_they_are_made(with_marts: World) -> None:
    """A mart's column that is called otherwise would have an alert sleep, and nothing else say so."""
    done = with_marts.check(*ALERTS)
    assert (done.inactive, done.active) == ({}, len(ALERTS))


def test_an_alert_over_marts_that_are_not_there_is_not_active_and_says_what_it_lacks(world: World) -> None:
    world.owner.execute("drop table if exists marts.request_minute, marts.revenue_region_hourly cascade")
    done = world.check(*ALERTS)
    assert set(done.inactive) == {"server_errors", "revenue_down"}
    assert done.inactive["server_errors"] == "there is no marts.request_minute"
    assert done.active == len(ALERTS) - 2
    world.owner.execute("create table marts.request_minute (tenant text, service text, requests bigint)")
    lacking = world.check("server_errors").inactive["server_errors"]
    assert lacking == "there is no marts.request_minute.period_start, marts.request_minute.errors"


@pytest.mark.parametrize(
    ("requests", "errors", "broken"),
    [(100, 6, True), (100, 5, False), (1000, 51, True), (19, 19, False), (20, 2, True)],
)
def test_errors_above_five_per_cent_are_an_incident(
    with_marts: World, requests: int, errors: int, broken: bool
) -> None:
    with_marts.requests(requests, errors)
    assert with_marts.check("server_errors").opened == broken


def test_errors_of_an_hour_ago_or_of_another_service_do_not_count(with_marts: World) -> None:
    with_marts.requests(100, 90, minutes_ago=60)
    with_marts.requests(100, 0, service="web")
    with_marts.requests(100, 50, service="billing")
    with_marts.check("server_errors")
    assert with_marts.sink.subjects() == ["Alert: Too many server errors (t, billing)"]


@pytest.mark.parametrize(
    ("before", "now", "broken"), [(1000, 690, True), (1000, 700, False), (1000, 0, True), (0, 0, False)]
)
def test_revenue_thirty_per_cent_under_last_week_s_is_an_incident(
    with_marts: World, before: int, now: int, broken: bool
) -> None:
    with_marts.revenue(before, hours_ago=24 * 7 + 12)
    with_marts.revenue(now, hours_ago=12)
    assert with_marts.check("revenue_down").opened == broken


def test_a_currency_without_a_sale_today_is_down_and_another_that_sold_is_not(with_marts: World) -> None:
    for currency in ("EUR", "USD"):
        with_marts.revenue(1000, hours_ago=24 * 7 + 12, currency=currency)
    with_marts.revenue(1000, hours_ago=12, currency="USD")
    with_marts.check("revenue_down")
    assert with_marts.sink.subjects() == ["Alert: Revenue is down (t, EUR)"]


def test_data_that_are_late_are_not_taken_for_revenue_that_is_down(with_marts: World) -> None:
    with_marts.complete(60 * 24, event_type="purchase")
    with_marts.revenue(1000, hours_ago=24 * 8 + 12)
    with_marts.revenue(1000, hours_ago=36)
    assert with_marts.check("revenue_down").opened == 0


def test_the_alerter_may_change_nothing_but_its_incidents(world: World) -> None:
    with psycopg.connect(world.alerter_dsn, autocommit=True) as connection:
        for words in (
            "delete from marts.freshness",
            "delete from ledger.incidents",
            "select * from ledger.cells",
            "select * from rollups.page_view_minute",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(words)
