"""The auditor sees each way in which an event can be lost, doubled or miscounted; where all is well it says nothing."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.faults.audit import Audit, Landed, Rejected, Seen, audit
from tests.faults.events import KnownEvents, Sort, reason_of, sort_of
from tests.faults.journal import Answer, Known, Sending

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
EVENTS = KnownEvents(7, {"page_view": {}, "purchase": {}})
TAKEN, UNKNOWN, REFUSED = Answer.TAKEN, Answer.UNKNOWN, Answer.REFUSED
NUMBERS = range(1000)
ONE, OTHER = (number for number in (0, 2) if sort_of(number) is Sort.GOOD)
"""Two good ones of one type."""
NAMELESS = next(number for number in NUMBERS if sort_of(number) is Sort.NAMELESS)
BAD = next(number for number in NUMBERS if sort_of(number) is Sort.BAD)


def row(number: int, sequence: int) -> Landed:
    """The event's row in the lake, as a collector that took it makes it."""
    if sort_of(number) is not Sort.NAMELESS:
        return Landed(EVENTS.id_of(number), "c", sequence)
    minted = (EVENTS.type_of(number), EVENTS.time_of(number, NOON))
    return Landed(f"minted-{sequence}", "c", sequence, minted)


def rejected(number: int, sequence: int) -> Rejected:
    """Its row among the rejected ones."""
    return Rejected(f'{{"event_id": "{EVENTS.id_of(number)}"', reason_of(number), "c", sequence)


def shown(numbers: Iterable[int]) -> Counter[tuple[str, datetime]]:
    """The rollups of events that are counted once each."""
    return Counter((EVENTS.type_of(number), NOON) for number in numbers)


def judged(
    sends: Sequence[tuple[int, Answer]],
    rows: Sequence[tuple[int, int]] = (),
    bad: Sequence[tuple[int, int]] = (),
    counted: Sequence[int] | None = None,
    **options: Any,
) -> Audit:
    """``sends``: each send of an event, with its answer; ``rows``, ``bad``: number and sequence in the lake, and among
    its rejected events; ``counted``: numbers, by default those that landed, once.
    """
    sent: set[int] = set()
    known = Known()
    for number, answer in sends:
        known.sendings.append(Sending(number, 1, NOON, again=number in sent, answer=answer))
        sent.add(number)
    numbers = {number for number, _ in rows} if counted is None else counted
    seen = Seen([row(*one) for one in rows], shown(numbers), [rejected(*one) for one in bad])
    return audit(EVENTS, known, seen, **options)


def test_all_that_was_taken_is_there_once_and_what_nobody_knows_of_may_be() -> None:
    result = judged([(0, TAKEN), (1, TAKEN), (2, UNKNOWN), (3, UNKNOWN), (4, REFUSED)], [(0, 1), (1, 2), (2, 3)])
    assert result.findings == []
    assert (result.sent, result.taken, result.unknown, result.refused) == (5, 2, 2, 1)
    assert (result.landed, result.landed_unknown, result.counted) == (3, 1, 3)


@pytest.mark.parametrize(
    ("sends", "rows", "counted", "finding"),
    [
        ([(0, TAKEN), (1, TAKEN)], [(0, 1)], None, "1 acknowledged and not in the lake as often as that: 1"),
        ([(0, TAKEN)], [(0, 1), (0, 2)], None, "1 in the lake more often than they were sent: 0"),
        ([(0, UNKNOWN)], [(0, 1), (0, 2)], None, "1 in the lake more often than they were sent: 0"),
        ([(0, REFUSED)], [(0, 1)], [], "1 in the lake, though nobody sent them or they were refused"),
        ([(0, TAKEN)], [(0, 1), (8, 2)], [0], "1 in the lake, though nobody sent them or they were refused"),
        ([(0, TAKEN)], [(0, 1)], [0, 0], "page_view 2026-03-01T12:00: 1 landed, 2 counted"),
        ([(0, TAKEN)], [(0, 1)], [], "page_view 2026-03-01T12:00: 1 landed, 0 counted"),
        ([(0, TAKEN), (1, TAKEN)], [(0, 1), (1, 2)], [0, 0], "purchase 2026-03-01T12:00: 1 landed, 0 counted"),
    ],
    ids=["lost", "doubled", "doubled unknown", "refused", "stranger", "counted twice", "not counted", "miscounted"],
)
def test_what_must_not_be_is_found(
    sends: list[tuple[int, Answer]], rows: list[tuple[int, int]], counted: list[int] | None, finding: str
) -> None:
    result = judged(sends, rows, counted=counted)
    assert any(finding in found for found in result.findings), result.findings


