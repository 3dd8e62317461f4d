"""Two events are the same when their values are, by the contract's types, however they were written."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.land_decode import Batch
from collector.land_events import EventDecoder, shortest
from contracts.registry import Registry

METRIC = EventDecoder(Registry.load().newest("metric"), b"k" * 32)
PURCHASE = EventDecoder(Registry.load().newest("purchase"), b"k" * 32)


@st.composite
def spellings(draw: st.DrawFn) -> str:
    """A decimal number as someone may write it; small, so that equal ones are met often."""
    sign = draw(st.sampled_from(["", "-"]))
    whole = draw(st.sampled_from(["0", "00", "1", "01", "10", "100"]))
    fraction = draw(st.sampled_from(["", ".0", ".00", ".1", ".10", ".01", ".0100000000"]))
    return sign + whole + fraction


def hashes(decoder: EventDecoder, field: str, *values: Any, **data: Any) -> list[int]:
    messages = [
        {
            "event_id": "00000000-0000-4000-8000-000000000001", "event_type": decoder.contract.type,
            "schema_version": 1, "occurred_at": "2026-11-23T07:00:00Z", "received_at": "2026-11-23T07:00:01Z",
            "tenant": "acme", "collector_id": "a" * 16, "sequence": n + 1, "minted": False, "data": {**data, field: v},
        }
        for n, v in enumerate(values)
    ]  # fmt: skip
    decoded = decoder.decode(
        Batch([json.dumps(m).encode() for m in messages], [0] * len(values), list(range(len(values))))
    )
    assert decoded.poison == ()
    by_sequence = zip(decoded.rows["sequence"].to_pylist(), decoded.rows["content_hash"].to_pylist(), strict=True)
    return [hashed for _, hashed in sorted(by_sequence)]


@given(spellings(), spellings())
def test_a_resent_decimal_is_the_same_content_exactly_when_it_is_the_same_number(one: str, other: str) -> None:
    first, second = hashes(METRIC, "value", one, other, source="s", metric_type="m")
    assert (first == second) == (Decimal(one) == Decimal(other))


def test_an_amount_written_with_and_without_zeros_is_no_collision() -> None:
    rest = {"purchase_id": "p", "app_id": "a", "user_id": "u", "currency": "EUR", "quantity": 1, "region": "DE"}
    with_zero, without, other = hashes(PURCHASE, "amount", "1.50", "1.5", "1.51", **rest)
    assert with_zero == without != other


@given(st.integers(-(10**38) + 1, 10**38 - 1), st.integers(0, 20), st.integers(0, 4))
def test_the_shortest_text_of_a_number_is_that_number_to_the_last_digit(digits: int, scale: int, zeros: int) -> None:
    text = _placed(digits, scale) + "0" * zeros if scale else str(digits)
    short = shortest(text)
    assert Decimal(short) == Decimal(text)
    assert shortest(short) == short
    assert "." not in short or short[-1] not in "0."


def _placed(digits: int, scale: int) -> str:
    sign, text = ("-" if digits < 0 else ""), str(abs(digits)).rjust(scale + 1, "0")
    return f"{sign}{text[:-scale]}.{text[-scale:]}"


@pytest.mark.parametrize("text", ["", "eleven", "1e3", "+1", ".5", "1.", "٣"])
def test_what_is_no_plain_decimal_is_left_to_the_column_to_judge(text: str) -> None:
    assert shortest(text) == text
