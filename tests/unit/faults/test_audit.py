"""The auditor sees each way in which an event can be lost, doubled or miscounted; where all is well it says nothing."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from tests.faults.audit import Audit, Landed, Seen, audit
from tests.faults.events import KnownEvents
from tests.faults.journal import Answer, Known

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
EVENTS = KnownEvents(7, {"page_view": {}, "purchase": {}})
TAKEN, UNKNOWN, REFUSED = Answer.TAKEN, Answer.UNKNOWN, Answer.REFUSED


def judged(answers: Sequence[Answer], rows: Sequence[tuple[int, int]], counted: Sequence[int] | None = None) -> Audit:
    """``rows``: number and sequence of each row of the lake; ``counted``: numbers, by default those that landed."""
    known = Known(bytearray(answers), [(0, len(answers), NOON)])
    numbers = {number for number, _ in rows} if counted is None else counted
    shown = Counter((EVENTS.type_of(number), NOON) for number in numbers)
    return audit(EVENTS, known, Seen([Landed(EVENTS.id_of(n), "c", s) for n, s in rows], shown))


def test_all_that_was_taken_is_there_once_and_what_nobody_knows_of_may_be() -> None:
    result = judged([TAKEN, TAKEN, UNKNOWN, UNKNOWN, REFUSED], [(0, 1), (1, 2), (2, 3)])
    assert result.findings == []
    assert (result.sent, result.taken, result.unknown, result.refused) == (5, 2, 2, 1)
    assert (result.landed, result.landed_unknown, result.counted) == (3, 1, 3)


@pytest.mark.parametrize(
    ("answers", "rows", "counted", "finding"),
    [
        ([TAKEN, TAKEN], [(0, 1)], None, "1 acknowledged and not in the lake: 1"),
        ([TAKEN], [(0, 1), (0, 2)], None, "1 taken twice, though they were sent once: 0"),
        ([UNKNOWN], [(0, 1), (0, 2)], None, "1 taken twice, though they were sent once: 0"),
        ([REFUSED], [(0, 1)], [], "1 in the lake, though nobody sent them or they were refused"),
        ([TAKEN], [(0, 1), (8, 2)], [0], "1 in the lake, though nobody sent them or they were refused"),
        ([TAKEN], [(0, 1)], [0, 0], "page_view 2026-03-01T12:00: 1 landed, 2 counted"),
        ([TAKEN], [(0, 1)], [], "page_view 2026-03-01T12:00: 1 landed, 0 counted"),
        ([TAKEN, TAKEN], [(0, 1), (1, 2)], [0, 0], "purchase 2026-03-01T12:00: 1 landed, 0 counted"),
    ],
    ids=["lost", "doubled", "doubled unknown", "refused", "stranger", "counted twice", "not counted", "miscounted"],
)
def test_what_must_not_be_is_found(
    answers: list[Answer], rows: list[tuple[int, int]], counted: list[int] | None, finding: str
) -> None:
    result = judged(answers, rows, counted)
    assert any(finding in found for found in result.findings), result.findings


def test_a_message_that_is_in_the_lake_twice_is_a_copy_and_counts_once() -> None:
    result = judged([TAKEN], [(0, 1), (0, 1)])
    assert (result.copies, result.landed, result.findings) == (1, 1, [])


def test_events_of_other_loads_are_none_of_these() -> None:
    assert EVENTS.number_of(KnownEvents(8, EVENTS.samples).id_of(3)) is None
    assert EVENTS.number_of(EVENTS.id_of(10**11)) == 10**11


def test_what_was_deleted_on_purpose_is_no_finding_and_other_types_are() -> None:
    known = Known(bytearray([TAKEN] * 4), [(0, 4, NOON)])
    result = audit(EVENTS, known, Seen([Landed(EVENTS.id_of(2), "c", 1)], {("page_view", NOON): 1}), gone="page_view")
    assert result.gone == 1
    assert result.findings == ["2 acknowledged and not in the lake: 1, 3"]
