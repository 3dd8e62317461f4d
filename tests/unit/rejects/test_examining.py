"""Which rejected events would pass: under which identity, with whose rights, and why others would not."""

import json
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collector.keys import KeyKind, WriteKey
from collector.redact import redacted
from collector.verdict import Accepted, Judge, Source
from contracts.validate import EventValidator, Violation
from rejects.recipe import Recipe
from rejects.reject import Reject
from rejects.restore import STAMPS, microseconds
from rejects.tally import Tally
from spark_jobs.reject_labels import Labels
from tests.unit.rejects.rejects_kit import (
    ID,
    NOW,
    PATTERN,
    RECEIVED,
    REGISTRY,
    examiner,
    mended,
    purchase,
    reasons,
    reject,
)

NO_DEBUG = Recipe.read('[{"op": "remove", "path": "/data/debug"}]')
TIMED = {"event_id": ID, "occurred_at": "2026-11-14T10:00:00+02:00"}


def test_an_event_keeps_its_own_id_and_time() -> None:
    found = mended(reject(purchase(debug=1) | TIMED | {"event_id": ID.upper()}), NO_DEBUG)
    assert (found.event_id, found.occurred_at) == (ID, datetime(2026, 11, 14, 8, tzinfo=UTC))
    assert found.event == purchase() | TIMED | {"event_id": ID.upper()}
    assert (found.tenant, found.event_type) == ("acme", "purchase")


def test_without_an_id_it_gets_one_that_follows_from_the_rejection_and_without_a_time_that_of_its_receipt() -> None:
    one = mended(reject(purchase(debug=1), reject_id="r-1"), NO_DEBUG)
    assert one.occurred_at == RECEIVED
    assert one.event["occurred_at"] == "2026-11-14T09:30:15.123456Z"
    assert mended(reject(purchase(debug=1), reject_id="r-1"), NO_DEBUG).event == one.event
    assert mended(reject(purchase(debug=1), reject_id="r-2"), NO_DEBUG).event_id != one.event_id
    other_patch = Recipe.read(
        '[{"op": "remove", "path": "/data/debug"}, {"op": "replace", "path": "/data/quantity", "value": 3}]'
    )
    assert mended(reject(purchase(debug=1), reject_id="r-1"), other_patch).event_id == one.event_id
    timed = mended(reject(purchase() | {"occurred_at": TIMED["occurred_at"]}, reject_id="r-1"))
    assert (timed.event_id, timed.occurred_at) == (one.event_id, datetime(2026, 11, 14, 8, tzinfo=UTC))


def test_with_an_idempotency_key_it_gets_the_id_that_its_sender_gets_by_sending_it_again() -> None:
    key = WriteKey(id="k_server", tenant="acme", kind=KeyKind.SERVER, hash="", created_at="")
    source = Source(key, microseconds(RECEIVED), idempotency_key="order-17")
    timed = purchase(debug=1) | {"occurred_at": TIMED["occurred_at"]}
    batch = [reject(event, idempotent_id=source.id_of(n)) for n, event in enumerate([timed, timed, purchase(debug=1)])]
    judge = Judge(EventValidator(REGISTRY), timedelta(minutes=5), timedelta(hours=48))
    for index in (0, 1):
        sent_again = purchase() | {"occurred_at": TIMED["occurred_at"]}
        theirs = judge.judge((sent_again, json.dumps(sent_again).encode(), None), index, source)
        assert isinstance(theirs, Accepted)
        assert mended(batch[index], NO_DEBUG).event_id == theirs.event_id
    twice = [replace(batch[0], reject_id=f"r-{n}") for n in (1, 2)]
    assert len({mended(one, NO_DEBUG).event_id for one in twice}) == 1, "a request that was repeated is one event"
    without_a_time = [replace(batch[2], reject_id=f"r-{n}") for n in (1, 2)]
    assert len({mended(one, NO_DEBUG).event_id for one in without_a_time}) == 2, "they happened when they came"


