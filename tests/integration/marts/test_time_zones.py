"""Tenants of several time zones side by side: their days, over changes of the clock, and what a change of zone does."""

import threading
from collections import defaultdict
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reports.read import read_day
from tests.integration.marts.warehouse_kit import MARTS as VIEWS
from tests.integration.marts.warehouse_kit import Minute, Warehouse
from warehouse.claims import Claim
from warehouse.marts import MARTS
from warehouse.publish import refresh_freshness
from warehouse.tenants import TenantError, set_time_zone

ZONES = {"b": "Europe/Berlin", "k": "Asia/Kolkata", "u": "UTC"}
GRAINS = {"daily": "day", "weekly": "week", "monthly": "month"}
DIMENSIONS = {mart.name: mart.dimensions for mart in MARTS}
Shown = dict[tuple[Any, ...], int]


def local_start(grain: str, instant: datetime, zone: str) -> datetime:
    """The instant of the first midnight of the local period that holds ``instant``.

    A day that has begun goes on where the wall shows the one before again: clocks put back from a minute past midnight.
    """
    tz = ZoneInfo(zone)
    day = instant.astimezone(tz).date()
    if instant >= midnight(day + timedelta(days=1), tz):
        day += timedelta(days=1)
    first = {"day": day, "week": day - timedelta(days=day.weekday()), "month": day.replace(day=1)}[grain]
    return midnight(first, tz)


def midnight(day: date, tz: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), tz).astimezone(UTC)


def give_zones(warehouse: Warehouse, zones: dict[str, str]) -> None:
    for tenant, zone in zones.items():
        warehouse.rows("insert into ledger.tenants (tenant, time_zone) values (%s, %s)", (tenant, zone))


def model(minutes: list[Minute], mart: str, zones: dict[str, str]) -> Shown:
    sums: Shown = defaultdict(int)
    for m in minutes:
        grain = mart.rpartition("_")[2]
        dimensions = [each.removesuffix("_name") for each in DIMENSIONS[mart]]
        if grain == "hourly":
            start = m.minute.replace(minute=0)
        else:
            start = local_start(GRAINS[grain], m.minute, zones.get(m.tenant, "UTC"))
        sums[m.tenant, start, *(getattr(m, dimension) for dimension in dimensions)] += m.views
    return dict(sums)


def shown(warehouse: Warehouse) -> dict[str, Shown]:
    return {name: {key: row[0] for key, row in rows.items()} for name, rows in warehouse.marts().items()}


def expected(minutes: list[Minute], zones: dict[str, str]) -> dict[str, Shown]:
    return {mart: model(minutes, mart, zones) for mart in VIEWS}


def around(*midnights: datetime) -> list[datetime]:
    """The last minute before each and the first after."""
    return [m + timedelta(minutes=by) for m in midnights for by in (-1, 0)]


# Berlin's day of 25 hours, 25 October 2026, a Sunday: from 22:00 UTC of the 24th to 23:00 UTC of the 25th. Kolkata's
# days begin at 18:30 UTC. And the first of November, a Sunday too, in each of the three zones.
MINUTES = around(
    datetime(2026, 10, 24, 22, tzinfo=UTC),
    datetime(2026, 10, 25, 23, tzinfo=UTC),
    datetime(2026, 10, 25, 18, 30, tzinfo=UTC),
    datetime(2026, 10, 26, tzinfo=UTC),
    datetime(2026, 10, 31, 18, 30, tzinfo=UTC),
    datetime(2026, 10, 31, 23, tzinfo=UTC),
    datetime(2026, 11, 1, tzinfo=UTC),
)


def views_of(tenants: str, minutes: list[datetime]) -> list[Minute]:
    return [Minute(t, m, views=i + 1) for t in tenants for i, m in enumerate(minutes)]


