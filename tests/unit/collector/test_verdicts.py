"""The verdict on one event: rights of the key, bounds of time, ids, bots, and the short form."""

import asyncio
import json
import re
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from collector import bots
from collector.flight import Flight
from collector.keys import KeyKind, WriteKey
from collector.verdict import Accepted, Judge, Rejected, Source
from contracts.registry import Contract, Registry
from contracts.validate import MOST_REASONS, EventValidator

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
CHROME = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0 Safari/537.36"
GOOGLEBOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
JUDGE = Judge(EventValidator(Registry.load()), timedelta(minutes=5), timedelta(hours=48))


def key(kind: KeyKind = KeyKind.SERVER, tenant: str = "acme") -> WriteKey:
    return WriteKey(id="k_1", tenant=tenant, kind=kind, hash="", created_at=NOW.isoformat())


def source(kind: KeyKind = KeyKind.SERVER, **more: Any) -> Source:
    return Source(key=key(kind), received_us=int(NOW.timestamp() * 1e6), **more)


def view(**more: Any) -> dict[str, Any]:
    return {"event_type": "page_view", "data": {"region": "DE", "page_name": "/"}, **more}


def at(when: datetime) -> str:
    return when.isoformat()


def judged(event: Any, by: Source | None = None, index: int = 0) -> Accepted | Rejected:
    return JUDGE.judge((event, json.dumps(event).encode(), None), index, by or source())


def accepted(event: Any, by: Source | None = None, index: int = 0) -> Accepted:
    verdict = judged(event, by, index)
    assert isinstance(verdict, Accepted), verdict
    return verdict


def reasons(event: Any, by: Source | None = None) -> list[tuple[str, str]]:
    verdict = judged(event, by)
    assert isinstance(verdict, Rejected), verdict
    return [(reason.pointer, reason.keyword) for reason in verdict.reasons]


def test_without_a_time_an_event_happened_when_it_was_received() -> None:
    assert accepted(view()).occurred_at == "2026-11-23T12:00:00.000000Z"


def test_times_are_kept_in_utc_to_the_microsecond() -> None:
    assert accepted(view(occurred_at="2026-11-23T13:59:58.1234567+02:00")).occurred_at == "2026-11-23T11:59:58.123456Z"


@pytest.mark.parametrize("kind", list(KeyKind))
def test_no_key_may_send_more_than_five_minutes_ahead(kind: KeyKind) -> None:
    accepted(view(occurred_at=at(NOW + timedelta(minutes=5))), source(kind))
    late = view(occurred_at=at(NOW + timedelta(minutes=5, microseconds=1)))
    assert reasons(late, source(kind)) == [("/occurred_at", "maximum")]


def test_browser_keys_may_send_48_hours_back_and_no_further() -> None:
    accepted(view(occurred_at=at(NOW - timedelta(hours=48))), source(KeyKind.BROWSER))
    old = view(occurred_at=at(NOW - timedelta(hours=48, microseconds=1)))
    assert reasons(old, source(KeyKind.BROWSER)) == [("/occurred_at", "minimum")]


@pytest.mark.parametrize("kind", [KeyKind.SERVER, KeyKind.IMPORT])
def test_server_and_import_keys_may_send_as_far_back_as_the_type_is_kept(kind: KeyKind) -> None:
    kept = timedelta(days=Registry.load().newest("page_view").retention_days)
    accepted(view(occurred_at=at(NOW - kept)), source(kind))
    assert reasons(view(occurred_at=at(NOW - kept - timedelta(seconds=1))), source(kind)) == [
        ("/occurred_at", "minimum")
    ]


def test_browser_keys_send_only_types_for_browsers() -> None:
    signup = {"event_type": "signup", "data": {"user_id": "u", "region": "DE", "channel": "web"}}
    accepted(signup)
    assert reasons(signup, source(KeyKind.BROWSER)) == [("/event_type", "browser")]