AGAIN = [(ONE, UNKNOWN), (ONE, TAKEN), (ONE, UNKNOWN)]


@pytest.mark.parametrize("arrivals", [1, 2, 3])
def test_what_was_sent_again_is_there_for_each_answer_and_counts_once(arrivals: int) -> None:
    result = judged(AGAIN, [(ONE, sequence) for sequence in range(arrivals)])
    assert result.findings == []
    assert (result.sent, result.taken, result.unknown, result.landed, result.counted) == (1, 1, 0, 1, 1)
    assert result.duplicates == arrivals - 1
    assert result.books["landed"] == range(arrivals, arrivals + 1)
    assert result.books["duplicates"] == range(arrivals - 1, arrivals)
    assert result.books["acknowledged"] == range(1, 4)


@pytest.mark.parametrize(
    ("sends", "arrivals", "counted", "finding"),
    [
        (AGAIN, 4, None, "1 in the lake more often than they were sent"),
        (AGAIN, 0, None, "1 acknowledged and not in the lake as often as that"),
        ([(ONE, TAKEN), (ONE, TAKEN)], 1, None, "1 acknowledged and not in the lake as often as that"),
        (AGAIN, 2, [ONE, ONE], "1 landed, 2 counted"),
        (AGAIN, 2, [], "1 landed, 0 counted"),
    ],
    ids=["more than sent", "lost", "one of two lost", "counted twice", "not counted"],
)
def test_what_must_not_come_of_sending_again_is_found(
    sends: list[tuple[int, Answer]], arrivals: int, counted: list[int] | None, finding: str
) -> None:
    result = judged(sends, [(ONE, sequence) for sequence in range(arrivals)], counted=counted)
    assert any(finding in found for found in result.findings), result.findings


def test_a_bad_event_is_rejected_as_often_as_it_was_answered_and_nowhere_else() -> None:
    result = judged([(BAD, UNKNOWN), (BAD, TAKEN), (ONE, TAKEN)], [(ONE, 1)], bad=[(BAD, 2), (BAD, 3), (BAD, 3)])
    assert result.findings == []
    assert (result.sent, result.taken, result.unknown, result.rejected, result.landed) == (2, 1, 0, 1, 1)
    assert result.reasons == {reason_of(BAD): 2}, "a copy is one rejection"
    assert result.books["rejected"] == range(1, 3)
    assert result.books["acknowledged"] == range(1, 2)


