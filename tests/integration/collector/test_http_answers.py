"""A collector over real HTTP and Kafka: every code of the table, and that the served OpenAPI document is true."""

import gzip
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest

from tests.integration.collector.harness import (
    BROWSER_KEY,
    SERVER_KEY,
    TENANT,
    Broker,
    CollectorProcess,
    closing,
    view,
    wait_until,
)

ORIGIN = "https://shop.example"
BOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
INVALID = {"event_type": "page_view", "data": {"region": "de"}}


@pytest.fixture(scope="module")
def serving(shared_broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CollectorProcess]:
    made = CollectorProcess(shared_broker.login, tmp_path_factory.mktemp("serving"))
    made.start(COLLECTOR_CORS_ORIGINS=ORIGIN)
    yield made
    assert made.stop() == 0


@pytest.fixture(scope="module")
def schema(serving: CollectorProcess) -> dict[str, Any]:
    document: dict[str, Any] = serving.http.get(f"{serving.url}/openapi.json").json()
    return document


def true_to(schema: dict[str, Any], answer: httpx.Response, path: str = "/events") -> httpx.Response:
    """The answer, once it is what the OpenAPI document says of its code."""
    said = schema["paths"][path]["post"]["responses"][str(answer.status_code)]
    body = {**said["content"]["application/json"]["schema"], "components": schema["components"]}
    jsonschema.Draft202012Validator(body, format_checker=jsonschema.FormatChecker()).validate(answer.json())
    assert answer.headers["content-type"] == "application/json"
    for header in said.get("headers", {}):
        assert int(answer.headers[header]) >= 1
    return answer


def post(serving: CollectorProcess, content: bytes, **headers: str) -> httpx.Response:
    given = {"Content-Type": "application/json", **{name.replace("_", "-"): value for name, value in headers.items()}}
    return serving.http.post(f"{serving.url}/events", content=content, headers=given)


def test_200_for_one_object_an_array_and_lines_plain_or_gzip(serving: CollectorProcess, schema: dict[str, Any]) -> None:
    events = [view(n) for n in range(10)]
    lines = b"\n".join(json.dumps(event).encode() for event in events)
    answers = [
        serving.send(events[0]),
        serving.send(*events),
        post(serving, lines, Content_Type="application/x-ndjson"),
        post(serving, gzip.compress(lines), Content_Type="application/x-ndjson", Content_Encoding="gzip"),
        post(serving, gzip.compress(json.dumps(events).encode()), Content_Encoding="gzip"),
    ]
    for answer, count in zip(answers, (1, 10, 10, 10, 10), strict=True):
        assert true_to(schema, answer).status_code == 200
        assert [r["event_id"] for r in answer.json()["results"]] == [e["event_id"] for e in events[:count]]


def test_a_body_of_unknown_length_is_taken(serving: CollectorProcess) -> None:
    def chunks() -> Iterator[bytes]:
        body = json.dumps(view(1)).encode()
        yield body[:20]
        yield body[20:]

    headers = {"Content-Type": "application/json"}
    assert serving.http.post(f"{serving.url}/events", content=chunks(), headers=headers).status_code == 200


def test_207_gives_a_verdict_each_in_order(serving: CollectorProcess, schema: dict[str, Any]) -> None:
    answer = true_to(schema, serving.send(view(1), INVALID, view(2)))
    assert answer.status_code == 207
    assert [r["status"] for r in answer.json()["results"]] == ["accepted", "rejected", "accepted"]
    reasons = {(r["pointer"], r["keyword"]) for r in answer.json()["results"][1]["reasons"]}
    assert reasons == {("/data", "required"), ("/data/region", "pattern")}


def test_400_when_no_event_is_acceptable_or_nothing_can_be_read(
    serving: CollectorProcess, schema: dict[str, Any]
) -> None:
    rejected = true_to(schema, serving.send(INVALID, {"event_type": "none", "data": {}}))
    assert (rejected.status_code, rejected.json()["rejected"]) == (400, 2)
    assert true_to(schema, post(serving, b"no json")).json()["results"][0]["reasons"][0]["keyword"] == "json"
    assert true_to(schema, post(serving, b"")).json()["error"] == "empty_body"
    assert true_to(schema, post(serving, b"no gzip", Content_Encoding="gzip")).json()["error"] == "bad_gzip"
    bad_key = post(serving, json.dumps(view(1)).encode(), Idempotency_Key="x" * 300)
    assert true_to(schema, bad_key).json()["error"] == "bad_idempotency_key"