def test_days_weeks_and_months_begin_at_the_tenants_midnight(warehouse: Warehouse) -> None:
    give_zones(warehouse, ZONES)
    first, second = MINUTES[::2], MINUTES[1::2]
    warehouse.load(views_of("bkux", first))
    warehouse.run()
    assert shown(warehouse) == expected(views_of("bkux", first), ZONES)
    # The other halves of the same hours: each run builds the two days that an hour lies in, and each whole.
    warehouse.load(views_of("bkux", second))
    warehouse.run()
    both = views_of("bkux", first) + views_of("bkux", second)
    assert shown(warehouse) == expected(both, ZONES)
    run_id = warehouse.claim(everything=True).run_id
    warehouse.gate("rollups", run_id)
    warehouse.build(run_id, full_refresh=True)
    assert warehouse.gate("marts", run_id).failures("stop") == {}
    assert set(warehouse.publish(run_id).rows.values()) <= {0}
    zones = "select distinct tenant, time_zone from marts.freshness order by 1"
    assert warehouse.rows(zones, role="READER") == [*sorted(ZONES.items()), ("x", "UTC")]


def test_an_hour_changes_both_days_that_it_lies_in(warehouse: Warehouse) -> None:
    give_zones(warehouse, ZONES)
    before, after = datetime(2026, 10, 25, 18, 29, tzinfo=UTC), datetime(2026, 10, 25, 18, 30, tzinfo=UTC)
    warehouse.load([Minute("k", before)])
    warehouse.run()
    warehouse.load([Minute("k", after, views=2)])
    warehouse.run()
    assert shown(warehouse) == expected([Minute("k", before), Minute("k", after, views=2)], ZONES)
    warehouse.load([], empty=[("k", after)])
    warehouse.run()
    assert shown(warehouse) == expected([Minute("k", before)], ZONES)
    assert warehouse.mart("region_daily", "marts_build") == warehouse.mart("region_daily")


def test_a_report_of_a_day_has_each_tenants_own(warehouse: Warehouse) -> None:
    give_zones(warehouse, ZONES)
    warehouse.load(views_of("ku", MINUTES))
    warehouse.run()
    for day in (date(2026, 10, 25), date(2026, 10, 26), date(2026, 11, 1)):
        (rows,) = read_day(warehouse.dsns["READER"], day, [m for m in MARTS if m.name == "region_daily"]).marts
        names = [column.name for column in rows.columns]
        found = {(row[names.index("tenant")], row[names.index("period_start")]) for row in rows.rows}
        assert found == {(t, midnight(day, ZoneInfo(ZONES[t]))) for t in "ku"}, day


def test_active_users_are_those_of_local_days_and_of_7_and_30_of_them(warehouse: Warehouse) -> None:
    give_zones(warehouse, ZONES)
    # Seven days later, of which one in Berlin has 23 hours: 168 hours after the first day began the eighth day runs.
    then, week_later = datetime(2026, 3, 28, 12, tzinfo=UTC), datetime(2026, 4, 4, 12, tzinfo=UTC)
    row = {"region": "DE", "channel": "ads", "plan": "free", "signups": 1}
    for tenant in "bku":
        warehouse.load_rows(
            "signup",
            [
                {"tenant": tenant, "minute": then, "users": [1], **row},
                {"tenant": tenant, "minute": week_later, "users": [2], **row},
            ],
        )
    warehouse.run()
    found = warehouse.rows(
        "select tenant, period_start, daily_active_users, weekly_active_users, monthly_active_users"
        " from marts.user_activity_daily order by 1, 2",
        role="READER",
    )
    expected_of = [(1, 1, 1), *[(0, 1, 1)] * 6, (1, 1, 2)]
    assert found == [
        (t, midnight(then.date() + timedelta(days=n), ZoneInfo(ZONES[t])), *counts)
        for t in "bku"
        for n, counts in enumerate(expected_of)
    ]


