"""Hours to balance, put together to as few spans as they form."""

from datetime import UTC, datetime, timedelta

from books.balance import ranges

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def test_hours_that_follow_one_another_are_one_span() -> None:
    hours = [NOON + n * HOUR for n in (9, 3, 2, 1, -1)]
    assert ranges(hours) == [
        (NOON + 9 * HOUR, NOON + 10 * HOUR),
        (NOON + HOUR, NOON + 4 * HOUR),
        (NOON - HOUR, NOON),
    ]
    assert ranges([]) == []