def test_a_rejected_event_is_in_kafka_untouched_with_its_reasons_before_the_answer(
    serving: CollectorProcess, shared_broker: Broker
) -> None:
    since = shared_broker.ends("rejected_events")
    body = b'{"event_type":  "page_view", "data": {"region": "de"}}'
    answer = post(serving, body, Watershed_Line="42")
    assert answer.status_code == 400
    (message,) = shared_broker.read("rejected_events", since)
    assert (message["body"], message["body_encoding"]) == (body.decode(), "utf-8")
    assert message["reasons"] == answer.json()["results"][0]["reasons"]
    assert (message["tenant"], message["event_type"], message["stage"], message["line"]) == (
        TENANT,
        "page_view",
        "collector",
        42,
    )
    for nonsense in ("9" * 30, "9" * 5000, "x"):
        since = shared_broker.ends("rejected_events")
        assert post(serving, body, Watershed_Line=nonsense).status_code == 400
        assert [m["line"] for m in shared_broker.read("rejected_events", since)] == [None]
    since = shared_broker.ends("rejected_events")
    assert post(serving, b"\xff\x00").status_code == 400
    (message,) = shared_broker.read("rejected_events", since)
    assert (message["body"], message["body_encoding"]) == ("/wA=", "base64")


def test_401_without_a_usable_key(serving: CollectorProcess, schema: dict[str, Any]) -> None:
    for header in ("", "Bearer", "Bearer wrong", f"Basic {SERVER_KEY}"):
        answer = true_to(schema, post(serving, b"{}", Authorization=header))
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Bearer")


def test_a_key_made_rotated_or_revoked_by_command_counts_within_seconds(serving: CollectorProcess) -> None:
    made = json.loads(
        serving.watershed("keys", "create", "--tenant", "other", "--kind", "server", "--json").splitlines()[-1]
    )

    def status(secret: str) -> int:
        return post(serving, json.dumps(view(1)).encode(), Authorization=f"Bearer {secret}").status_code

    wait_until(lambda: status(made["key"]) == 200, 5, "the new key works")
    rotated = serving.watershed("keys", "rotate", made["id"], "--grace-hours", "0", "--json").splitlines()[-1]
    fresh = json.loads(rotated)
    wait_until(lambda: status(made["key"]) == 401, 5, "the old key ends")
    assert status(fresh["key"]) == 200
    serving.watershed("keys", "revoke", fresh["id"])
    wait_until(lambda: status(fresh["key"]) == 401, 5, "the revoked key ends")
    assert made["key"] not in serving.keys_file.read_text()


def test_413_for_too_many_events_or_bytes_and_an_event_over_its_bound_is_rejected_alone(
    serving: CollectorProcess, schema: dict[str, Any]
) -> None:
    assert true_to(schema, serving.send(*[1] * 1001)).json()["error"] == "too_many_events"
    assert true_to(schema, post(serving, b"[" + b" " * 1_000_000 + b"]")).json()["error"] == "body_too_large"
    bomb = gzip.compress(b" " * 50_000_000)
    assert len(bomb) < 60_000
    assert true_to(schema, post(serving, bomb, Content_Encoding="gzip")).status_code == 413
    large = serving.send(view(1), view(2, referrer="x" * 33_000))
    assert (large.status_code, large.json()["results"][1]["reasons"][0]["keyword"]) == (207, "maxBytes")


def test_the_largest_body_there_is_can_be_rejected(serving: CollectorProcess, shared_broker: Broker) -> None:
    since = shared_broker.ends("rejected_events")
    body = b"\xff" * 999_999
    assert post(serving, body).status_code == 400
    (message,) = shared_broker.read("rejected_events", since)
    assert message["body_encoding"] == "base64"


