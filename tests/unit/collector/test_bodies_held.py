"""What all requests together may hold of bodies: counted as they come, given back when they are answered."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Callable

import pytest

from collector.answers import Unavailable
from collector.bodies import Bodies
from collector.parse import SMALL, Refused, read_body

LIMIT = 1_000_000


class Chunks:
    """A body; ``came`` counts the chunks that were asked for."""

    def __init__(self, *chunks: bytes) -> None:
        self.chunks, self.came = chunks, 0

    async def __call__(self) -> bytes:
        self.came += len(self.chunks)
        return b"".join(self.chunks)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in (*self.chunks, b""):
            self.came += 1
            yield chunk


def read(body: Chunks, hold: Callable[[int], None], encoding: str | None = None, length: int | None = None) -> bytes:
    return asyncio.run(read_body(body, encoding, None if length is None else str(length), LIMIT, hold))


def test_bytes_are_held_until_the_answer_and_no_longer() -> None:
    bodies = Bodies(100)
    with bodies.held_by("a") as hold, bodies.held_by("b") as other:
        hold(30)
        hold(20)
        other(50)
        assert bodies.held == 100
    assert bodies.held == 0
    with bodies.held_by("a") as hold:
        hold(50)


def test_over_the_bound_nothing_more_is_taken_and_what_was_is_given_back() -> None:
    bodies = Bodies(100)
    with bodies.held_by("a") as a, bodies.held_by("b") as b:
        a(50)
        b(40)
        with pytest.raises(Unavailable), bodies.held_by("c") as c:
            c(5)
            c(6)
        assert bodies.held == 90
        b(10)
    assert bodies.held == 0


def test_one_key_leaves_half_of_it_to_others() -> None:
    bodies = Bodies(100)
    with bodies.held_by("browser") as first, bodies.held_by("browser") as second, bodies.held_by("server") as other:
        first(30)
        with pytest.raises(Unavailable):
            second(21)
        other(50)
    with bodies.held_by("browser") as hold:
        hold(50)


@pytest.mark.parametrize("length", [None, SMALL + 1000])
def test_a_large_body_counts_by_what_came_of_it_and_stops_where_there_is_no_room(length: int | None) -> None:
    held: list[int] = []

    def hold(size: int) -> None:
        held.append(size)
        if sum(held) > SMALL:
            raise Unavailable("no room")

    body = Chunks(*[b"x" * (SMALL // 2)] * 2, *[b"x" * 500] * 2)
    with pytest.raises(Unavailable):
        read(body, hold, length=length)
    assert held == [SMALL // 2, SMALL // 2, 500]
    assert body.came == 3


def test_a_small_body_counts_before_it_is_read() -> None:
    def full(_size: int) -> None:
        raise Unavailable("no room")

    body = Chunks(b"x" * 1000)
    with pytest.raises(Unavailable):
        read(body, full, length=1000)
    assert body.came == 0


@pytest.mark.parametrize("with_length", [True, False])
def test_what_gzip_becomes_counts_before_it_is_kept(with_length: bool) -> None:
    packed = gzip.compress(b"x" * 900_000)
    held: list[int] = []
    length = len(packed) if with_length else None
    assert len(read(Chunks(packed), held.append, "gzip", length)) == 900_000
    assert sum(held) == 900_000 + (length or 0)


def test_a_large_body_that_ends_before_its_length_is_refused() -> None:
    with pytest.raises(Refused) as refused:
        read(Chunks(b"x" * SMALL), lambda _: None, length=SMALL + 1)
    assert refused.value.status == 400
