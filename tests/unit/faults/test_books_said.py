"""The books have to say what the auditor found and the sender was told; what they say otherwise is told."""

from collections import Counter
from datetime import UTC, datetime

import pytest

from books.show import NUMBERS
from tests.faults.audit import Audit, Landed, Rejected, Seen, audit
from tests.faults.bout import said_otherwise
from tests.faults.events import KnownEvents, Sort, reason_of, sort_of
from tests.faults.journal import Answer, Known, Sending
from tests.faults.observe import Books

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
EVENTS = KnownEvents(7, {"page_view": {}})
BAD, NAMELESS = (next(n for n in range(50) if sort_of(n) is sort) for sort in (Sort.BAD, Sort.NAMELESS))


@pytest.fixture
def found() -> Audit:
    """Of a good event that was sent three times, the last time in vain, one without an id, and a bad one."""
    known = Known([
        Sending(0, 1, NOON, answer=Answer.TAKEN), Sending(0, 1, NOON, again=True, answer=Answer.TAKEN),
        Sending(0, 1, NOON, again=True), Sending(NAMELESS, 1, NOON, answer=Answer.TAKEN),
        Sending(BAD, 1, NOON, answer=Answer.TAKEN),
    ])  # fmt: skip
    minted = ("page_view", EVENTS.time_of(NAMELESS, NOON))
    rows = [Landed(EVENTS.id_of(0), "c", 1), Landed(EVENTS.id_of(0), "c", 2), Landed("minted", "c", 3, minted)]
    bad = Rejected(EVENTS.id_of(BAD), reason_of(BAD), "c", 4)
    result = audit(EVENTS, known, Seen(rows, {("page_view", NOON): 2}, [bad]))
    assert result.findings == []
    return result


def books(**changed: int) -> Books:
    sums = {
        **dict.fromkeys(NUMBERS, 0),
        "acknowledged": 3, "landed": 3, "counted": 2, "duplicates": 1, "minted": 1, "rejected": 1,
    }  # fmt: skip
    return Books({**sums, **changed}, Counter({reason_of(BAD): 1}), [])


def test_books_that_say_what_is_there_are_right(found: Audit) -> None:
    assert said_otherwise(books(), found) == []
    assert said_otherwise(books(acknowledged=4), found) == [], "the answer to one send is not known"


@pytest.mark.parametrize(
    ("name", "said", "instead"),
    [
        ("acknowledged", 2, "3 to 4"),
        ("acknowledged", 5, "3 to 4"),
        ("landed", 2, "3"),
        ("counted", 3, "2"),
        ("duplicates", 0, "1"),
        ("copies", 1, "0"),
        ("collisions", 1, "0"),
        ("quarantined", 1, "0"),
        ("minted", 0, "1"),
        ("rejected", 0, "1"),
        ("unlanded", 2, "0 to 1"),
    ],
)
def test_what_the_books_say_otherwise_is_told(found: Audit, name: str, said: int, instead: str) -> None:
    assert said_otherwise(books(**{name: said}), found) == [f"{name}: {said}, not {instead}"]


def test_a_rejection_without_its_reason_is_told(found: Audit) -> None:
    without = books()._replace(reasons=Counter({"maxBytes": 1}))
    (told,) = said_otherwise(without, found)
    assert "maxBytes" in told
    assert reason_of(BAD) in told


def test_what_is_out_of_balance_is_told_too(found: Audit) -> None:
    assert said_otherwise(books()._replace(wrong=["rejected_unlanded: 1"]), found) == ["rejected_unlanded: 1"]