def test_408_for_a_body_that_does_not_come(broker: Broker, collector: CollectorProcess) -> None:
    collector.start(COLLECTOR_BODY_SECONDS="0.5")
    for length in ("Content-Length: 100", "Transfer-Encoding: chunked"):
        with socket.create_connection(("127.0.0.1", collector.port), timeout=10) as slow:
            head = f"POST /events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {SERVER_KEY}\r\n{length}\r\n\r\n"
            slow.sendall(head.encode())
            assert b" 408 " in slow.recv(100)
    assert collector.metric("watershed_collector_in_flight") == 0
    assert collector.send(view(1)).status_code == 200


def test_415_for_what_is_not_read(serving: CollectorProcess, schema: dict[str, Any]) -> None:
    for headers in ({"Content_Type": "application/x-www-form-urlencoded"}, {"Content_Encoding": "br"}):
        assert true_to(schema, post(serving, b"{}", **headers)).status_code == 415


def test_a_beacon_sends_plain_text_with_the_key_in_the_query(serving: CollectorProcess) -> None:
    with httpx.Client(trust_env=False) as browser:
        headers = {"Content-Type": "text/plain;charset=UTF-8", "Origin": "https://elsewhere.example", "User-Agent": BOT}
        url = f"{serving.url}/events?key={BROWSER_KEY}"
        assert browser.post(url, content=json.dumps(view(1)), headers=headers).status_code == 200
        signup = {"event_type": "signup", "data": {"user_id": "u", "region": "DE", "channel": "web"}}
        refused = browser.post(url, content=json.dumps(signup), headers=headers)
        assert refused.json()["results"][0]["reasons"][0]["keyword"] == "browser"


def test_the_short_form_lands_as_a_page_view(
    serving: CollectorProcess, schema: dict[str, Any], shared_broker: Broker
) -> None:
    since = shared_broker.ends("events.page_view")
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    answer = serving.send({"timestamp": now, "region": "FR", "pageName": "/short"}, path="/page-view")
    assert true_to(schema, answer, "/page-view").status_code == 200
    (message,) = shared_broker.read("events.page_view", since)
    assert message["data"] == {"region": "FR", "page_name": "/short"}
    assert message["minted"] is True
    assert message["tenant"] == TENANT


def test_cors_is_for_origins_on_the_list(serving: CollectorProcess) -> None:
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    yes = serving.http.options(f"{serving.url}/events", headers={"Origin": ORIGIN, **asked})
    assert yes.status_code == 204
    assert yes.headers["access-control-allow-origin"] == ORIGIN
    assert "authorization" in yes.headers["access-control-allow-headers"]
    no = serving.http.options(f"{serving.url}/events", headers={"Origin": "https://evil.example", **asked})
    assert "access-control-allow-origin" not in no.headers
    answer = serving.http.post(f"{serving.url}/events", json=view(1), headers={"Origin": ORIGIN})
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert answer.headers["access-control-expose-headers"] == "retry-after"


def test_the_tracker_is_packed_for_whoever_takes_it_and_cached_apart_for_each_origin(serving: CollectorProcess) -> None:
    url = f"{serving.url}/tracker.js"
    packed = serving.http.get(url, headers={"Accept-Encoding": "gzip", "Origin": ORIGIN})
    plain = serving.http.get(url, headers={"Accept-Encoding": "identity"})
    assert packed.headers["content-encoding"] == "gzip"
    assert int(packed.headers["content-length"]) <= 3 * 1024
    assert "content-encoding" not in plain.headers
    assert packed.text == plain.text
    assert packed.headers["access-control-allow-origin"] == ORIGIN
    for answer in (packed, plain):
        assert answer.headers["vary"] == "accept-encoding, origin"


