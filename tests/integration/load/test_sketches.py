"""The sketches in stock Postgres: they merge in any order and say the truth within 2 %."""

import hashlib
import json
import math
import random

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

K = 65_536
STANDARD_ERROR = 1 / math.sqrt(K - 2)
quick = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
sketches = st.lists(st.lists(st.integers(0, 2**63 - 1), max_size=20).map(lambda h: sorted(set(h))), max_size=6)
buckets = st.dictionaries(st.one_of(st.just("zero"), st.integers(-5, 900).map(str)), st.integers(1, 10**9), max_size=8)


@pytest.fixture(scope="module")
def reader(stack):
    """Anyone may use the functions, also the role that sees only marts."""
    with psycopg.connect(stack.env["READER_DSN"], autocommit=True) as connection:
        yield connection


def scalar(connection, statement, *values):
    return connection.execute(statement, values).fetchone()[0]


def merged(reader, parts):
    return scalar(
        reader,
        "select sketch.merge_distinct(p.h::bigint[]) from unnest(%s::text[]) as p (h)",
        [as_text(part) for part in parts],
    )


def as_text(hashes):
    return "{" + ",".join(map(str, hashes)) + "}"


@quick
@given(sketches, st.randoms())
def test_distinct_sketches_merge_in_any_order_and_grouping(reader, parts, rnd):
    union = sorted({h for part in parts for h in part})
    assert merged(reader, parts) == union
    shuffled = rnd.sample(parts, len(parts))
    cut = rnd.randint(0, len(parts))
    assert merged(reader, [merged(reader, shuffled[:cut]), merged(reader, shuffled[cut:])]) == union
    assert merged(reader, [union, *parts]) == union


def test_the_plain_pattern_gives_what_the_aggregate_gives(reader):
    rnd = random.Random(1)  # noqa: S311
    parts = [sorted(rnd.sample(range(2**40), 5000)) for _ in range(12)]
    plain = scalar(
        reader,
        """
        select (array_agg(distinct h order by h))[:sketch.k()]
        from unnest(%s::text[]) as p (hashes), unnest(p.hashes::bigint[]) as h
        """,
        [as_text(part) for part in parts],
    )
    assert plain == merged(reader, parts) == sorted({h for p in parts for h in p})[:K]


def of_visitors(numbers):
    hashes = (int.from_bytes(hashlib.blake2b(b"%d" % n, digest_size=8).digest(), "big") >> 1 for n in numbers)
    return sorted(set(hashes))[:K]


def estimate(reader, hashes):
    return scalar(reader, "select sketch.distinct_estimate(%s::bigint[])", as_text(hashes))


@pytest.mark.parametrize("count", [0, 1, 1000, K - 1])
def test_below_k_the_count_is_exact(reader, count):
    assert estimate(reader, of_visitors(range(count))) == count


@pytest.mark.parametrize("count", [K, 80_000, 200_000, 1_000_000])
def test_above_k_the_count_is_within_two_percent(reader, count):
    assert estimate(reader, of_visitors(range(count))) == pytest.approx(count, rel=0.02)


def test_a_merge_of_days_counts_who_came_twice_once(reader):
    days = [of_visitors(range(day * 50_000, day * 50_000 + 100_000)) for day in range(7)]
    assert estimate(reader, merged(reader, days)) == pytest.approx(400_000, rel=4 * STANDARD_ERROR)


def merged_buckets(reader, parts):
    return scalar(
        reader,
        "select sketch.merge_buckets(p.b::jsonb) from unnest(%s::text[]) as p (b)",
        [json.dumps(part) for part in parts],
    )


@quick
@given(st.lists(buckets, max_size=5), st.randoms())
def test_quantile_sketches_merge_in_any_order_and_grouping(reader, parts, rnd):
    expected: dict[str, int] = {}
    for part in parts:
        for name, count in part.items():
            expected[name] = expected.get(name, 0) + count
    assert merged_buckets(reader, parts) == expected
    shuffled = rnd.sample(parts, len(parts))
    cut = rnd.randint(0, len(parts))
    halves = [merged_buckets(reader, shuffled[:cut]), merged_buckets(reader, shuffled[cut:])]
    assert merged_buckets(reader, halves) == expected


def bucketed(values):
    counts: dict[str, int] = {}
    for value in values:
        name = str(math.ceil(math.log(value) / math.log(1.01 / 0.99))) if value > 0 else "zero"
        counts[name] = counts.get(name, 0) + 1
    return counts


@quick
@given(
    st.lists(st.one_of(st.integers(1, 10**7), st.just(0)), min_size=1, max_size=300),
    st.sampled_from([0, 0.01, 0.25, 0.5, 0.9, 0.95, 0.99, 1]),
)
def test_a_quantile_is_within_two_percent_of_the_true_one(reader, values, q):
    found = scalar(reader, "select sketch.quantile(%s::jsonb, %s::numeric)", json.dumps(bucketed(values)), q)
    ordered = sorted(values)
    # The sketch takes the value at the floor of the rank; near a whole rank its decimals may fall to either side.
    rank = q * (len(ordered) - 1)
    near = {ordered[math.floor(rank)], ordered[min(len(ordered) - 1, math.floor(rank + 1e-9))]}
    assert any(float(found) == pytest.approx(value, rel=0.02) for value in near)


def test_the_quantile_of_nothing_is_nothing(reader):
    assert scalar(reader, "select sketch.quantile('{}', 0.5)") is None