def test_a_clients_id_is_kept_in_lower_case_and_not_minted() -> None:
    verdict = accepted(view(event_id="AAAAAAAA-0000-4000-8000-00000000000A", occurred_at=at(NOW)))
    assert (verdict.event_id, verdict.minted) == ("aaaaaaaa-0000-4000-8000-00000000000a", False)


def test_an_id_without_a_time_is_rejected() -> None:
    assert reasons(view(event_id=str(uuid.uuid4()))) == [("", "dependentRequired")]


def test_without_an_id_one_is_minted_and_booked_as_such() -> None:
    one, two = accepted(view(occurred_at=at(NOW))), accepted(view(occurred_at=at(NOW)))
    assert one.minted
    assert one.event_id != two.event_id
    uuid.UUID(one.event_id)


def test_an_idempotency_key_with_the_clients_time_gives_the_same_id_again() -> None:
    by = source(idempotency_key="order-7")
    first = accepted(view(occurred_at=at(NOW)), by, index=3)
    assert not first.minted
    assert accepted(view(occurred_at=at(NOW)), by, index=3).event_id == first.event_id
    others = [
        accepted(view(occurred_at=at(NOW)), by, index=4),
        accepted(view(occurred_at=at(NOW)), source(idempotency_key="order-8"), index=3),
        accepted(
            view(occurred_at=at(NOW)),
            Source(key=key(tenant="other"), received_us=by.received_us, idempotency_key="order-7"),
            3,
        ),
    ]
    assert len({first.event_id, *(o.event_id for o in others)}) == 4


def test_an_idempotency_key_without_the_clients_time_promises_nothing() -> None:
    assert accepted(view(), source(idempotency_key="order-7")).minted


@pytest.mark.parametrize(("agent", "bot"), [(CHROME, False), (GOOGLEBOT, True), ("", False)])
def test_a_browsers_view_is_a_bots_by_its_agent(agent: str, bot: bool) -> None:
    assert json.loads(accepted(view(), source(KeyKind.BROWSER, user_agent=agent)).data)["is_bot"] is bot


def test_of_an_agent_no_more_is_kept_than_is_looked_at() -> None:
    """A header may have 400,000 characters, and who has a browser key can send as many of them as they like."""
    before = bots._is_bot.cache_info().currsize
    for number in range(50):
        assert bots.is_bot(GOOGLEBOT + " " * 512 + str(number))
    assert bots._is_bot.cache_info().currsize <= before + 1


def test_the_short_form_has_no_more_reasons_than_another() -> None:
    verdict = judged({**SHORT, **{f"f{number}": 1 for number in range(3000)}}, source(short_form=True))
    assert isinstance(verdict, Rejected)
    assert len(verdict.reasons) == MOST_REASONS
    assert any(reason.keyword == "more" for reason in verdict.reasons)


def test_what_the_client_says_of_bots_stands() -> None:
    event = view()
    event["data"]["is_bot"] = False
    assert json.loads(accepted(event, source(KeyKind.BROWSER, user_agent=GOOGLEBOT)).data)["is_bot"] is False


def test_a_servers_agent_says_nothing_about_the_visitor() -> None:
    assert "is_bot" not in json.loads(accepted(view(), source(user_agent=GOOGLEBOT)).data)


def test_the_partition_key_is_the_contracts_field_or_the_id() -> None:
    event = view()
    event["data"]["visitor_id"] = "v1"
    assert accepted(event).partition_key == "v1"
    del event["data"]["visitor_id"]
    verdict = accepted(event)
    assert verdict.partition_key == verdict.event_id


def test_whole_numbers_written_as_floats_become_integers() -> None:
    request = {"service": "s", "method": "GET", "path": "/", "status": 200.0, "duration_ms": 3, "region": "DE"}
    assert b'"status":200,' in accepted({"event_type": "request_log", "data": request}).data


