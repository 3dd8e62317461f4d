"""Messages become rows, or poison, or wait: never nothing."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from collector.land_decode import Batch, Decoded, Poison
from collector.land_events import EventDecoder, keyed_hash
from collector.land_quality import receipts_decoder, rejects_decoder
from collector.land_rejects import rejection
from contracts.model import Contract, FieldSpec
from contracts.registry import Registry

KEY = b"0123456789abcdef0123456789abcdef"


def message(sequence: int = 1, **changes: Any) -> dict[str, Any]:
    return {
        "event_id": f"00000000-0000-4000-8000-{sequence:012d}",
        "event_type": "page_view",
        "schema_version": 1,
        "occurred_at": "2026-11-23T07:00:00.000001Z",
        "received_at": "2026-11-23T07:00:01.000000Z",
        "tenant": "acme",
        "collector_id": "aaaaaaaaaaaaaaaa",
        "sequence": sequence,
        "minted": False,
        "data": {"region": "DE", "page_name": "/", "visitor_id": "v1"},
    } | changes


def batch(*messages: Any, partition: int = 0) -> Batch:
    values = [m if isinstance(m, bytes | None) else json.dumps(m).encode() for m in messages]
    return Batch(values, [partition] * len(values), list(range(len(values))))


def page_views(*messages: Any) -> Decoded:
    return EventDecoder(Registry.load().newest("page_view"), KEY).decode(batch(*messages))


def with_field(contract: Contract, kind: Any, **changes: Any) -> Contract:
    spec = FieldSpec("extra", kind, False, None, None, False, "made for the test", None)
    return replace(contract, fields=(*contract.fields, replace(spec, **changes)))


def test_a_message_becomes_a_typed_row() -> None:
    decoded = page_views(message(7))
    (row,) = decoded.rows.to_pylist()
    assert row["occurred_at"] == datetime(2026, 11, 23, 7, 0, 0, 1, tzinfo=UTC)
    assert (row["tenant"], row["sequence"], row["minted"], row["page_name"]) == ("acme", 7, False, "/")
    assert row["is_bot"] is None, "the lake keeps a field as it was sent"
    assert row["visitor_id_hash"] == keyed_hash(KEY, "acme", "visitor_id", "v1")
    assert decoded.ends == {0: 1}
    assert decoded.poison == ()


def test_a_row_keeps_its_place_in_kafka_whatever_is_set_aside_beside_it() -> None:
    later = message(1, occurred_at="2026-11-23T09:00:00Z")
    messages = batch(later, b"no JSON", message(2), partition=3)
    decoded = EventDecoder(Registry.load().newest("page_view"), KEY).decode(messages)
    rows = decoded.rows.to_pylist()
    assert [(r["sequence"], r["kafka_partition"], r["kafka_offset"]) for r in rows] == [(2, 3, 2), (1, 3, 0)]
    assert [p.offset for p in decoded.poison] == [1]


def test_rows_are_sorted_by_the_time_they_occurred() -> None:
    late = message(1, occurred_at="2026-11-23T09:00:00Z")
    early = message(2, occurred_at="2026-11-22T09:00:00Z")
    assert page_views(late, early).rows["sequence"].to_pylist() == [2, 1]


@pytest.mark.parametrize(
    ("poison", "keyword"),
    [
        (b"\x00\xff not json", "parse"),
        (b'{"event_type": "page_view"', "parse"),
        (None, "parse"),
        (b"\xff" * 10, "parse"),
        (b'"text"', "type"),
        (message(event_type="nobody_knows_it"), "type"),
        ({k: v for k, v in message().items() if k != "collector_id"}, "required"),
        ({k: v for k, v in message().items() if k != "sequence"}, "required"),
        (message(sequence=2**63), "type"),
        (message(received_at="yesterday"), "type"),
        (message(received_at="2026-11-23T07:00:01"), "type"),
        (message(data={"region": 7, "page_name": "/"}), "type"),
        (message(data={"region": "DE", "page_name": "/", "nobody_knows_it": 1}), "additionalProperties"),
        (message(data=None), "type"),
        (b'{"data": ' + b"[" * 100_000, "parse"),
        # What Postgres or Python cannot hold: a load or the books would stop at it for ever.
        (message(sequence=2**63 - 1), "type"),
        (message(tenant="ac\0me"), "type"),
        (message(collector_id="a\0"), "type"),
        (message(received_at="9999-12-31T23:59:59-12:00"), "type"),
        (message(occurred_at="0001-01-01T00:00:00+12:00"), "type"),
    ],
)
def test_poison_is_set_aside_and_its_neighbours_land(poison: Any, keyword: str) -> None:
    decoded = page_views(message(1), poison, message(3))
    assert decoded.rows["sequence"].to_pylist() == [1, 3]
    assert [(p.offset, p.keyword) for p in decoded.poison] == [(1, keyword)]
    assert decoded.ends == {0: 3}, "the partition moves on"


def test_a_newer_version_stops_its_partition_where_it_is() -> None:
    newer = message(2, schema_version=2)
    decoded = page_views(message(1), newer, message(3), b"poison after it")
    assert decoded.rows["sequence"].to_pylist() == [1]
    assert decoded.ends == {0: 1}
    assert decoded.newer is not None
    assert decoded.poison == (), "what comes after is looked at when it can be read"


def test_a_newer_version_that_does_not_even_parse_stops_its_partition_too() -> None:
    newer = message(2, schema_version=2, data={"a field of tomorrow": 1})
    decoded = page_views(message(1), newer)
    assert decoded.ends == {0: 1}
    assert decoded.newer is not None
    assert decoded.poison == ()


def test_a_newer_version_leaves_other_partitions_alone() -> None:
    values = [json.dumps(m).encode() for m in (message(1), message(2, schema_version=9), message(3), message(4))]
    given = Batch(values, [0, 0, 1, 0], [5, 6, 40, 7])
    decoded = EventDecoder(Registry.load().newest("page_view"), KEY).decode(given)
    assert decoded.ends == {0: 6, 1: 41}
    assert sorted(decoded.rows["sequence"].to_pylist()) == [1, 3]


def test_an_unknown_field_says_that_the_contract_may_have_grown() -> None:
    assert page_views(message(data={"region": "DE", "page_name": "/", "new": 1})).surprised
    assert not page_views(b"rubbish").surprised


def test_the_content_hash_does_not_depend_on_how_the_client_wrote_it() -> None:
    one = message(1, data={"region": "DE", "page_name": "/", "visitor_id": None})
    other = message(2, data={"page_name": "/", "region": "DE"}, received_at="2026-11-24T00:00:00Z")
    hashes = page_views(one, other).rows["content_hash"].to_pylist()
    assert hashes[0] == hashes[1]


@pytest.mark.parametrize(
    "changes",
    [
        {"occurred_at": "2026-11-23T07:00:00.000002Z"},
        {"data": {"region": "FR", "page_name": "/", "visitor_id": "v1"}},
        {"data": {"region": "DE", "page_name": "/"}},
    ],
)
def test_other_content_has_another_hash(changes: dict[str, Any]) -> None:
    hashes = page_views(message(1), message(2, **changes)).rows["content_hash"].to_pylist()
    assert hashes[0] != hashes[1]


def test_the_content_hash_survives_a_contract_that_gains_a_field() -> None:
    contract = Registry.load().newest("page_view")
    grown = EventDecoder(with_field(contract, "string"), KEY).decode(batch(message(1)))
    assert grown.rows["content_hash"] == page_views(message(1)).rows["content_hash"]


def test_hashes_of_distinct_fields_are_keyed_and_fit_a_signed_long() -> None:
    values = {keyed_hash(KEY, tenant, "visitor_id", f"v{i}") for tenant in ("a", "b") for i in range(1000)}
    assert len(values) == 2000
    assert all(0 <= v < 2**63 for v in values)
    assert keyed_hash(KEY, "a", "visitor_id", "v1") != keyed_hash(KEY[::-1], "a", "visitor_id", "v1")


def test_an_absent_value_has_no_hash() -> None:
    rows = page_views(message(data={"region": "DE", "page_name": "/"})).rows
    assert rows["visitor_id_hash"].to_pylist() == [None]


def test_an_integer_written_with_a_point_is_an_integer() -> None:
    data = {"service": "web", "method": "GET", "path": "/", "status": 200.0, "region": "DE", "duration_ms": 3.0}
    given = batch(message(event_type="request_log", data=data), message(2, event_type="request_log", data=data))
    decoded = EventDecoder(Registry.load().newest("request_log"), KEY).decode(given)
    assert decoded.rows["duration_ms"].to_pylist() == [3, 3]
    halves = batch(message(event_type="request_log", data=data | {"duration_ms": 3.5}))
    assert [p.pointer for p in EventDecoder(Registry.load().newest("request_log"), KEY).decode(halves).poison] == [
        "/data/duration_ms"
    ]


@pytest.mark.parametrize("bad", ["1.00001", "123456", "eleven", ""])
def test_a_decimal_that_does_not_fit_its_column_is_poison_and_its_neighbours_land(bad: str) -> None:
    contract = with_field(Registry.load().newest("page_view"), "decimal", precision=6, scale=4)
    data = {"region": "DE", "page_name": "/"}
    messages = [message(i, data=data | {"extra": "1.5"}) for i in range(1, 40)]
    messages[23] = message(24, data=data | {"extra": bad})
    decoded = EventDecoder(contract, KEY).decode(batch(*messages))
    assert decoded.rows.num_rows == 38
    assert [p.offset for p in decoded.poison] == [23]
    assert {str(v) for v in decoded.rows["extra"].to_pylist()} == {"1.5000"}


def test_a_map_and_a_timestamp_become_columns() -> None:
    contract = with_field(Registry.load().newest("page_view"), "map")
    data = {"region": "DE", "page_name": "/", "extra": {"b": "2", "a": "1"}}
    swapped = data | {"extra": {"a": "1", "b": "2"}}
    decoded = EventDecoder(contract, KEY).decode(batch(message(1, data=data), message(2, data=swapped)))
    assert dict(decoded.rows["extra"].to_pylist()[0]) == {"a": "1", "b": "2"}
    hashes = decoded.rows["content_hash"].to_pylist()
    assert hashes[0] == hashes[1], "the order of a map's keys is not content"
    timed = with_field(Registry.load().newest("page_view"), "timestamp")
    berlin = {"region": "DE", "page_name": "/", "extra": "2026-01-01T02:00:00+02:00"}
    london = berlin | {"extra": "2026-01-01T00:00:00.000Z"}
    rows = EventDecoder(timed, KEY).decode(batch(message(1, data=berlin), message(2, data=london))).rows
    assert rows["extra"].to_pylist() == [datetime(2026, 1, 1, tzinfo=UTC)] * 2
    assert len(set(rows["content_hash"].to_pylist())) == 1, "the same instant is the same content"


def test_a_receipt_and_a_rejection_become_rows_with_their_place_in_kafka() -> None:
    receipt = {
        "collector_id": "aaaaaaaaaaaaaaaa", "assigned": 5, "acknowledged": 4, "void": [[2, 2]], "in_doubt": [],
        "cells": [], "durable_through": "2026-11-23T07:00:00Z", "closed": False, "at": "2026-11-23T07:00:01Z",
    }  # fmt: skip
    (row,) = receipts_decoder().decode(batch(receipt, partition=3)).rows.to_pylist()
    assert (row["void"], row["kafka_partition"], row["kafka_offset"]) == ("[[2, 2]]", 3, 0)
    rejection = {
        "reject_id": "r", "tenant": None, "received_at": "2026-11-23T07:00:00Z", "stage": "collector", "body": "{",
        "reasons": [{"pointer": "", "keyword": "json", "message": "is no JSON"}], "body_encoding": "utf-8", "line": 7,
    }  # fmt: skip
    (row,) = rejects_decoder().decode(batch(rejection)).rows.to_pylist()
    assert (row["line"], row["body"], json.loads(row["reasons"])[0]["keyword"]) == (7, "{", "json")
    assert row["idempotent_id"] is None, "messages of before there was one are read"
    (row,) = rejects_decoder().decode(batch(rejection | {"idempotent_id": "i"})).rows.to_pylist()
    assert row["idempotent_id"] == "i"


@pytest.mark.parametrize(
    ("body", "version"),
    [
        ('{"schema_version": 2, "data": {"schema_version": 7}}', 2),
        ('{"data": {}}', None),
        ('{"schema_version": "2"}', None),
        ('{"schema_version": 99999999999999999999}', None),
        ('{"schema_version": true}', None),
        ('{"schema_version": 2', None),
        ("[" * 100_000, None),
        ("[1]", None),
    ],
)
def test_a_rejection_is_landed_with_the_contract_version_that_it_names(body: str, version: int | None) -> None:
    rejection = {
        "reject_id": "r", "received_at": "2026-11-23T07:00:00Z", "stage": "collector", "body": body, "reasons": [],
        "body_encoding": "utf-8",
    }  # fmt: skip
    (row,) = rejects_decoder().decode(batch(rejection)).rows.to_pylist()
    assert row["schema_version"] == version


def test_poison_in_the_rejects_is_set_aside_like_any_other() -> None:
    decoded = rejects_decoder().decode(batch(b"rubbish"))
    assert decoded.rows.num_rows == 0
    assert len(decoded.poison) == 1


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (json.dumps(message(7)).encode(), ("acme", "a" * 16, 7)),
        (json.dumps(message(2**63 - 1, tenant="ac\0me")).encode(), (None, "a" * 16, None)),
        (b'{"data": ' + b"[" * 100_000, (None, None, None)),
        (None, (None, None, None)),
    ],
)
def test_a_rejection_of_poison_says_no_more_of_it_than_can_be_landed(value: bytes | None, said: object) -> None:
    poison = Poison(value, 0, 5, "type", "", "does not fit")
    decoded = rejects_decoder().decode(batch(rejection("events.page_view", "id", poison, datetime.now(UTC))))
    assert decoded.poison == ()
    (row,) = decoded.rows.to_pylist()
    assert (row["tenant"], row["collector_id"], row["sequence"]) == said