@pytest.mark.parametrize("stage", ["collector", "lander"])
@pytest.mark.parametrize("event_type", ["purchase", "page_view", None])
def test_of_what_was_erased_no_patch_makes_an_event(stage: str, event_type: str | None) -> None:
    left = redacted(
        {
            "stage": stage, "event_type": event_type, "reasons": json.dumps([PATTERN._asdict()]),
            "body": json.dumps(purchase() | {"received_at": "2026-11-14T09:30:15Z"}),
        },
        lambda _: False,
    )  # fmt: skip
    row = vars(reject({})) | left | {"stage": stage}
    one = Reject.of(row)
    anew = [{"op": "add", "path": f"/{name}", "value": value} for name, value in purchase().items()]
    gone = [{"op": "remove", "path": "/erased"}]
    for recipe in (Recipe(), Recipe.read(json.dumps(gone + anew)), Recipe(at_receipt=True)):
        assert reasons(one, recipe) == [("", "erased")]
    assert (one.erased, one.as_json()["erased"], one.version()) == (True, True, "none")
    assert [(r.pointer, r.keyword) for r in one.reasons] == [("/data/amount", "pattern")], "counted by as before"
    assert not reject(purchase()).erased


def test_an_id_without_a_time_stays_refused_unless_somebody_says_that_it_happened_when_it_was_received() -> None:
    alone = reject(purchase() | {"event_id": ID})
    assert reasons(alone) == [("", "dependentRequired")]
    found = mended(alone, Recipe(at_receipt=True))
    assert (found.event_id, found.occurred_at) == (ID, RECEIVED)


def test_an_id_that_is_none_is_removed_by_a_patch_and_follows_from_the_rejection_then() -> None:
    wrong = reject(purchase() | TIMED | {"event_id": "order 17"})
    assert reasons(wrong) == [("/event_id", "format")]
    found = mended(wrong, Recipe.read('[{"op": "remove", "path": "/event_id"}]'))
    assert uuid.UUID(found.event_id).version == 5


def test_what_passes_by_todays_contracts_passes_without_a_patch_and_what_does_not_says_why() -> None:
    assert mended(reject(purchase())).event_type == "purchase"
    assert reasons(reject(purchase(debug=1, amount="1,5"))) == [
        ("/data/amount", "pattern"),
        ("/data/debug", "additionalProperties"),
    ]
    assert reasons(reject(body=b'{"event_type": ')) == [("", "json")]
    assert reasons(reject(body=b"\xff\xfe")) == [("", "json")]
    assert reasons(reject(purchase()), NO_DEBUG) == [("", "patch")]
    assert reasons(reject([1, 2])) == [("", "type")]
    assert reasons(reject(purchase(purchase_id="p" * 40_000))) == [("", "maxBytes")]


@pytest.mark.parametrize("tenant", [None, "", "Acme", "acme\n", "../acme"])
def test_what_belongs_to_no_tenant_is_nobodys_to_repair(tenant: str | None) -> None:
    assert reasons(reject(purchase(), tenant=tenant)) == [("", "tenant")]


def test_no_patch_and_no_body_changes_whose_event_it_is() -> None:
    theirs = purchase() | {"tenant": "globex"}
    assert reasons(reject(theirs)) == [("/tenant", "additionalProperties")]
    theirs_now = patch({"op": "add", "path": "/tenant", "value": "globex"})
    assert reasons(reject(purchase()), theirs_now) == [("/tenant", "additionalProperties")]
    assert mended(reject(theirs, stage="lander", key_id=None)).tenant == "acme"


def test_a_message_that_a_lander_refused_loses_what_the_collector_had_added() -> None:
    stamps = {"tenant": "acme", "received_at": "x", "collector_id": "y", "sequence": 3, "minted": False}
    assert set(stamps) == set(STAMPS)
    message = purchase(debug=1) | TIMED | {"schema_version": 1} | stamps
    found = mended(reject(message, stage="lander", key_id=None), NO_DEBUG)
    assert found.event == purchase() | TIMED | {"schema_version": 1}
    assert reasons(reject(purchase() | {"minted": False})) == [("/minted", "additionalProperties")]


def test_the_short_form_is_patched_as_it_was_sent() -> None:
    short = {"timestamp": "2026-11-14T09:00:00Z", "region": "DE", "page": "/home"}
    sent = reject(short, event_type="page_view")
    assert reasons(sent) == [("", "required"), ("/page", "additionalProperties")]
    found = mended(sent, Recipe.read('[{"op": "move", "from": "/page", "path": "/pageName"}]'))
    assert found.event["data"] == {"region": "DE", "page_name": "/home"}
    assert found.occurred_at == datetime(2026, 11, 14, 9, tzinfo=UTC)
    nameless = reject(short | {"pageName": "/home"}, event_type=None)
    assert ("", "required") in reasons(nameless), "an event that names no type is no short form"