def test_a_change_of_zone_rebuilds_everything_of_the_tenant_and_shows_no_mixture(warehouse: Warehouse) -> None:
    minutes = views_of("ku", MINUTES)
    warehouse.load(minutes)
    warehouse.run()
    warehouse.rows("insert into ledger.tenants (tenant) values ('k')")
    before = expected(minutes, {})
    assert shown(warehouse) == before

    # A run has claimed when the zone is changed: what it builds and publishes is of the old zone, whole.
    warehouse.load([Minute("k", MINUTES[0], views=40)])
    changed = [Minute("k", MINUTES[0], views=40), *(m for m in minutes if (m.tenant, m.minute) != ("k", MINUTES[0]))]
    old_run = warehouse.claim().run_id
    assert set_time_zone(warehouse.dsns["WAREHOUSE"], "k", "Asia/Kolkata")
    assert not set_time_zone(warehouse.dsns["WAREHOUSE"], "k", "Asia/Kolkata")
    warehouse.build(old_run)
    warehouse.pass_gates(old_run)
    warehouse.publish(old_run)
    assert shown(warehouse) == expected(changed, {})

    claim = warehouse.claim()
    assert claim.switched == ("k",) and claim.tenants == ("k",)
    assert warehouse.rows("select distinct cause from ledger.unpublished") == [("time zone",)]
    warehouse.gate("rollups", claim.run_id)
    warehouse.build(claim.run_id)
    assert warehouse.gate("marts", claim.run_id).failures("stop") == {}
    assert shown(warehouse) == expected(changed, {})
    refresh_freshness(warehouse.dsns["PUBLISHER"])
    zone = "select distinct time_zone from marts.freshness where tenant = 'k'"
    assert warehouse.rows(zone, role="READER") == [("UTC",)]
    warehouse.publish(claim.run_id)
    assert shown(warehouse) == expected(changed, {"k": "Asia/Kolkata"})
    assert warehouse.rows(zone, role="READER") == [("Asia/Kolkata",)]
    assert warehouse.rows("select count(*) from ledger.unpublished") == [(0,)]
    # And what was built beside is as what is shown: nothing of the old zone stays there.
    for mart in VIEWS:
        assert warehouse.mart(mart, "marts_build") == warehouse.mart(mart)
    assert warehouse.claim().switched == ()


@pytest.mark.parametrize(
    ("zone", "instant"),
    [
        # The last day of May, a Sunday: in Kolkata the day, week and month after.
        ("Asia/Kolkata", datetime(2026, 5, 31, 20, tzinfo=UTC)),
        # A Wednesday: week and month began in UTC when in St. John's the week and month before still ran.
        ("America/St_Johns", datetime(2026, 6, 3, 12, tzinfo=UTC)),
    ],
)
def test_what_was_built_in_the_old_zone_and_never_published_is_gone_after_the_change(
    warehouse: Warehouse, zone: str, instant: datetime
) -> None:
    warehouse.rows("insert into ledger.tenants (tenant) values ('k')")
    minutes = [Minute("k", instant)]
    warehouse.load(minutes)
    warehouse.build(warehouse.claim().run_id)
    assert warehouse.mart("region_weekly", "marts_build")
    set_time_zone(warehouse.dsns["WAREHOUSE"], "k", zone)
    warehouse.run()
    assert shown(warehouse) == expected(minutes, {"k": zone})
    for mart in ("region_daily", "region_weekly", "region_monthly"):
        assert warehouse.mart(mart, "marts_build") == warehouse.mart(mart), mart


def test_a_zone_that_is_none_or_a_tenant_that_was_not_created_is_refused(warehouse: Warehouse) -> None:
    with pytest.raises(TenantError, match="not created"):
        set_time_zone(warehouse.dsns["WAREHOUSE"], "k", "Asia/Kolkata")
    give_zones(warehouse, {"k": "UTC"})
    for zone in ("Mars/Olympus", "posix/Asia/Kolkata", "+05:30"):
        with pytest.raises(TenantError, match="no time zone"):
            set_time_zone(warehouse.dsns["WAREHOUSE"], "k", zone)


