"""Which receipts of the lake are read for collectors that lack cells: no more than may say something."""

from datetime import UTC, datetime

import pytest
from pyiceberg.expressions.parser import parse

from books.catch_up import _filter

SINCE = datetime(2026, 3, 1, tzinfo=UTC)
OF_KNOWN, OF_UNKNOWN = "collector_id in ('aa', 'bb')", "collector_id in ('cc', 'dd')"


@pytest.mark.parametrize(
    ("lacking", "unknown", "since", "wanted"),
    [
        (["aa", "bb"], [], SINCE, OF_KNOWN),
        (["aa", "bb"], ["cc", "dd"], None, f"{OF_KNOWN} or {OF_UNKNOWN}"),
        ([], ["cc", "dd"], SINCE, f"{OF_UNKNOWN} and at >= '2026-03-01T00:00:00+00:00'"),
        (
            ["aa", "bb"],
            ["cc", "dd"],
            SINCE,
            f"{OF_KNOWN} or ({OF_UNKNOWN} and at >= '2026-03-01T00:00:00+00:00')",
        ),
    ],
)
def test_of_collectors_that_nobody_knows_old_receipts_are_not_read_every_five_minutes(
    lacking: list[str], unknown: list[str], since: datetime | None, wanted: str
) -> None:
    assert parse(_filter(lacking, unknown, since)) == parse(wanted)