def test_every_reason_is_given_with_the_untouched_text() -> None:
    event = {"event_type": "page_view", "event_id": "x", "data": {"region": "de", "page": "/"}}
    verdict = judged(event)
    assert isinstance(verdict, Rejected)
    assert verdict.body == json.dumps(event).encode()
    assert verdict.event_type == "page_view"
    assert {(r.pointer, r.keyword) for r in verdict.reasons} >= {
        ("/event_id", "format"),
        ("", "dependentRequired"),
        ("/data/page", "additionalProperties"),
        ("/data/region", "pattern"),
        ("/data", "required"),
    }


@pytest.mark.parametrize("event", [None, 1, "text", [], {"event_type": 7}, {"event_type": "x y"}])
def test_what_is_no_event_is_rejected_without_a_type(event: Any) -> None:
    verdict = judged(event)
    assert isinstance(verdict, Rejected)
    assert verdict.event_type is None


@pytest.mark.parametrize("contract", list(Registry.load()), ids=lambda c: c.type)
def test_a_nul_character_reaches_no_database_through_any_field(contract: Contract) -> None:
    example = next(Path(Registry.load().path, contract.type, "examples").glob("*.pass.json"))
    for field in contract.fields:
        event = json.loads(example.read_text())
        event["data"][field.name] = {"k": "a\0b"} if field.kind == "map" else "a\0b"
        assert any(pointer.startswith(f"/data/{field.name}") for pointer, _ in reasons(event)), field.name


SHORT = {"timestamp": "2026-11-23T11:00:00Z", "region": "DE", "pageName": "/home"}


def test_the_short_form_is_the_same_event() -> None:
    verdict = accepted(
        {**SHORT, "eventId": "aaaaaaaa-0000-4000-8000-00000000000a", "visitorId": "v1"}, source(short_form=True)
    )
    assert verdict.contract.type == "page_view"
    assert (verdict.event_id, verdict.occurred_at) == (
        "aaaaaaaa-0000-4000-8000-00000000000a",
        "2026-11-23T11:00:00.000000Z",
    )
    assert json.loads(verdict.data) == {"region": "DE", "page_name": "/home", "visitor_id": "v1"}


@pytest.mark.parametrize(
    ("form", "found"),
    [
        ({}, [("", "required")] * 3),
        ({**SHORT, "region": "de"}, [("/region", "pattern")]),
        ({**SHORT, "timestamp": "yesterday"}, [("/timestamp", "format")]),
        ({**SHORT, "timestamp": "2026-11-23T12:06:00Z"}, [("/timestamp", "maximum")]),
        ({**SHORT, "eventId": 5}, [("/eventId", "type")]),
        ({**SHORT, "page_name": "/"}, [("/page_name", "additionalProperties")]),
        ([], [("", "type")]),
    ],
)
def test_the_short_form_is_judged_in_its_own_names(form: Any, found: list[tuple[str, str]]) -> None:
    given = reasons(form, source(short_form=True))
    assert [reason for reason in given if reason in found] == sorted(found)
    assert not any(re.match("/(data|event_|occurred)", pointer) for pointer, _ in given)


def test_a_rejection_keeps_the_id_that_its_idempotency_key_gives_it() -> None:
    async def messages(by: Source) -> list[dict[str, Any]]:
        book: Any = SimpleNamespace(collector_id="c" * 16)
        verdicts = [judged({"event_type": "page_view"}, by, index) for index in range(2)]
        return [json.loads(m.value) for m in Flight(book, 0, verdicts, by).messages(41, frozenset({"page_view"}))]

    by = source(idempotency_key="batch-7")
    accepted_again = [accepted(view(occurred_at=at(NOW)), by, index).event_id for index in range(2)]
    assert [m["idempotent_id"] for m in asyncio.run(messages(by))] == accepted_again
    assert [m["idempotent_id"] for m in asyncio.run(messages(source()))] == [None, None]
