"""From bytes to events: what is taken, what is refused, and that bounds hold before memory is spent."""

import asyncio
import gzip
import time
import zlib
from collections.abc import AsyncIterator

import pytest
from granian.rsgi import ProtocolClosed

from collector.parse import Inflater, Limits, Refused, media_type, parse, read_body

LIMITS = Limits(event_bytes=200, events=3, body_bytes=1000)


class FakeBody:
    """A body in chunks; ``pulled`` counts the bytes that were asked for."""

    def __init__(self, *chunks: bytes) -> None:
        self.chunks, self.pulled = chunks, 0

    async def __call__(self) -> bytes:
        return b"".join(self.chunks)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self.chunks:
            self.pulled += len(chunk)
            yield chunk


def unbounded(_size: int) -> None:
    """Room for everything."""


def read(body: FakeBody, encoding: str | None = None, length: str | None = None, limit: int = 1000) -> bytes:
    return asyncio.run(read_body(body, encoding, length, limit, unbounded))


def refused(status: int, body: FakeBody, encoding: str | None = None, length: str | None = None) -> None:
    with pytest.raises(Refused) as refusal:
        read(body, encoding, length)
    assert refusal.value.status == status


def test_a_plain_body_is_read_with_and_without_a_length() -> None:
    assert read(FakeBody(b"ab", b"cd"), length="4") == b"abcd"
    assert read(FakeBody(b"ab", b"cd")) == b"abcd"


def test_gzip_is_unpacked_in_pieces_and_in_several_members() -> None:
    packed = gzip.compress(b"one ") + gzip.compress(b"two")
    assert read(FakeBody(*(packed[i : i + 1] for i in range(len(packed)))), "gzip") == b"one two"
    assert read(FakeBody(packed), "gzip", str(len(packed))) == b"one two"


def test_a_body_over_the_bound_is_refused_by_its_length_alone() -> None:
    body = FakeBody(b"x" * 2000)
    refused(413, body, length="2000")
    assert body.pulled == 0


def test_a_body_without_a_length_is_refused_once_it_is_over_the_bound() -> None:
    body = FakeBody(*[b"x" * 100] * 100)
    refused(413, body)
    assert body.pulled <= 1100


@pytest.mark.parametrize("with_length", [True, False])
def test_a_gzip_bomb_costs_no_more_than_the_bound(with_length: bool) -> None:
    bomb = gzip.compress(b"0" * 500_000)
    assert len(bomb) < 1000
    refused(413, FakeBody(bomb), "gzip", str(len(bomb)) if with_length else None)
    inflater = Inflater(1000, unbounded)
    with pytest.raises(Refused):
        inflater.feed(bomb)
    assert sum(map(len, inflater._parts)) <= 1001


def test_many_gzip_members_cost_no_more_than_their_bytes() -> None:
    """Else each one costs all the bytes behind it, and 10 MB of empty ones a minute and a half of everybody's time."""
    inflater = Inflater(1000, unbounded)
    started = time.process_time()
    inflater.feed(gzip.compress(b"") * 500_000)
    assert inflater.finish() == b""
    assert time.process_time() - started < 20


class BrokenBody(FakeBody):
    """What Granian gives of a body that does not come whole: an error, or an empty chunk before the one at the end."""

    async def __call__(self) -> bytes:
        raise ProtocolClosed


def test_a_body_that_does_not_come_whole_is_refused() -> None:
    refused(400, BrokenBody(), length="10")
    refused(400, BrokenBody(b'{"a":1}\n', b"", b""))
    assert read(FakeBody(b"ab", b"")) == b"ab"


def test_damaged_and_shortened_gzip_is_refused() -> None:
    refused(400, FakeBody(b"no gzip at all"), "gzip")
    refused(400, FakeBody(gzip.compress(b"whole")[:-4]), "gzip")
    refused(400, FakeBody(b""), "gzip")


@pytest.mark.parametrize("encoding", ["br", "deflate", "gzip, gzip"])
def test_other_encodings_are_refused(encoding: str) -> None:
    refused(415, FakeBody(zlib.compress(b"x")), encoding)


@pytest.mark.parametrize(
    ("given", "read_as"),
    [
        (None, ""),
        ("application/json", "application/json"),
        ("application/json; charset=UTF-8", "application/json"),
        ("Application/X-NDJSON", "application/x-ndjson"),
        ("text/plain;charset=UTF-8", "text/plain"),
    ],
)
def test_media_types_that_are_read(given: str | None, read_as: str) -> None:
    assert media_type(given) == read_as


