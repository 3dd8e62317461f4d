"""Which rollup row an event counts in and what it adds there, said from the contract alone."""

from decimal import Decimal
from typing import Any

import pytest

from contracts.parse import HERE
from tests.unit.tracing.trace_kit import PURCHASE, REGISTRY, row
from tracing.key import ROUTE_ID, adds, mart_key, rollup_key
from warehouse.marts import MARTS

MART = {mart.name: mart for mart in MARTS}


def test_an_event_counts_in_the_row_of_its_dimensions() -> None:
    assert rollup_key(row(), PURCHASE) == {"region": "DE", "currency": "EUR", "app_id": "app-1"}
    assert adds(row(), PURCHASE) == {"revenue": Decimal("19.9000"), "purchases": 1, "quantity": 2, "buyers": 77}


def test_over_the_cap_only_capped_dimensions_are_other() -> None:
    assert rollup_key(row(), PURCHASE, over_cap=True) == {"region": "DE", "currency": "EUR", "app_id": "(other)"}


def test_what_is_absent_has_the_name_that_the_rollup_gives_it() -> None:
    page_view = REGISTRY.newest("page_view")
    assert rollup_key({"page_name": None, "region": None}, page_view) == {"region": "ZZ", "page_name": "(none)"}
    request = REGISTRY.newest("request_log")
    assert rollup_key({}, request)["status"] == -1


@pytest.mark.parametrize(
    ("is_bot", "added"),
    [
        (None, {"page_views": 1, "visitors": 5}),
        (False, {"page_views": 1, "visitors": 5}),
        (True, {"bot_page_views": 1}),
    ],
)
def test_a_measure_counts_only_what_its_condition_holds_for(is_bot: bool | None, added: dict[str, int]) -> None:
    found = adds({"is_bot": is_bot, "visitor_id": "v", "visitor_id_hash": 5}, REGISTRY.newest("page_view"))
    assert found == added


@pytest.mark.parametrize(
    ("status", "duration", "counted"),
    [
        (200, 500, {"timed", "satisfied"}),
        (200, 501, {"timed", "tolerating"}),
        (499, 2001, {"client_errors", "timed"}),
        (500, 3, {"errors", "timed"}),
        (200, None, set()),
    ],
)
def test_ranges_are_held_to_their_ends(status: int, duration: int | None, counted: set[str]) -> None:
    found = adds({"status": status, "duration_ms": duration}, REGISTRY.newest("request_log"))
    assert found.keys() - {"requests", "duration_ms", "duration_sum"} == counted


def test_what_points_to_a_person_is_told_as_its_hash_only() -> None:
    created = REGISTRY.newest("app_created")
    assert adds({"developer_id": "jane", "developer_id_hash": 9}, created) == {"apps": 1, "developer": 9}
    assert "u-1" not in adds(row(), PURCHASE).values()


def test_a_mart_has_the_rollups_dimensions_and_a_rank_both_ways() -> None:
    rollup = rollup_key(row(), PURCHASE)
    assert mart_key(MART["app_daily"], rollup) == {"app_id": ("app-1",), "region": ("DE",)}
    assert mart_key(MART["popular_apps_daily"], rollup) == {"app_id": ("app-1",), "currency": ("EUR", "(all)")}
    assert mart_key(MART["user_activity_daily"], rollup) == {}


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/orders/12/lines/7", "/orders/{id}/lines/{id}"),
        ("/u/6D1C1C64-6c39-4a44-9a6f-0d6a6d4f7a10", "/u/{id}"),
        ("/v1/0123456789abcdef", "/v1/{id}"),
        ("/v1/12a/", "/v1/12a/"),
    ],
)
def test_a_route_is_a_path_without_ids(path: str, route: str) -> None:
    rollup: dict[str, Any] = {"service": "s", "method": "GET", "path": path, "status": 200, "region": "DE"}
    assert mart_key(MART["request_hourly"], rollup)["route"] == (route,)


def test_what_an_id_in_a_path_is_is_the_same_here_and_in_dbt() -> None:
    model = (HERE.parent / "dbt_project" / "models" / "intermediate" / "int_requests_minute.sql").read_text()
    assert f"'{ROUTE_ID}'" in model
