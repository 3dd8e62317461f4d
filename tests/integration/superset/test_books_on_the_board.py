"""What Data quality says of the books: red is what is closed, does not balance, and nobody signed off."""

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.integration.superset.marts_kit import Marts

HOUR = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)


def put(marts: Marts, hours_ago: int, unlanded: int, **values: Any) -> None:
    at = f"{HOUR - timedelta(hours=hours_ago):%Y-%m-%d %H:%M}"
    row = {"event_type": "purchase", "acknowledged": 9, "unlanded": unlanded, "closed": True, "balanced": not unlanded}
    marts.put("books_hourly", at, **{**row, **values})


def test_without_an_hour_out_of_balance_the_tiles_say_0(marts: Marts) -> None:
    put(marts, 2, 0)
    for metric in ("hours_out_of_balance", "events_unlanded"):
        assert marts.metric("books_by_hour", metric, tenant=["t"]) == 0
        assert marts.metric("books_by_hour", metric, tenant=["u"]) == 0


def test_red_is_what_is_closed_and_does_not_balance_however_old_until_it_is_signed_off(marts: Marts) -> None:
    put(marts, 2, 3)
    put(marts, 24 * 30, 4)
    put(marts, 24 * 31, 0)
    put(marts, 0, 5, closed=False)
    put(marts, 3, 6, signed_off_at=HOUR, signed_off_by="ann")
    put(marts, 4, 7, tenant="u")
    assert marts.metric("books_by_hour", "hours_out_of_balance", tenant=["t"]) == 2
    assert marts.metric("books_by_hour", "events_unlanded", tenant=["t"]) == 7
    rows = marts.rows("books_by_hour", tenant=["t"])
    assert sorted((row["unlanded"], row["state"]) for row in rows) == [
        (3, "does not balance"),
        (4, "does not balance"),
        (5, "open"),
        (6, "signed off by ann"),
    ]
    assert marts.rows("books_by_hour", tenant=["t"], event_type=["signup"]) == []
