"""What Data quality says of rejected events, of numbers worked out by hand."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.integration.superset.marts_kit import Marts

HOUR = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)


def put_rejects(marts: Marts, hours_ago: int, reason: str, rejected: int, **values: Any) -> None:
    row = {"event_type": "purchase", "field": "/data/amount", "named": rejected, **values}
    at = f"{HOUR - timedelta(hours=hours_ago):%Y-%m-%d %H:%M}"
    marts.put("rejects_hourly", at, reason=reason, rejected=rejected, **row)


def put_arrivals(marts: Marts, hours_ago: int, landed: int, rejected: int, event_type: str = "purchase") -> None:
    at = f"{HOUR - timedelta(hours=hours_ago):%Y-%m-%d %H:%M}"
    marts.put("arrivals_hourly", at, event_type=event_type, landed=landed, duplicates=1, rejected=rejected)


@pytest.fixture
def known(marts: Marts) -> Marts:
    """Tenants ``t`` and ``u``, of which freshness knows purchases."""
    for tenant in ("t", "u"):
        marts.fresh(tenant, "2026-11-25 10:00", event_type="purchase")
    return marts


def test_where_nothing_was_rejected_every_hour_says_0(known: Marts) -> None:
    put_rejects(known, 1, "pattern", 3, tenant="u")
    rows = known.rows("rejects_by_hour", tenant=["t"])
    assert len(rows) == 7 * 24 + 1
    assert {(row["reason"], row["rejected"]) for row in rows} == {("nothing rejected", 0)}
    (row,) = known.rows("rejects_by_reason", tenant=["t"])
    assert (row["event_type"], row["reason"], row["rejected"]) == ("(all)", "nothing rejected", 0)
    (row,) = known.rows("arrivals_by_type", tenant=["t"])
    assert (row["event_type"], row["landed"], row["rejected"]) == ("purchase", 0, 0)
    for metric in ("rejected_last_day", "share_rejected_day", "share_rejected"):
        assert known.metric("arrivals_by_type", metric, tenant=["t"]) == 0


def test_an_hour_without_a_reject_is_0_under_the_most_frequent_reason(known: Marts) -> None:
    put_rejects(known, 1, "pattern", 3)
    put_rejects(known, 2, "required", 2)
    put_rejects(known, 3, "pattern", 1)
    rows = known.rows("rejects_by_hour", tenant=["t"])
    assert {row["reason"] for row in rows} == {"pattern", "required"}
    assert {row["reason"] for row in rows if not row["rejected"]} == {"pattern"}
    assert known.metric("rejects_by_hour", "rejected_sum", tenant=["t"]) == 6


def test_the_event_type_chosen_applies_to_reasons_and_arrivals(known: Marts) -> None:
    put_rejects(known, 1, "pattern", 3)
    put_rejects(known, 1, "required", 5, event_type="signup")
    put_arrivals(known, 1, 9, 3)
    put_arrivals(known, 1, 9, 5, "signup")
    chosen = {"tenant": ["t"], "event_type": ["signup"]}
    assert known.metric("rejects_by_hour", "rejected_sum", **chosen) == 5
    assert [row["reason"] for row in known.rows("rejects_by_reason", **chosen)] == ["required"]
    assert known.metric("arrivals_by_type", "rejected_sum", **chosen) == 5
    none = {"tenant": ["t"], "event_type": ["metric"]}
    assert {row["reason"] for row in known.rows("rejects_by_hour", **none)} == {"nothing rejected"}


def test_the_table_of_reasons_tells_keys_and_versions_apart(known: Marts) -> None:
    put_rejects(known, 1, "pattern", 3, key_id="k_a", schema_version="v1")
    put_rejects(known, 2, "pattern", 2, key_id="k_a", schema_version="v1")
    put_rejects(known, 1, "pattern", 5, key_id="k_b", schema_version="(none)")
    rows = known.rows("rejects_by_reason", tenant=["t"])
    assert sorted((row["key_id"], row["schema_version"], row["rejected"]) for row in rows) == [
        ("k_a", "v1", 5), ("k_b", "(none)", 5)
    ]  # fmt: skip
    assert known.metric("rejects_by_reason", "rejected_sum", tenant=["t"]) == 10


def test_a_share_is_of_all_that_came_in_and_only_a_day_is_of_the_last_day(known: Marts) -> None:
    put_arrivals(known, 1, 15, 5)
    put_arrivals(known, 30, 60, 20)
    put_arrivals(known, 200, 1000, 1000)
    of_t = {"tenant": ["t"]}
    assert known.metric("arrivals_by_type", "share_rejected_day", **of_t) == 0.25
    assert known.metric("arrivals_by_type", "share_rejected", **of_t) == 0.25
    assert known.metric("arrivals_by_type", "rejected_last_day", **of_t) == 5
    assert known.metric("arrivals_by_type", "rejected_sum", **of_t) == 25


def test_who_sees_no_load_sees_what_came_in(known: Marts) -> None:
    put_arrivals(known, 1, 15, 5)
    (row,) = known.rows("loads_by_hour")
    assert (row["tenant"], row["event_type"], row["events_read"], row["minutes_recomputed"]) == (
        "t",
        "purchase",
        15,
        None,
    )
    known.connection.execute(
        "insert into pg_temp.loads (tenant, event_type, started_at, events_read) values ('*', 'signup', now(), 7)"
    )
    assert [(row["tenant"], row["events_read"]) for row in known.rows("loads_by_hour")] == [("*", 7)]
