"""What does not balance is told, but for the messages that were deleted on purpose."""

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.faults.observe import WRONG, wrong_in

HOUR = datetime(2026, 3, 1, 12, tzinfo=UTC)


def row(type_: str, **numbers: Any) -> dict[str, Any]:
    return {"type": type_, "received_hour": HOUR, "balanced": not numbers, **dict.fromkeys(WRONG, 0), **numbers}


@pytest.mark.parametrize(
    ("rows", "wrong"),
    [
        ([row("page_view"), row("purchase")], []),
        ([row("page_view", unlanded=3), row("purchase")], []),
        ([row("page_view"), row("purchase", unlanded=3)], ["unlanded: 3", "out of balance: purchase 2026-03-01T12"]),
        ([row("page_view", unlanded=3, not_loaded=1)], ["not_loaded: 1"]),
        ([row("page_view", missing=2)], ["missing: 2", "out of balance: page_view 2026-03-01T12"]),
    ],
    ids=["all balances", "what was deleted", "another type's loss", "more than was deleted", "something else"],
)
def test_only_what_was_deleted_may_be_unlanded(rows: list[dict[str, Any]], wrong: list[str]) -> None:
    assert wrong_in(rows, gone="page_view") == wrong
