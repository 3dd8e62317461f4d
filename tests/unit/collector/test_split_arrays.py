"""An array read element by element says the same as one read whole, wherever a parser reads it whole."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from collector.parse import Limits, Refused, parse
from collector.split import MOST_TOKENS, split

LIMITS = Limits(event_bytes=10_000, events=1000, body_bytes=1_000_000)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=6) | st.sampled_from('"\\[]{},'),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)
BLANK = st.sampled_from(["", " ", "\t", "\r\n", "  "])
ARRAYS = st.builds(
    lambda values, blank, escaped: (
        "[" + blank + f"{blank},{blank}".join(json.dumps(v, ensure_ascii=escaped) for v in values) + blank + "]"
    ).encode(),
    st.lists(VALUES, min_size=1, max_size=6),
    BLANK,
    st.booleans(),
)
PIECES = st.sampled_from([b"[", b"]", b"{", b"}", b'"', b",", b":", b"\\", b"1", b"NaN", b"\x0b", b"\xff", b" ", b"\n"])
QUICK = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def whole(text: bytes) -> list[Any] | None:
    """What a JSON parser makes of all of it at once; None where it makes no array of it."""
    try:
        found = msgspec.json.decode(text)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None
    return found if isinstance(found, list) else None


@QUICK
@given(ARRAYS)
def test_the_elements_of_json_are_its_elements(text: bytes) -> None:
    pieces = split(text, 1000)
    assert pieces is not None
    assert [msgspec.json.decode(piece) for piece in pieces] == whole(text)


@QUICK
@given(ARRAYS, st.lists(st.tuples(st.integers(0, 400), st.integers(0, 3), PIECES), max_size=4))
@example(b'[\x0b{"a":1}]', [])
@example(b'[{"a":1},{"b":2]},{"c":3}]', [])
@example(b'["\\",1,2]', [])
def test_every_element_is_taken_where_all_of_it_is_json_and_only_there(
    text: bytes, changes: list[tuple[int, int, bytes]]
) -> None:
    for at, gone, piece in changes:
        text = text[:at] + piece + text[at + gone :]
    if not text.strip(b" \t\r\n").startswith(b"["):
        return
    try:
        events = parse(text, "application/json", LIMITS)
    except Refused:
        assert whole(text) == []
        return
    taken = [value for value, _, trouble in events if trouble is None]
    expected = whole(text)
    assert (len(taken) == len(events)) == (expected is not None)
    assert expected is None or taken == expected
    assert all(msgspec.json.decode(each) == value for value, each, trouble in events if trouble is None)


GOOD = b'{"a":[1,"]"]}'


@QUICK
@given(
    st.lists(st.just(GOOD) | st.sampled_from([b"NaN", b'{"a" 1}', b"[}", b'{"n":1e400}', b'"\xff"', b"\\"]), max_size=6)
)
def test_a_bad_element_costs_its_neighbours_nothing(elements: list[bytes]) -> None:
    elements = [*elements, b"nothing"]
    events = parse(b"[" + b",".join(elements) + b"]", "application/json", LIMITS)
    assert [text for _, text, _ in events] == elements
    assert [trouble is None for _, _, trouble in events] == [each == GOOD for each in elements]


@pytest.mark.parametrize("element", [b"[]", b"[{}]", b'{"a":[]}'])
def test_no_more_is_looked_at_than_a_request_is_worth(element: bytes) -> None:
    honest = b"[NaN," + b",".join([element] * 999) + b"]"
    assert split(honest, 1000) == [b"NaN", *[element] * 999]
    assert split(b"[[" + b",".join([element] * MOST_TOKENS) + b"]]", 1000) is None


def test_the_deepest_nesting_costs_its_neighbours_nothing() -> None:
    deep = b'{"a":' * 100_000 + b"1" + b"}" * 100_000
    first, middle, last = parse(b"[" + b",".join([GOOD, deep, GOOD]) + b"]", "application/json", LIMITS)
    assert first[2] is last[2] is None
    assert middle[2] is not None
    assert middle[2][0] == "maxBytes"


@pytest.mark.parametrize("text", [b"\x0b1", b"\x0c", b"\x1c{}", b"\xc2\xa0{}"])
@pytest.mark.parametrize("type_", ["application/json", "application/x-ndjson"])
def test_only_what_json_calls_blank_is_left_out(text: bytes, type_: str) -> None:
    ((_, kept, trouble),) = parse(b" \t\r\n" + text + b"\n", type_, LIMITS)
    assert kept.strip(b" \t\r\n") == text
    assert trouble is not None
    assert trouble[0] == "json"