INSTANTS = st.integers(0, 25 * 365 * 86_400).map(
    lambda seconds: datetime(2012, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
)
SOME_ZONES = st.sampled_from(
    ["Europe/Berlin", "America/St_Johns", "Asia/Kolkata", "Pacific/Chatham", "Atlantic/Azores", "America/Havana",
     "America/Sao_Paulo", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC"]
)  # fmt: skip


def transitions(zone: str, first: int = 2012, last: int = 2026) -> list[datetime]:
    """A minute before, at and after each change of the clock in these years."""
    tz, at, found = ZoneInfo(zone), datetime(first, 1, 1, tzinfo=UTC), []
    while at < datetime(last, 12, 31, tzinfo=UTC):
        later = at + timedelta(minutes=30)
        if at.astimezone(tz).utcoffset() != later.astimezone(tz).utcoffset():
            found += [later + timedelta(minutes=by) for by in (-91, -61, -31, -1, 0, 1, 29, 59, 89)]
        at = later
    return found


@pytest.fixture(scope="session")
def calendar(migrated: Warehouse) -> Any:
    with psycopg.connect(migrated.dsns["GATE"], autocommit=True) as connection:
        yield lambda query, *parameters: connection.execute(query, parameters).fetchone()


def check_periods(calendar: Any, zone: str, instant: datetime) -> None:
    for grain in ("day", "week", "month"):
        start, end, before = calendar(
            "select s, calendar.period_after(%s, s, %s),"
            " calendar.period_after(%s, calendar.period_after(%s, s, %s, -1), %s)"
            " from calendar.period_start(%s, %s::timestamptz, %s) as s",
            grain, zone, grain, grain, zone, zone, grain, instant, zone,
        )  # fmt: skip
        assert start == local_start(grain, instant, zone), (grain, zone, instant)
        assert start <= instant < end, (grain, zone, instant)
        assert end == local_start(grain, end, zone)
        assert before == start
        assert start.minute % 15 == 0 and start.second == 0  # quarter-hours of old minutes still add up
    (piece,) = calendar("select calendar.piece_start(%s::timestamptz, %s)", instant, zone)
    assert piece == max(instant.replace(minute=0, second=0, microsecond=0), local_start("day", instant, zone))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(zone=SOME_ZONES, instant=INSTANTS)
def test_the_warehouses_periods_are_those_of_the_tz_database(calendar: Any, zone: str, instant: datetime) -> None:
    check_periods(calendar, zone, instant)


@pytest.mark.parametrize(
    "zone", ["Europe/Berlin", "America/St_Johns", "Pacific/Chatham", "Atlantic/Azores", "America/Havana"]
)
def test_periods_hold_at_every_change_of_the_clock(calendar: Any, zone: str) -> None:
    for instant in transitions(zone)[-72:]:
        check_periods(calendar, zone, instant)


@pytest.mark.parametrize("zone", ["America/St_Johns", "America/Goose_Bay"])
def test_periods_hold_where_clocks_were_put_back_from_a_minute_past_midnight(calendar: Any, zone: str) -> None:
    """Until 2011: the day had begun for a minute when the wall showed the evening before once more."""
    for instant in transitions(zone, 2009, 2011):
        check_periods(calendar, zone, instant)
    begun, evening_again = datetime(2010, 11, 7, 2, 30, tzinfo=UTC), datetime(2010, 11, 7, 2, 45, tzinfo=UTC)
    if zone == "America/St_Johns":
        assert evening_again.astimezone(ZoneInfo(zone)).isoformat() == "2010-11-06T23:15:00-03:30"
        for instant in (begun, evening_again):
            assert calendar("select calendar.period_start('day', %s::timestamptz, %s)", instant, zone) == (begun,)


def test_a_zone_is_switched_when_no_publication_runs(warehouse: Warehouse) -> None:
    minutes = views_of("ku", MINUTES)
    warehouse.rows("insert into ledger.tenants (tenant) values ('k')")
    warehouse.load(minutes)
    old_run = warehouse.claim().run_id
    warehouse.build(old_run)
    warehouse.pass_gates(old_run)
    set_time_zone(warehouse.dsns["WAREHOUSE"], "k", "Asia/Kolkata")
    claims: list[Claim] = []
    running = threading.Thread(target=warehouse.publish, args=(old_run,))
    claiming = threading.Thread(target=lambda: claims.append(warehouse.claim()))
    with psycopg.connect(warehouse.dsns["WAREHOUSE"]) as blocker:
        blocker.execute("lock table ledger.publications in exclusive mode")  # the publication's last step
        running.start()
        warehouse.wait_until("select count(*) = 1 from pg_locks where not granted")
        claiming.start()
        # Not for a row that both want: before it has switched or marked anything.
        warehouse.wait_until("select count(*) = 1 from pg_locks where not granted and locktype = 'advisory'")
        blocker.rollback()
    running.join()
    claiming.join()
    assert shown(warehouse) == expected(minutes, {}), "what ran was published in the old zone, whole"
    zone = "select distinct time_zone from marts.freshness where tenant = 'k'"
    assert warehouse.rows(zone, role="READER") == [("UTC",)]
    (claim,) = claims
    assert claim.switched == ("k",)
    warehouse.build(claim.run_id)
    warehouse.pass_gates(claim.run_id)
    warehouse.publish(claim.run_id)
    assert shown(warehouse) == expected(minutes, {"k": "Asia/Kolkata"})
    assert warehouse.rows(zone, role="READER") == [("Asia/Kolkata",)]
