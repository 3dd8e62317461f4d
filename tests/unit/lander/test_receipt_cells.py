"""What a receipt says of cells and ranges is taken as the collector writes it, and as nothing else."""

import json
from typing import Any

import pytest

from collector.land_cells import said

CELL = {
    "tenant": "acme", "event_type": None, "received_hour": "2026-11-29T14:00:00.000000Z", "accepted": 0, "rejected": 2,
    "minted": 0,
}  # fmt: skip


def read(cell: dict[str, Any] | None = None, void: object = (), in_doubt: object = ()) -> Any:
    return said(json.dumps([CELL | (cell or {})]), json.dumps(void), json.dumps(in_doubt))


def test_ranges_are_said_as_postgres_writes_them() -> None:
    found = read(void=[[1, 3], [7, 7]])
    assert (found.void, found.in_doubt) == ("{[1,3],[7,7]}", "{}")
    assert (found.cells[0].event_type, found.cells[0].rejected) == (None, 2)


@pytest.mark.parametrize(
    "wrong",
    [
        {"cell": {"tenant": "a\0b"}},
        {"cell": {"accepted": -1}},
        {"cell": {"rejected": 2**63}},
        {"cell": {"received_hour": "2026-11-29T14:00:00"}},
        {"cell": {"received_hour": "9999-12-31T23:00:00-12:00"}},
        {"void": [[3, 1]]},
        {"void": [[0, 1]]},
        {"in_doubt": [[1, 2**63 - 1]]},
        {"in_doubt": "1-2"},
    ],
)
def test_what_no_collector_writes_is_refused_before_the_database_would(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        read(**wrong)


def test_levels_without_end_are_refused_like_anything_else() -> None:
    with pytest.raises(ValueError):
        said('[{"nobody knows it": ' + "[" * 100_000, "[]", "[]")