@pytest.mark.parametrize(
    ("sends", "rows", "bad", "counted", "finding"),
    [
        ([(BAD, TAKEN)], [(BAD, 1)], [(BAD, 1)], [], "1 in the lake, though nobody sent them or they were refused"),
        ([(BAD, TAKEN)], [], [(BAD, 1)], [BAD], "0 landed, 1 counted"),
        ([(BAD, TAKEN)], [], [], None, "1 rejected, and not in the lake as often as that"),
        ([(BAD, TAKEN), (BAD, TAKEN)], [], [(BAD, 1)], None, "1 rejected, and not in the lake as often as that"),
        ([(BAD, TAKEN)], [], [(BAD, 1), (BAD, 2)], None, "1 in the lake as rejected more often than they were sent"),
        ([(ONE, TAKEN)], [(ONE, 1)], [(ONE, 2)], None, "1 in the lake as rejected, though they were good"),
        ([(BAD, REFUSED)], [], [(BAD, 1)], None, "1 in the lake as rejected, though they were good, or nobody"),
    ],
    ids=["landed", "counted", "missing", "one of two missing", "twice", "a good one", "refused as a whole"],
)
def test_what_must_not_come_of_a_bad_event_is_found(
    sends: list[tuple[int, Answer]],
    rows: list[tuple[int, int]],
    bad: list[tuple[int, int]],
    counted: list[int] | None,
    finding: str,
) -> None:
    result = judged(sends, rows, bad, counted)
    assert any(finding in found for found in result.findings), result.findings


def test_a_bad_event_that_is_rejected_for_another_reason_is_found() -> None:
    seen = Seen([], {}, [replace(rejected(BAD, 1), reason="maxBytes")])
    result = audit(EVENTS, Known([Sending(BAD, 1, NOON, answer=TAKEN)]), seen)
    assert result.findings == [
        f"1 rejected for another reason than they have: {BAD}: maxBytes, not {reason_of(BAD)}",
    ]


def test_an_event_without_an_id_is_known_by_its_time() -> None:
    result = judged([(NAMELESS, TAKEN)], [(NAMELESS, 1), (NAMELESS, 1)])
    assert (result.findings, result.minted, result.copies) == ([], 1, 1)
    assert result.books["minted"] == range(1, 2)
    assert judged([(NAMELESS, UNKNOWN)]).findings == []


@pytest.mark.parametrize(
    ("answer", "arrivals", "counted", "finding"),
    [
        (TAKEN, 0, None, "1 acknowledged and not in the lake as often as that"),
        (TAKEN, 2, None, "1 in the lake more often than they were sent"),
        (UNKNOWN, 2, None, "1 in the lake more often than they were sent"),
        (TAKEN, 1, [], "1 landed, 0 counted"),
        (TAKEN, 1, [NAMELESS, NAMELESS], "1 landed, 2 counted"),
        (REFUSED, 1, [], "1 in the lake, though nobody sent them or they were refused"),
    ],
    ids=["missing", "twice", "twice, unknown", "not counted", "counted twice", "refused"],
)
def test_what_must_not_come_of_an_event_without_an_id_is_found(
    answer: Answer, arrivals: int, counted: list[int] | None, finding: str
) -> None:
    result = judged([(NAMELESS, answer)], [(NAMELESS, sequence) for sequence in range(arrivals)], counted=counted)
    assert any(finding in found for found in result.findings), result.findings


def test_an_id_was_made_for_nobody_else() -> None:
    known = Known([Sending(ONE, 1, NOON, answer=TAKEN)])
    stranger = replace(row(ONE, 1), minted=("page_view", NOON))
    result = audit(EVENTS, known, Seen([row(ONE, 1), stranger], shown([ONE])))
    assert result.findings == [
        f"1 in the lake, though nobody sent them or they were refused: {EVENTS.id_of(ONE)}",
    ]


def test_a_message_that_is_in_the_lake_twice_is_a_copy_and_counts_once() -> None:
    result = judged([(0, TAKEN)], [(0, 1), (0, 1)])
    assert (result.copies, result.landed, result.findings) == (1, 1, [])
    assert result.books["duplicates"] == range(1, 2), "the books have copies among the duplicates"


def test_what_was_deleted_on_purpose_is_no_finding_and_other_types_are() -> None:
    sends = [(number, TAKEN) for number in (0, 1, 2, 3, ONE)]
    result = judged(sends, [(2, 1)], gone="page_view")
    assert result.gone == 2, "one of them was taken twice"
    assert result.books["unlanded"] == range(2, 3)
    assert result.findings == ["2 acknowledged and not in the lake as often as that: 1, 3"]
