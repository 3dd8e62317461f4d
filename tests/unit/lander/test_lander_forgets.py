"""Who was forgotten does not come back: not by arrival, not by replay, not by a lander that had not heard of it."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pyiceberg.catalog.sql import SqlCatalog

from collector import suppressed
from collector.lake import ensure_table
from collector.land_commit import Fenced, State, commit
from collector.land_decode import Batch
from collector.land_events import EventDecoder
from collector.land_quality import rejects_decoder
from collector.redact import is_redacted
from collector.suppressed import ListTooShort, Person, Suppressed, subject_hash
from contracts.registry import Registry

KEY = b"0123456789abcdef0123456789abcdef"
NOW = datetime(2026, 11, 23, tzinfo=UTC)
PAGE_VIEW = Registry.load().newest("page_view")


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[SqlCatalog]:
    made = SqlCatalog("lake", uri=f"sqlite:///{tmp_path}/catalog.db", warehouse=f"file://{tmp_path}/warehouse")
    yield made
    made.close()


def known(tenant: str, subject: str, *values: str) -> Suppressed:
    hashes = frozenset(subject_hash(KEY, tenant, subject, value) for value in values)
    return Suppressed(len(values), hashes, frozenset({tenant}), KEY)


def message(type_: str = "page_view", sequence: int = 1, tenant: str = "acme", **data: Any) -> dict[str, Any]:
    return {
        "event_id": f"00000000-0000-4000-8000-{sequence:012d}", "event_type": type_, "schema_version": 1,
        "occurred_at": "2026-11-23T07:00:00Z", "received_at": "2026-11-23T07:00:01Z", "tenant": tenant,
        "collector_id": "a" * 16, "sequence": sequence, "minted": False,
        "data": ({"region": "DE", "page_name": "/"} if type_ == "page_view" else {}) | data,
    }  # fmt: skip


def landed(who: Suppressed, *messages: dict[str, Any]) -> list[dict[str, Any]]:
    decoder = EventDecoder(Registry.load().newest(messages[0]["event_type"]), KEY)
    decoder.suppressed = who
    values: list[bytes | None] = [json.dumps(m).encode() for m in messages]
    rows: list[dict[str, Any]] = decoder.decode(
        Batch(values, [0] * len(values), list(range(len(values))))
    ).rows.to_pylist()
    return rows


def test_what_arrives_of_somebody_forgotten_keeps_its_sums_and_loses_the_person() -> None:
    sale = {
        "purchase_id": "p-1", "app_id": "app", "user_id": "u-1", "amount": "1.50", "currency": "EUR", "quantity": 2,
        "region": "DE",
    }  # fmt: skip
    (row,) = landed(known("acme", "user", "u-1"), message("purchase", **sale))
    assert (row["user_id"], row["purchase_id"], row["user_id_hash"]) == (None, None, None)
    assert (str(row["amount"]), row["currency"], row["quantity"], row["region"]) == ("1.5000", "EUR", 2, "DE")
    assert row["erased"] is True
    assert row["event_id"].endswith("1"), "the envelope stays"


def test_every_personal_field_goes_and_the_content_hash_tells_nothing_of_it() -> None:
    who = known("acme", "visitor", "v-1", "v-2")
    sent = [message(visitor_id=v, session_id=f"s-{v}", referrer=f"https://a.example/{v}") for v in ("v-1", "v-2")]
    one, other = landed(who, *sent)
    assert {one[n] for n in ("visitor_id", "session_id", "referrer", "visitor_id_hash")} == {None}
    assert one["content_hash"] == other["content_hash"] == landed(Suppressed(), message())[0]["content_hash"]


def test_others_are_left_alone() -> None:
    who = known("acme", "visitor", "v-1")
    mine, others, none = landed(
        who,
        message(sequence=1, visitor_id="v-2"),
        message(sequence=2, tenant="other", visitor_id="v-1"),
        message(sequence=3),
    )
    assert [r["visitor_id"] for r in (mine, others, none)] == ["v-2", "v-1", None]
    assert [r["erased"] for r in (mine, others, none)] == [None] * 3
    (user,) = landed(known("acme", "user", "v-1"), message(visitor_id="v-1"))
    assert user["visitor_id"] == "v-1", "a user of the same name is somebody else"


def test_a_batch_that_has_to_be_halved_forgets_all_the_same() -> None:
    """The columns of a batch with a row that does not fit are made again; what was taken away then is still marked."""
    broken = message(sequence=2, region="DE", page_name="/") | {"occurred_at": "2026-11-23T07:00:00Z"}
    decoder = EventDecoder(PAGE_VIEW, KEY)
    decoder.suppressed = known("acme", "visitor", "v-1")
    values = [json.dumps(m).encode() for m in (message(sequence=1, visitor_id="v-1"), broken)]
    rows, batch = list(map(decoder.parse, values)), Batch(list(values), [0, 0], [0, 1])
    decoder.columns(rows, batch)
    assert decoder.columns(rows, batch)["erased"].to_pylist() == [True, None]


def test_a_message_cannot_call_itself_erased() -> None:
    (row,) = landed(Suppressed(), message(visitor_id="v-1") | {"erased": True})
    assert (row["erased"], row["visitor_id"]) == (None, "v-1")


def rejected(who: Suppressed, body: str, tenant: str | None = "acme", **more: Any) -> dict[str, Any]:
    decoder = rejects_decoder()
    decoder.suppressed = who
    reasons = [{"pointer": "/data/u-1/x", "keyword": "type", "message": "'u-1' is no number"}]
    value = {
        "reject_id": "r", "received_at": "2026-11-23T07:00:01Z", "stage": "collector", "reasons": reasons,
        "body": body, "body_encoding": "utf-8", "tenant": tenant, "event_type": "purchase",
    } | more  # fmt: skip
    (row,) = decoder.decode(Batch([json.dumps(value).encode()], [0], [0])).rows.to_pylist()
    return dict(row)


@pytest.mark.parametrize(
    ("body", "more"),
    [
        (json.dumps({"data": {"user_id": "u-1"}}), {}),
        (json.dumps({"data": {"wrongly_called": [["u-1"]]}}), {}),
        (json.dumps({"u-1": 1}), {}),
        (json.dumps({"page": "https://a.example/users/u-1?x=2"}), {}),
        ('{"data": {"user_id": "u-1", ', {}),
        ("user=u-1&amount=7", {}),
        ("eyJ1IjogInUtMSIs", {"body_encoding": "base64"}),
        (json.dumps({"data": {"user_id": "u-1"}}), {"tenant": None}),
    ],
)
def test_a_rejected_body_that_names_somebody_forgotten_is_not_kept(body: str, more: dict[str, Any]) -> None:
    row = rejected(known("acme", "user", "u-1"), body, **more)
    assert "u-1" not in json.dumps({**row, "received_at": ""})
    assert json.loads(row["body"]) == {"erased": True}
    assert json.loads(row["reasons"]) == [{"pointer": "", "keyword": "type", "message": "erased"}]


def test_a_number_where_an_id_should_be_names_somebody_too() -> None:
    assert "4711" not in rejected(known("acme", "user", "4711"), '{"data": {"user_id": 4711}}')["body"]


def test_other_rejected_bodies_stay_untouched() -> None:
    body = json.dumps({"data": {"user_id": "u-12"}})
    reasons = [{"pointer": "/data/u-12", "keyword": "type", "message": "'u-12' is no number"}]
    for who in (known("acme", "user", "u-1"), known("other", "user", "u-12")):
        row = rejected(who, body, reasons=reasons)
        assert (row["body"], json.loads(row["reasons"])) == (body, reasons)


def test_what_a_lander_set_aside_keeps_its_time_of_receipt_for_the_books() -> None:
    body = json.dumps({"received_at": "2026-11-23T06:00:00Z", "data": {"user_id": "u-1"}})
    kept = json.loads(rejected(known("acme", "user", "u-1"), body, stage="lander")["body"])
    assert kept == {"erased": True, "received_at": "2026-11-23T06:00:00Z"}


def test_what_is_left_is_told_from_what_senders_wrote_however_deep_that_is() -> None:
    for stage in ("collector", "lander"):
        body = json.dumps({"received_at": "2026-11-23T06:00:00.123456+00:00", "data": {"user_id": "u-1"}})
        assert is_redacted(rejected(known("acme", "user", "u-1"), body, stage=stage)["body"])
    for body in ("[" * 100_000, '{"erased": true, "user_id": "u-1"}', '{"erased": 1}', '"erased"', "{", ""):
        assert not is_redacted(body)


def test_the_list_holds_no_id_and_lists_nobody_twice(catalog: SqlCatalog) -> None:
    assert suppressed.read(catalog, KEY, 0).version == 0
    assert suppressed.add(catalog, suppressed.read(catalog, KEY, 0), Person("acme", "user", "u-1"), NOW) == 1
    again = suppressed.read(catalog, KEY, 1)
    assert suppressed.add(catalog, again, Person("acme", "user", "u-1"), NOW) == 1
    assert suppressed.add(catalog, again, Person("acme", "visitor", "u-1"), NOW) == 2
    found = suppressed.read(catalog, KEY, 2)
    assert found.holds("acme", "user", "u-1")
    assert not found.holds("acme", "user", "u-2")
    assert not found.holds("other", "user", "u-1")
    assert "u-1" not in str(catalog.load_table("quality.suppressed").scan().to_arrow().to_pylist())


def test_a_list_that_lost_entries_is_not_landed_by(catalog: SqlCatalog) -> None:
    suppressed.add(catalog, Suppressed(key=KEY), Person("acme", "user", "u-1"), NOW)
    with pytest.raises(ListTooShort, match="1 entries of 2"):
        suppressed.read(catalog, KEY, 2)


def test_a_batch_decoded_before_somebody_was_forgotten_cannot_be_committed_any_more(catalog: SqlCatalog) -> None:
    """The lander may be paused for as long as it likes: the table itself refuses its old buffer."""
    table = ensure_table(catalog, PAGE_VIEW)
    base = State.of(table.properties)
    decoder = EventDecoder(PAGE_VIEW, KEY)
    decoder.suppressed = suppressed.read(catalog, KEY, base.suppressed)
    batch = Batch([json.dumps(message(visitor_id="v-1")).encode()], [0], [0])
    early = decoder.decode(batch)

    version = suppressed.add(catalog, decoder.suppressed, Person("acme", "visitor", "v-1"), NOW)
    suppressed.require(catalog, PAGE_VIEW.table, version)
    with pytest.raises(Fenced):
        commit(catalog, table, early.rows, base, base.moved("topic", early.ends))

    table = catalog.load_table(PAGE_VIEW.table)
    base = State.of(table.properties)
    decoder.suppressed = suppressed.read(catalog, KEY, base.suppressed)
    again = decoder.decode(batch)
    table = commit(catalog, table, again.rows, base, base.moved("topic", again.ends))
    assert table.scan().to_arrow()["visitor_id"].to_pylist() == [None]
    assert State.of(table.properties).suppressed == version == 1, "the next commit asserts it as well"


def test_asking_again_for_less_changes_nothing(catalog: SqlCatalog) -> None:
    ensure_table(catalog, PAGE_VIEW)
    for version in (3, 2, 3):
        suppressed.require(catalog, PAGE_VIEW.table, version)
    assert State.of(catalog.load_table(PAGE_VIEW.table).properties).suppressed == 3
