"""Known events are what they are said to be, by the collector's own judgement of the body that is sent."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from collector.keys import KeyKind, WriteKey
from collector.parse import Limits, parse
from collector.verdict import Accepted, Judge, Rejected, Source
from contracts.registry import Registry
from contracts.validate import EventValidator
from tests.faults.events import REASONS, KnownEvents, Sort, numbers_of, reason_of, samples, sort_of

NOW = datetime(2026, 3, 1, 12, 0, 0, 7000, tzinfo=UTC)
REGISTRY = Registry.load()
EVENTS = KnownEvents(0x1234ABCD, samples(REGISTRY))
ALL = range(31 * 37 * len(REASONS))


@pytest.fixture(scope="module")
def verdicts() -> dict[int, Accepted | Rejected]:
    """By number, that of a collector at ``NOW`` on a batch in which it was among others."""
    judge = Judge(EventValidator(REGISTRY), timedelta(minutes=5), timedelta(hours=48))
    source = Source(WriteKey("id", "tenant", KeyKind.SERVER, "", NOW.isoformat()), round(NOW.timestamp() * 1e6))
    found: dict[int, Accepted | Rejected] = {}
    for first in ALL[::20]:
        numbers = numbers_of(first, 20, again=False)
        parsed = parse(EVENTS.body(numbers, NOW), "application/json", Limits(32768, 1000, 1_000_000))
        assert len(parsed) == len(numbers)
        found |= {number: judge.judge(one, 0, source) for number, one in zip(numbers, parsed, strict=True)}
    return found


def test_good_ones_and_those_without_an_id_are_taken(verdicts: dict[int, Accepted | Rejected]) -> None:
    for number, verdict in verdicts.items():
        if sort_of(number) is Sort.BAD:
            continue
        assert isinstance(verdict, Accepted), (number, verdict)
        assert verdict.contract.type == EVENTS.type_of(number)
        assert verdict.minted is (sort_of(number) is Sort.NAMELESS)
        assert EVENTS.number_of(verdict.event_id) == (None if verdict.minted else number)
        assert datetime.fromisoformat(verdict.occurred_at) == EVENTS.time_of(number, NOW)


def test_bad_ones_are_rejected_for_their_reason_alone_and_are_known_by_their_text(
    verdicts: dict[int, Accepted | Rejected],
) -> None:
    for number, verdict in verdicts.items():
        if sort_of(number) is Sort.BAD:
            assert isinstance(verdict, Rejected), (number, verdict)
            assert [reason.keyword for reason in verdict.reasons] == [reason_of(number)]
            assert EVENTS.number_in(verdict.body.decode()) == number


def test_of_each_sort_there_is_a_known_share_and_each_reason_has_its_turn() -> None:
    sorts = Counter(map(sort_of, ALL))
    assert 0.02 < sorts[Sort.NAMELESS] / len(ALL) < 0.04
    assert 0.02 < sorts[Sort.BAD] / len(ALL) < 0.04
    assert Counter(reason_of(n) for n in ALL if sort_of(n) is Sort.BAD).keys() == set(REASONS)
    for sort in Sort:
        assert {EVENTS.type_of(n) for n in ALL if sort_of(n) is sort} == set(EVENTS.types)


def test_those_without_an_id_are_told_apart_by_their_time() -> None:
    times = [EVENTS.time_of(n, NOW) for n in range(1000) if sort_of(n) is Sort.NAMELESS]
    assert len(set(times)) == len(times)
    assert {at.replace(microsecond=0) for at in times} == {NOW.replace(microsecond=0)}


def test_what_has_no_id_is_not_sent_again() -> None:
    assert {sort_of(number) for number in numbers_of(0, 100, again=True)} == {Sort.GOOD, Sort.BAD}
    assert numbers_of(0, 100, again=False) == list(range(100))


def test_events_of_other_loads_are_none_of_these() -> None:
    assert EVENTS.number_of(KnownEvents(8, EVENTS.samples).id_of(3)) is None
    assert EVENTS.number_of(EVENTS.id_of(10**11)) == 10**11