@pytest.mark.parametrize(
    "given", ["application/x-www-form-urlencoded", "text/html", "application/json; charset=latin1"]
)
def test_media_types_that_are_refused(given: str) -> None:
    with pytest.raises(Refused) as refusal:
        media_type(given)
    assert refusal.value.status == 415


def test_one_object_is_one_event() -> None:
    assert parse(b' {"a": 1} ', "application/json", LIMITS) == [({"a": 1}, b'{"a": 1}', None)]


def test_an_array_is_its_events_each_with_its_untouched_text() -> None:
    assert parse(b'[{"a":  1}, 2 ]', "", LIMITS) == [({"a": 1}, b'{"a":  1}', None), (2, b"2", None)]


def test_lines_are_judged_one_by_one_and_blank_ones_left_out() -> None:
    first, second = parse(b'{"a":1}\r\n\n{"a":\n', "application/x-ndjson", LIMITS)
    assert first[0] == {"a": 1}
    assert second[1] == b'{"a":'
    assert second[2] is not None
    assert second[2][0] == "json"


def test_a_beacon_may_hold_json_or_lines() -> None:
    assert [event for event, _, _ in parse(b'{"a":1}', "text/plain", LIMITS)] == [{"a": 1}]
    assert [event for event, _, _ in parse(b'{"a":1}\n{"a":2}', "text/plain", LIMITS)] == [{"a": 1}, {"a": 2}]
    assert [event for event, _, _ in parse(b'[{"a":1},\n{"a":2}]', "text/plain", LIMITS)] == [{"a": 1}, {"a": 2}]


def test_a_body_that_is_no_json_is_one_event_with_its_text() -> None:
    for body in (b"hello", b'{"a":1}{"b":2}', b"\xff\xfe", b'{"a":NaN}', b"[" * 100_000, b'"\xff"'):
        ((event, text, trouble),) = parse(body, "application/json", LIMITS)
        assert (event, text) == (None, body)
        assert trouble is not None
        assert trouble[0] == "json"


def test_an_event_over_the_bound_is_rejected_alone() -> None:
    large = b'{"a":"' + b"x" * 300 + b'"}'
    small, over = parse(b"[1," + large + b"]", "application/json", LIMITS)
    assert small[2] is None
    assert over[1] == large
    assert over[2] == ("maxBytes", "is over 200 bytes")
    ((_, _, alone),) = parse(large, "application/json", LIMITS)
    assert alone is not None


@pytest.mark.parametrize("type_", ["application/json", "application/x-ndjson"])
def test_too_many_events_are_refused_as_a_whole(type_: str) -> None:
    body = b"[1,2,3,4]" if type_ == "application/json" else b"1\n2\n3\n4"
    with pytest.raises(Refused) as refusal:
        parse(body, type_, LIMITS)
    assert refusal.value.status == 413


@pytest.mark.parametrize(("body", "type_"), [(b"", ""), (b" \n ", "application/x-ndjson"), (b"[]", "application/json")])
def test_a_body_without_an_event_is_refused(body: bytes, type_: str) -> None:
    with pytest.raises(Refused) as refusal:
        parse(body, type_, LIMITS)
    assert refusal.value.status == 400


BAD = [
    b'{"n":1e400}',
    b'{"n":-' + b"9" * 150 + b".5e300}",
    b'{"s":"\xff"}',
    b'{"n":NaN}',
    b'{"s":"\\ud800, [\\""}',
    b"[" * 5000 + b"]" * 5000,
    b'{"a" 1}',
    b"",
]


@pytest.mark.parametrize("bad", BAD)
def test_an_event_that_is_no_json_leaves_its_neighbours_alone(bad: bytes) -> None:
    limits = Limits(event_bytes=20_000, events=3, body_bytes=1_000_000)
    first, middle, last = parse(b'[{"a":1}, ' + bad + b' ,{"b":[2, "]"]}]', "application/json", limits)
    assert (first[0], last[0]) == ({"a": 1}, {"b": [2, "]"]})
    assert middle[1] == bad
    assert middle[2] is not None
    assert middle[2][0] == "json"


@pytest.mark.parametrize("body", [b'[{"a":1}, {]', b"[1], [NaN]", b'[1, NaN, "]', b"[NaN]]", b"[NaN", b"[NaN}"])
def test_an_array_whose_brackets_or_quotes_do_not_match_is_one_event(body: bytes) -> None:
    ((event, text, trouble),) = parse(body, "application/json", LIMITS)
    assert (event, text) == (None, body)
    assert trouble is not None


def test_too_many_elements_are_refused_before_they_are_read_even_where_they_are_no_json() -> None:
    with pytest.raises(Refused) as refusal:
        parse(b"[" + b"NaN," * 100_000 + b"1]", "application/json", LIMITS)
    assert refusal.value.status == 413
