"""When a report is sent: not before its day is over and complete, and not never."""

import re
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from alerts.due import PATIENCE, Unsent, standing

DAY = date(2026, 11, 28)
MIDNIGHT = datetime(2026, 11, 29, tzinfo=ZoneInfo("America/Los_Angeles"))
MINUTE = timedelta(minutes=1)


def unsent(through: datetime | None, held: str | None = None, tenant: str = "acme") -> Unsent:
    return Unsent(tenant, DAY, MIDNIGHT, through, held)


def test_a_day_that_is_not_over_waits_for_its_end() -> None:
    """01:30 UTC, when it is half past five in the afternoon in California."""
    now = datetime(2026, 11, 29, 1, 30, tzinfo=UTC)
    found = standing([unsent(now)], now)
    assert (list(found.due), found.running) == ([], 1)
    assert found.why_not == "reports wait: 1 for their day to end"


@pytest.mark.parametrize("through", [None, MIDNIGHT - MINUTE])
def test_a_day_that_is_over_waits_for_its_numbers_and_says_so(through: datetime | None) -> None:
    found = standing([unsent(through)], MIDNIGHT + PATIENCE - MINUTE)
    assert list(found.due) == []
    assert "acme, 2026-11-28" in found.why_not
    assert ("not known" if through is None else "only through 2026-11-29 07:59 UTC") in found.why_not


def test_a_day_that_is_over_and_complete_is_sent_as_final() -> None:
    (due,) = standing([unsent(MIDNIGHT)], MIDNIGHT + MINUTE).due
    assert (due.tenant, due.day, due.preliminary) == ("acme", DAY, "")


@pytest.mark.parametrize(
    ("through", "held", "words"),
    [
        (None, None, "no collector has reported"),
        (MIDNIGHT - MINUTE, None, "complete only through 2026-11-29 07:59 UTC"),
        (MIDNIGHT - MINUTE, "views are not negative", "a failed check holds back .*views are not negative"),
    ],
)
def test_a_day_that_was_waited_for_long_enough_is_sent_as_preliminary_with_the_reason(
    through: datetime | None, held: str | None, words: str
) -> None:
    (due,) = standing([unsent(through, held)], MIDNIGHT + PATIENCE).due
    assert re.search(f"^12 hours after the day's end .*{words}", due.preliminary)


def test_many_that_wait_are_counted_and_a_few_are_named() -> None:
    found = standing([unsent(None, tenant=f"t{n}") for n in range(9)], MIDNIGHT)
    assert "9 for their numbers" in found.why_not
    assert "t2" in found.why_not
    assert "t3" not in found.why_not