def test_a_repair_lets_nothing_in_that_the_key_could_not_have_sent_then() -> None:
    def view(hours: float) -> dict[str, Any]:
        at = RECEIVED - timedelta(hours=hours)
        return {
            "event_type": "page_view", "event_id": ID, "occurred_at": at.isoformat(),
            "data": {"region": "DE", "page_name": "/"},
        }  # fmt: skip

    too_old, too_new = view(49), view(-1)
    assert reasons(reject(too_old, key_id="k_browser")) == [("/occurred_at", "minimum")]
    assert mended(reject(view(47), key_id="k_browser")).event_type == "page_view"
    assert mended(reject(too_old, key_id="k_server")).event_type == "page_view"
    assert reasons(reject(too_old, key_id="k_nobody_knows")) == [("/occurred_at", "minimum")]
    assert reasons(reject(too_new)) == [("/occurred_at", "maximum")], "though that hour is long past"
    assert reasons(reject(purchase(), key_id="k_browser")) == [("/event_type", "browser")]
    assert reasons(reject(purchase(), key_id="k_nobody_knows")) == [("/event_type", "browser")]


def test_what_would_land_where_nothing_is_counted_is_not_sent() -> None:
    kept = REGISTRY.newest("purchase").retention_days
    one = reject(purchase())
    assert mended(one, by=examiner(RECEIVED + timedelta(days=kept, minutes=-11))).occurred_at == RECEIVED
    assert reasons(one, by=examiner(RECEIVED + timedelta(days=kept, minutes=-9))) == [("/occurred_at", "minimum")]
    assert mended(one, by=examiner(purchase=RECEIVED)).occurred_at == RECEIVED
    assert reasons(one, by=examiner(purchase=RECEIVED + timedelta(days=1))) == [("/occurred_at", "minimum")]
    assert mended(one, by=examiner(signup=NOW)).occurred_at == RECEIVED


def patch(*operations: dict[str, Any]) -> Recipe:
    return Recipe.read(json.dumps(operations))


OTHER_ID = "11111111-2222-4333-8444-555555555555"
NEW_TIME = {"op": "replace", "path": "/occurred_at", "value": "2026-11-14T09:00:00Z"}
NO_TIME = {"op": "remove", "path": "/occurred_at"}
NO_ID = {"op": "remove", "path": "/event_id"}
MOVED_ID = {"op": "move", "from": "/data/id", "path": "/event_id"}


@pytest.mark.parametrize(
    ("operation", "field"), [(NEW_TIME, "/occurred_at"), (NO_TIME, "/occurred_at"), (NO_ID, "/event_id")]
)
def test_a_patch_changes_no_id_and_no_time_with_which_nothing_was_wrong(operation: dict[str, Any], field: str) -> None:
    assert reasons(reject(purchase() | TIMED), patch(operation)) == [(field, "patch")]
    wrong = Violation(field, "format", "is wrong")
    recipe = Recipe(patch(operation).patch, at_receipt=True)
    assert mended(reject(purchase() | TIMED, reasons=(wrong, PATTERN)), recipe).event_type == "purchase"


def test_an_id_is_given_to_an_event_that_had_none_and_a_time_to_one_that_had_one_of_no_use() -> None:
    found = mended(reject(purchase(id=OTHER_ID) | {"occurred_at": TIMED["occurred_at"]}), patch(MOVED_ID))
    assert found.event_id == OTHER_ID
    assert reasons(reject(purchase(id=OTHER_ID) | TIMED), patch(MOVED_ID)) == [("/event_id", "patch")]
    assert mended(reject(purchase() | TIMED | {"occurred_at": "yesterday"}), patch(NEW_TIME)).event_id == ID


def test_the_same_instant_and_the_same_id_written_otherwise_are_the_same() -> None:
    same = {"op": "replace", "path": "/occurred_at", "value": "2026-11-14T08:00:00Z"}
    assert mended(reject(purchase() | TIMED | {"event_id": ID.upper()}), patch(same)).event_id == ID


def test_the_short_form_keeps_its_id_and_time_too() -> None:
    short = {"timestamp": "2026-11-14T09:00:00Z", "region": "DE", "pageName": "/", "eventId": ID, "debug": 1}
    sent = reject(short, event_type="page_view")
    no_debug = {"op": "remove", "path": "/debug"}
    assert mended(sent, patch(no_debug)).event_id == ID
    assert reasons(sent, patch(no_debug, {"op": "remove", "path": "/eventId"})) == [("/eventId", "patch")]
    later = {"op": "replace", "path": "/timestamp", "value": "2026-11-14T09:00:01Z"}
    assert reasons(sent, patch(no_debug, later)) == [("/timestamp", "patch")]


