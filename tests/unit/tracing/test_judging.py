"""The verdicts of trace are those of the load: its rule in SQL, over generated arrivals, says the same."""

import random
import sqlite3
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.tracing.trace_kit import NOON, PURCHASE, arrival
from tracing import ledger
from tracing.answer import of_event
from tracing.judge import COLLISION, DUPLICATE, WINNER, Arrival, Identity, judged, standing

RULE = """
with placed as (
    select
        *,
        row_number() over arrival as place,
        first_value(content_hash) over arrival as won,
        lag(collector_id) over arrival as collector_before,
        lag(sequence) over arrival as sequence_before
    from arrivals
    window arrival as (order by received_at, collector_id, sequence, content_hash)
)

select
    number,
    case when place = 1 then 'winner' when content_hash = won then 'duplicate' else 'collision' end,
    place > 1 and content_hash = won and collector_id is collector_before and sequence is sequence_before
from placed
"""
"""What `spark_jobs/dedupe.py` says, in SQL."""
ARRIVALS = st.lists(
    st.builds(
        lambda received, collector, sequence, content: arrival(
            received_at=NOON + timedelta(seconds=received),
            collector_id=collector * 16,
            sequence=sequence,
            content_hash=content,
        ),
        st.integers(0, 2),
        st.sampled_from("ab"),
        st.integers(1, 3),
        st.integers(-1, 1),
    ),
    min_size=1,
    max_size=8,
)


def values(one: Arrival) -> tuple[object, ...]:
    return tuple(one.row[name] for name in ("received_at", "collector_id", "sequence", "content_hash"))


def said_by_sql(arrivals: list[Arrival]) -> dict[tuple[object, ...], list[tuple[str, bool]]]:
    connection = sqlite3.connect(":memory:")
    connection.execute("create table arrivals (number, received_at, collector_id, sequence, content_hash)")
    connection.executemany(
        "insert into arrivals values (?, ?, ?, ?, ?)",
        [(i, str(values(a)[0]), *values(a)[1:]) for i, a in enumerate(arrivals)],
    )
    found: dict[tuple[object, ...], list[tuple[str, bool]]] = {}
    for number, verdict, copy in connection.execute(RULE):
        found.setdefault(values(arrivals[number]), []).append((verdict, bool(copy)))
    connection.close()
    return {order: sorted(said) for order, said in found.items()}


@given(ARRIVALS, st.randoms())
def test_verdicts_are_those_of_the_loads_rule_whatever_the_order(
    arrivals: list[Arrival], chance: random.Random
) -> None:
    shuffled = list(arrivals)
    chance.shuffle(shuffled)
    told = judged(shuffled)
    found: dict[tuple[object, ...], list[tuple[str, bool]]] = {}
    for one in told:
        found.setdefault(values(one), []).append((one.verdict, one.copy))
    assert {order: sorted(said) for order, said in found.items()} == said_by_sql(arrivals)
    assert told[0].verdict == WINNER
    assert len(told) == len(arrivals)


def test_nothing_arrived_nothing_is_judged() -> None:
    assert judged([]) == []


def test_a_row_that_is_not_loaded_does_not_take_the_place_of_the_one_in_the_charts() -> None:
    charted = arrival(land_seq=1, sequence=2)
    earlier = arrival(land_seq=2, sequence=1, received_at=NOON, content_hash=5)
    told = standing([earlier, charted], 1)
    assert [(a.row["land_seq"], a.verdict) for a in told] == [(1, WINNER), (2, WINNER)]
    told = standing([earlier, charted], 2)
    assert [(a.row["land_seq"], a.verdict) for a in told] == [(2, WINNER), (1, COLLISION)]


def test_what_comes_again_will_be_a_duplicate_before_it_is_loaded_too() -> None:
    told = standing([arrival(land_seq=1), arrival(land_seq=2, sequence=9, received_at=NOON + timedelta(days=9))], 1)
    assert [(a.row["land_seq"], a.verdict) for a in told] == [(1, WINNER), (2, DUPLICATE)]


@pytest.mark.parametrize(("column", "told"), [({"erased": True}, True), ({"erased": None}, False), ({}, False)])
def test_whether_an_event_was_erased_the_lake_itself_says(column: dict[str, bool | None], told: bool) -> None:
    """Not fields that are null: a tombstone keeps those that sums are made of, and an optional field may be absent."""
    state = {"held": 0, "waiting_since": None, "downsampled_to": None}
    answers = {ledger.minute: state, ledger.hour: {}, ledger.quarantined: (0, 0), ledger.repairs: []}
    asked: Any = SimpleNamespace(once=lambda question, *_: answers[question])
    one = arrival(user_id=None, user_id_hash=None, purchase_id=None, **column)
    found = of_event(asked, PURCHASE, one.identity("purchase"), [arrival(sequence=9), one], 0, {})
    assert (found["erased"], [a["erased"] for a in found["arrivals"]]) == (told, [False, told])


def test_an_event_is_told_apart_by_its_minute() -> None:
    first = arrival().identity("purchase")
    assert first == Identity("purchase", "acme", NOON, arrival().row["event_id"])
    assert arrival(minute=1).identity("purchase") != first
