"""Which reports are due, on a real Postgres: each tenant's own day, over and complete, once."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import psycopg
import pytest

from alerts.board import Board
from alerts.due import PATIENCE, read_unsent, standing

DAY = date(2026, 11, 28)
BOARD = Board("page-views", "Page views", {}, {}, ("region_hourly", "region_daily"), ("page_view",))
ENDS = {
    "Pacific/Kiritimati": datetime(2026, 11, 28, 10, tzinfo=UTC),
    "Asia/Kolkata": datetime(2026, 11, 28, 18, 30, tzinfo=UTC),
    "UTC": datetime(2026, 11, 29, tzinfo=UTC),
    "America/Los_Angeles": datetime(2026, 11, 29, 8, tzinfo=UTC),
}


class Reports:
    """The marts' tenants, and what is due of them."""

    def __init__(self, owner: psycopg.Connection[Any], alerter_dsn: str) -> None:
        self.owner, self.dsn = owner, alerter_dsn

    def data(self, tenant: str, hour: datetime, zone: str = "UTC") -> None:
        """Views of one hour, published."""
        self.owner.execute("insert into marts.region_hourly values (%s, 'DE', %s, 1, 1, 0, '{7}')", (tenant, hour))
        self.complete(tenant, hour, zone)

    def complete(self, tenant: str, through: datetime | None, zone: str = "UTC", event_type: str = "page_view") -> None:
        self.owner.execute(
            """
            insert into marts.freshness (
                tenant, event_type, complete_through, pending_minutes, pending_hours, published_at, time_zone
            )
            values (%s, %s, %s, 0, 0, now(), %s)
            on conflict (tenant, event_type) do update set complete_through = excluded.complete_through
            """,
            (tenant, event_type, through, zone),
        )

    def due(self, at: datetime, *days: date) -> list[tuple[str, date, bool]]:
        """Tenant, day and whether it is preliminary, for a run at that time over ``days``."""
        found = standing(read_unsent(self.dsn, BOARD, days or [DAY]), at)
        return [(each.tenant, each.day, bool(each.preliminary)) for each in found.due]


@pytest.fixture
def reports(migrated: tuple[str, str]) -> Iterator[Reports]:
    owner_dsn, alerter_dsn = migrated
    with psycopg.connect(owner_dsn, autocommit=True) as owner:
        owner.execute("truncate marts.freshness, marts.region_hourly, ledger.reports")
        yield Reports(owner, alerter_dsn)


@pytest.mark.parametrize("zone", ENDS)
def test_a_day_is_due_when_it_is_over_by_the_tenants_clock_and_everything_of_it_is_counted(
    reports: Reports, zone: str
) -> None:
    end = ENDS[zone]
    reports.data("acme", end - timedelta(hours=6), zone)
    minute = timedelta(minutes=1)
    reports.complete("acme", end - minute)
    assert reports.due(end - minute) == []
    assert reports.due(end + minute) == []
    reports.complete("acme", end)
    assert reports.due(end + minute) == [("acme", DAY, False)]


def test_a_day_whose_numbers_do_not_come_is_due_as_preliminary_after_a_while(reports: Reports) -> None:
    reports.data("acme", ENDS["UTC"] - timedelta(hours=6))
    for through in (ENDS["UTC"] - timedelta(hours=3), None):
        reports.complete("acme", through)
        assert reports.due(ENDS["UTC"] + PATIENCE - timedelta(minutes=1)) == []
        assert reports.due(ENDS["UTC"] + PATIENCE) == [("acme", DAY, True)]


def test_only_the_event_types_of_the_dashboard_are_waited_for(reports: Reports) -> None:
    reports.data("acme", ENDS["UTC"] - timedelta(hours=6))
    reports.complete("acme", ENDS["UTC"])
    reports.complete("acme", None, event_type="metric")
    assert reports.due(ENDS["UTC"]) == [("acme", DAY, False)]


def test_a_tenant_without_data_of_the_day_gets_no_report_of_it(reports: Reports) -> None:
    """Newer and older data are no data of the day; an hour that holds the local midnight is."""
    reports.data("acme", ENDS["UTC"])
    reports.data("beta", ENDS["UTC"] - timedelta(hours=25))
    reports.data("gamma", ENDS["Asia/Kolkata"] - timedelta(hours=24, minutes=30), "Asia/Kolkata")
    for tenant in ("acme", "beta", "gamma"):
        reports.complete(tenant, ENDS["UTC"] + timedelta(days=1))
    assert reports.due(ENDS["UTC"] + timedelta(hours=2)) == [("gamma", DAY, False)]


def test_a_day_that_was_sent_is_not_due_and_the_day_before_still_is(reports: Reports) -> None:
    before = DAY - timedelta(days=1)
    reports.data("acme", ENDS["UTC"] - timedelta(hours=6))
    reports.data("acme", ENDS["UTC"] - timedelta(hours=30))
    reports.complete("acme", ENDS["UTC"])
    assert reports.due(ENDS["UTC"], before, DAY) == [("acme", before, False), ("acme", DAY, False)]
    reports.owner.execute(
        "insert into ledger.reports (tenant, day, dashboard) values ('acme', %s, 'page-views')", (DAY,)
    )
    assert reports.due(ENDS["UTC"], before, DAY) == [("acme", before, False)]