def test_what_is_read_is_there_and_the_rest_is_not(serving: CollectorProcess, schema: dict[str, Any]) -> None:
    for path, item in schema["paths"].items():
        if "get" not in item:
            continue
        answer = serving.http.get(serving.url + path)
        assert answer.status_code == 200, path
        media_type = answer.headers["content-type"].partition(";")[0]
        assert media_type in item["get"]["responses"]["200"]["content"], path
    assert serving.http.get(f"{serving.url}/nothing").status_code == 404
    assert serving.http.get(f"{serving.url}/events").status_code == 405
    assert serving.http.head(f"{serving.url}/health/live").status_code == 200
    types = {c["event_type"] for c in serving.http.get(f"{serving.url}/contracts").json()["contracts"]}
    assert {"page_view", "purchase"} <= types


def test_429_says_when_to_come_back(broker: Broker, collector: CollectorProcess, schema: dict[str, Any]) -> None:
    collector.start(
        COLLECTOR_KEY_EVENTS_PER_SECOND="1", COLLECTOR_KEY_BURST_EVENTS="10", COLLECTOR_ADDRESS_BURST_REQUESTS="1000"
    )
    assert collector.send(*[view(n) for n in range(10)]).status_code == 200
    answer = true_to(schema, collector.send(view(11), view(12), view(13)))
    assert answer.status_code == 429
    assert 2 <= int(answer.headers["retry-after"]) <= 3
    other = collector.http.post(
        f"{collector.url}/events", json=view(1), headers={"Authorization": f"Bearer {BROWSER_KEY}"}
    )
    assert other.status_code == 200, "another key's bucket"
    collector.stop()
    collector.start(
        COLLECTOR_ADDRESS_REQUESTS_PER_SECOND="0.01",
        COLLECTOR_ADDRESS_BURST_REQUESTS="2",
        COLLECTOR_TRUSTED_PROXIES="127.0.0.1/32",
    )
    codes = [post(collector, b"{}", Authorization="Bearer guess").status_code for _ in range(3)]
    assert codes == [401, 401, 429], "guessing keys is limited too"

    def behind_a_proxy(claimed: str) -> int:
        lines = [("X-Forwarded-For", claimed), ("X-Forwarded-For", "192.0.2.1"), ("Authorization", "Bearer guess")]
        return httpx.post(f"{collector.url}/events", content=b"{}", headers=lines, trust_env=False).status_code

    codes = [behind_a_proxy(f"198.51.100.{number}") for number in range(3)]
    assert codes == [401, 401, 429], "what a client claims above its proxy's line is not believed"


def test_receipts_say_what_was_taken_and_a_stop_closes_them(broker: Broker, collector: CollectorProcess) -> None:
    since = broker.ends("collector_receipts")
    collector.start()
    metric = {"event_type": "metric", "data": {"source": "s", "metric_type": "m", "value": "1"}}
    collector.send(view(1), INVALID, metric)
    collector_id = next(line["collector_id"] for line in collector.logged() if line["event"] == "collecting")

    def receipts() -> list[dict[str, Any]]:
        return [r for r in broker.read("collector_receipts", since) if r["collector_id"] == collector_id]

    wait_until(lambda: [r for r in receipts() if r["assigned"] == 3 and not r["closed"]], 10, "one while running")
    assert collector.stop() == 0
    last = closing(broker, collector_id)
    assert last is not None
    assert last == {**last, "assigned": 3, "acknowledged": 3, "void": [], "in_doubt": [], "closed": True}
    counts = {c["event_type"]: (c["accepted"], c["rejected"], c["minted"]) for c in last["cells"]}
    assert counts == {"page_view": (1, 1, 0), "metric": (1, 0, 1)}
    assert list(collector.state.glob("*/*")) == [], "nothing is left to take over"


def test_requests_at_work_are_answered_before_a_stop(
    broker: Broker, collector: CollectorProcess, tmp_path: Path
) -> None:
    collector.start(COLLECTOR_LINGER_MS="900")
    import threading

    codes: list[int] = []
    clients = [threading.Thread(target=lambda n=n: codes.append(collector.send(view(n)).status_code)) for n in range(8)]
    for client in clients:
        client.start()
    wait_until(lambda: collector.metric("watershed_collector_in_flight") == 8, 5, "all are at work")
    assert collector.stop() == 0
    for client in clients:
        client.join()
    assert codes == [200] * 8
