"""Sets of sequences as sorted ranges of first and last, both within: how receipts say them."""

from collections.abc import Iterable, Sequence

Ranges = list[list[int]]


def united(*many: Iterable[Sequence[int]]) -> Ranges:
    """All that is in any of them; neighbours become one."""
    found: Ranges = []
    for first, last in sorted((a, b) for ranges in many for a, b in ranges):
        if found and first <= found[-1][1] + 1:
            found[-1][1] = max(last, found[-1][1])
        else:
            found.append([first, last])
    return found


def without(ranges: Ranges, others: Ranges) -> Ranges:
    """What is in ``ranges`` and not in ``others``; both united."""
    left: Ranges = []
    at = 0
    for first, last in ranges:
        start = first
        while at < len(others) and others[at][1] < start:
            at += 1
        index = at
        while index < len(others) and others[index][0] <= last:
            if others[index][0] > start:
                left.append([start, others[index][0] - 1])
            start = others[index][1] + 1
            index += 1
        if start <= last:
            left.append([start, last])
    return left


def size(ranges: Ranges) -> int:
    """How many there are."""
    return sum(last - first + 1 for first, last in ranges)


def multirange(ranges: Iterable[Sequence[int]]) -> str:
    """As Postgres writes a set of whole numbers (``int8multirange``)."""
    return "{" + ",".join(f"[{first},{last}]" for first, last in ranges) + "}"
