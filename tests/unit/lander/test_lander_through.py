"""The instant through which a table is said to hold everything."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from collector.land_through import Checkpoints

T0 = datetime(2026, 11, 23, tzinfo=UTC)


def at(seconds: int) -> datetime:
    return T0 + timedelta(seconds=seconds)


def test_an_instant_counts_once_everything_below_its_ends_has_landed() -> None:
    points = Checkpoints()
    points.add(at(1), {0: 10, 1: 5})
    assert points.reached({0: 10, 1: 4}) is None
    assert points.reached({0: 10, 1: 5}) == at(1)


def test_an_idle_topic_is_complete_through_now() -> None:
    points = Checkpoints()
    for second in range(5):
        points.add(at(second), {0: 10})
        assert points.reached({0: 10}) == at(second)


def test_a_backlog_is_worked_off_instant_by_instant() -> None:
    points = Checkpoints()
    for second in range(10):
        points.add(at(second), {0: second * 100})
    assert points.reached({0: 450}) == at(4)
    assert points.reached({0: 450}) is None
    assert points.reached({0: 900}) == at(9)


def test_an_empty_partition_holds_nothing_back() -> None:
    points = Checkpoints()
    points.add(at(1), {0: 3, 1: 0})
    assert points.reached({0: 3}) == at(1)


@given(st.lists(st.integers(0, 50), min_size=1, max_size=2000), st.integers(0, 120_000))
def test_no_instant_is_ever_claimed_too_early(steps: list[int], landed: int) -> None:
    points, end, promised = Checkpoints(), 0, []
    for second, step in enumerate(steps):
        end += step
        promised.append((at(second), end))
        points.add(at(second), {0: end})
    reached = points.reached({0: landed})
    allowed = [instant for instant, end in promised if end <= landed]
    assert reached is None or reached <= max(allowed)
    if landed >= end:
        assert reached == promised[-1][0], "with everything landed the newest instant is reached"