@pytest.mark.parametrize("depth", [50, 250, 500, 700, 900, 5000])
def test_an_event_nested_deeply_stays_refused_and_stops_no_repair(depth: int) -> None:
    body = json.dumps(purchase(amount=1, debug="deep")).replace('"deep"', "[" * depth + "]" * depth).encode()
    assert reasons(reject(body=body))
    assert reasons(reject(body=body), Recipe.read('[{"op": "remove", "path": "/data/region"}]'))
    assert reasons(reject(body=body), Recipe.read('[{"op": "copy", "from": "/data", "path": "/data/copied"}]'))


FIELDS_SENT = [
    "event_type", "data", "event_id", "occurred_at", "schema_version", "timestamp", "eventId", "region", "pageName",
    "amount",
]  # fmt: skip
BODIES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4) | st.just(ID) | st.just("2026-11-14"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS_SENT), inner, max_size=4),
    max_leaves=10,
)
ANY_PATCH = st.lists(
    st.builds(
        lambda op, path, source, value: {"op": op, "path": path, "from": source, "value": value},
        st.sampled_from(["move", "copy", "test", "remove", "add", "replace"]),
        st.sampled_from(["/data", "/data/amount", "/data/amount/0", "/data/-", "/eventId2", "/0/data"]),
        st.sampled_from(["", "/data", "/event_id", "/occurred_at", "/data/region", "/timestamp", "/0"]),
        BODIES,
    ),
    min_size=1,
    max_size=4,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=200)
@given(BODIES, ANY_PATCH, st.sampled_from([None, "page_view", "purchase"]), st.sampled_from(["collector", "lander"]))
def test_no_body_and_no_patch_stops_a_repair(
    body: Any, operations: list[dict[str, Any]], type_: str | None, stage: str
) -> None:
    one = reject(body=json.dumps(body).encode(), event_type=type_, stage=stage)
    assert TODAY.examine(one, Recipe(tuple(operations), True))
    assert TODAY.examine(one, Recipe())


TODAY, AN_HOUR_LATER = examiner(), examiner(NOW + timedelta(hours=1))
FIELDS = st.dictionaries(
    st.sampled_from(["debug", "amount", "quantity", "region", "user_id"]),
    st.none() | st.integers() | st.floats() | st.text(max_size=6) | st.just("3.50"),
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=50)
@given(FIELDS, st.sampled_from([{}, {"event_id": ID}, TIMED]), st.uuids(), st.booleans())
def test_the_same_rejection_has_the_same_verdict_and_identity_whenever_it_is_asked(
    fields: dict[str, Any], envelope: dict[str, Any], reject_id: uuid.UUID, at_receipt: bool
) -> None:
    body = json.dumps(purchase(**fields) | envelope).encode()  # NaN and infinity too, as some senders write them
    recipe = Recipe(NO_DEBUG.patch if "debug" in fields else None, at_receipt)
    first = TODAY.examine(reject(body=body, reject_id=str(reject_id)), recipe)
    again = AN_HOUR_LATER.examine(reject(body=body, reject_id=str(reject_id)), recipe)
    assert again == first


def test_numbers_add_up_and_each_reason_has_one_example_that_repeats_no_value() -> None:
    tally = Tally(Labels(REGISTRY))
    found = [
        reject(purchase()),
        reject(purchase(jane=1, amount="x"), reject_id="r-2"),
        reject(purchase(bob=1), reject_id="r-3"),
        reject(body=b"{", event_type=None, reasons=(Violation("", "json", "is no JSON"),)),
    ]
    for one in found:
        tally.add(examiner().examine(one, Recipe()))
    said = tally.as_json()
    assert (said["seen"], said["would_pass"], said["still_refused"]) == (4, 1, 3)
    assert said["passing"] == [{"tenant": "acme", "event_type": "purchase", "events": 1}]
    by_kind = {
        (r["event_type"], r["reason"], r["field"]): (r["events"], r["example"]["reject_id"]) for r in said["reasons"]
    }
    assert by_kind == {
        ("purchase", "additionalProperties", "/data/(unknown)"): (2, "r-2"),
        ("purchase", "pattern", "/data/amount"): (1, "r-2"),
        ("(none)", "json", ""): (1, "0190-1"),
    }
