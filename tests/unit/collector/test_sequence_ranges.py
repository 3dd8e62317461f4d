"""Ranges of sequences behave as the sets they stand for."""

from hypothesis import given
from hypothesis import strategies as st

from collector.ranges import Ranges, size, united, without

numbers = st.sets(st.integers(1, 60))


def ranges(found: set[int]) -> Ranges:
    return united([(n, n) for n in found])


def members(found: Ranges) -> set[int]:
    return {n for first, last in found for n in range(first, last + 1)}


def test_neighbouring_ranges_become_one() -> None:
    assert united([(5, 6), (1, 2), (3, 3), (9, 9)]) == [[1, 3], [5, 6], [9, 9]]


@given(numbers, numbers)
def test_ranges_are_sets(one: set[int], other: set[int]) -> None:
    a, b = ranges(one), ranges(other)
    assert members(a) == one
    assert size(a) == len(one)
    assert members(united(a, b)) == one | other
    assert members(without(a, b)) == one - other
    assert without(a, b) == ranges(one - other), "as few ranges as there can be"
