"""What Data quality says of numbers that changed after they were final."""

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.integration.superset.marts_kit import Marts

NOW = datetime.now(UTC)


def put(marts: Marts, mart: str, period: str, *, days_ago: float = 1, **values: Any) -> None:
    """A row that was restated, and its period."""
    of_period = {
        "tenant": "t", "mart": mart, "period_start": f"{period}+00", "restated_at": NOW - timedelta(days=days_ago),
        "cause": "late",
    }  # fmt: skip
    row = of_period | {"key": '{"region": "DE", "page_name": "/"}', "changes": "page_views 4 → 5"} | values
    for table, names in (("newest_restatements", row.keys()), ("restated_periods", of_period.keys())):
        columns, marks = ", ".join(names), ", ".join(["%s"] * len(names))
        marts.connection.execute(
            f"insert into pg_temp.{table} ({columns}) values ({marks})".encode(), [row[name] for name in names]
        )


def test_without_a_restatement_the_tile_says_0_and_the_table_says_so(marts: Marts) -> None:
    marts.fresh("t", "2026-11-25 10:00")
    put(marts, "region_daily", "2026-11-01 00:00", tenant="u")
    put(marts, "region_daily", "2026-11-01 00:00", days_ago=8)
    assert marts.metric("restated_periods", "periods_restated", tenant=["t"]) == 0
    assert [row["cause"] for row in marts.rows("restated_periods", tenant=["t"])] == ["(none)"]
    (row,) = marts.rows("restated_rows", tenant=["t"])
    assert (row["mart"], row["changes"]) == ("(all)", "nothing restated")


def test_a_restatement_is_shown_with_its_row_numbers_and_cause_and_its_period_counted_once(marts: Marts) -> None:
    marts.fresh("t", "2026-11-25 10:00")
    put(marts, "page_region_daily", "2026-11-01 00:00")
    put(marts, "page_region_daily", "2026-11-01 00:00", changes="page_views 5 → 7", cause="repair", days_ago=0.5)
    put(marts, "region_hourly", "2026-11-01 13:00", key='{"region": "DE"}')
    assert marts.metric("restated_periods", "periods_restated", tenant=["t"]) == 2
    assert marts.metric("restated_periods", "periods_restated", "cause = 'repair'", tenant=["t"]) == 0, "not the first"
    rows = sorted(marts.rows("restated_rows", tenant=["t"]), key=lambda row: row["restated_at"], reverse=True)
    assert [(row["period"], row["row_key"], row["changes"], row["cause"]) for row in rows][:1] == [
        ("2026-11-01", "/, DE", "page_views 5 → 7", "repair")
    ]
    assert {row["period"] for row in rows} == {"2026-11-01", "2026-11-01 13:00 UTC"}


def test_days_are_those_of_the_tenant(marts: Marts) -> None:
    marts.fresh("t", "2026-11-25 10:00", time_zone="Asia/Kolkata")
    put(marts, "region_daily", "2026-11-01 18:30")
    assert [row["period"] for row in marts.rows("restated_rows", tenant=["t"])] == ["2026-11-02"]


def test_each_dashboard_says_how_many_of_its_closed_periods_changed(marts: Marts) -> None:
    for event_type in ("page_view", "purchase", "refund"):
        marts.fresh("t", "2026-11-25 10:00", complete=datetime.now(UTC), event_type=event_type)
    put(marts, "region_daily", "2026-11-01 00:00")
    put(marts, "region_daily", "2026-11-01 00:00", cause="repair")
    put(marts, "page_region_hourly", "2026-11-01 13:00")
    put(marts, "revenue_daily", "2026-11-01 00:00")
    put(marts, "revenue_daily", "2026-11-02 00:00", days_ago=8)
    put(marts, "revenue_daily", "2026-11-02 00:00", tenant="u")
    states = {row["family"]: row["state"] for row in marts.rows("data_freshness", tenant=["t"])}
    assert states["Page views"] == "Complete; 2 restated, 7 days"
    assert states["Revenue"] == "Complete; 1 restated, 7 days"
    (row,) = marts.rows("page_views_freshness", tenant=["t"])
    assert row["state"] == states["Page views"]


def test_a_dashboard_of_which_nothing_changed_says_nothing_of_it(marts: Marts) -> None:
    marts.fresh("t", "2026-11-25 10:00", complete=datetime.now(UTC))
    put(marts, "revenue_daily", "2026-11-01 00:00")
    (row,) = marts.rows("page_views_freshness", tenant=["t"])
    assert row["state"] == "Complete"
