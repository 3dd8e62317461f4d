"""The sender tries again what may succeed, with the same ids, and nothing else."""

import gzip
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx
import pytest

from collector.sender import Away, Report, Sender, SendError

Answer = Callable[[httpx.Request], httpx.Response]


def events_of(request: httpx.Request) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(gzip.decompress(request.content))
    return found


def accept(request: httpx.Request) -> httpx.Response:
    results = [{"index": i, "status": "accepted", "event_id": e["event_id"]} for i, e in enumerate(events_of(request))]
    return httpx.Response(200, json={"accepted": len(results), "rejected": 0, "results": results})


def sender(answer: Answer, pauses: list[float] | None = None, **changes: Any) -> Sender:
    sleep = pauses.append if pauses is not None else lambda _: None
    return Sender("http://collector/", "key", transport=httpx.MockTransport(answer), sleep=sleep, **changes)


def event(n: int) -> dict[str, Any]:
    data = {"region": "DE", "page_name": f"/{n}"}
    return {"event_id": f"id-{n}", "event_type": "page_view", "occurred_at": "2026-11-23T07:00:00Z", "data": data}


def test_events_go_out_in_batches_with_the_key() -> None:
    seen: list[tuple[int, str]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append((len(events_of(request)), request.headers["Authorization"]))
        return accept(request)

    report = sender(answer, batch=400).send(event(n) for n in range(1000))
    assert seen == [(400, "Bearer key"), (400, "Bearer key"), (200, "Bearer key")]
    assert (report.sent, report.accepted, report.rejected, report.requests) == (1000, 1000, 0, 3)


def test_a_batch_never_outgrows_a_request() -> None:
    sizes: list[int] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sizes.append(len(gzip.decompress(request.content)))
        return accept(request)

    big = [{**event(n), "data": {"page_name": "x" * 30_000}} for n in range(100)]
    sender(answer).send(big)
    assert max(sizes) < 1_000_000
    assert len(sizes) > 3


@pytest.mark.parametrize(
    "trouble", [httpx.ConnectError("away"), httpx.ReadTimeout("slow"), 408, 429, 500, 501, 503, 507, 520, 599]
)
def test_what_passes_by_itself_is_tried_again_with_the_same_ids(trouble: Exception | int) -> None:
    seen: list[list[str]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append([e["event_id"] for e in events_of(request)])
        if len(seen) < 4:
            if isinstance(trouble, Exception):
                raise trouble
            return httpx.Response(trouble, json={"error": "later"})
        return accept(request)

    without_ids = [{k: v for k, v in event(n).items() if k != "event_id"} for n in range(3)]
    report = sender(answer).send(without_ids)
    assert seen[0] == seen[1] == seen[2] == seen[3]
    assert len(set(seen[0])) == 3, "ids are made before the first try"
    assert (report.accepted, report.retries) == (3, 3)


def test_the_collector_says_how_long_to_wait() -> None:
    pauses: list[float] = []
    answers = iter([httpx.Response(429, headers={"Retry-After": "7"})] * 20)

    def answer(request: httpx.Request) -> httpx.Response:
        return next(answers, None) or accept(request)

    sender(answer, pauses, patience=1e9).send([event(1)])
    assert 7 <= min(pauses) <= max(pauses) < 8
    assert len(set(pauses)) > 1, "those who were all sent away do not all come back at once"


def test_no_pause_is_longer_than_ten_seconds_however_often_it_was_tried() -> None:
    pauses: list[float] = []
    answers = iter([httpx.Response(503)] * 14)
    sender(lambda request: next(answers, None) or accept(request), pauses, patience=1e9).send([event(1)])
    assert len(pauses) == 14
    assert 5 <= max(pauses) <= 10
    assert len({round(pause, 6) for pause in pauses[-5:]}) > 1, "they differ, so that many senders do not come at once"


def test_a_collector_cannot_make_a_sender_wait_for_hours() -> None:
    pauses: list[float] = []
    answers = iter([httpx.Response(503, headers={"Retry-After": "86400"})])
    sender(lambda request: next(answers, None) or accept(request), pauses, patience=1e9).send([event(1)])
    assert 60 <= pauses[0] <= 60.25


@pytest.mark.parametrize(("ahead", "least", "most"), [(30, 28, 30.25), (86_400, 60, 60.25), (-86_400, 0, 0.25)])
def test_the_time_to_come_back_at_may_be_a_date(ahead: int, least: float, most: float) -> None:
    pauses: list[float] = []
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=ahead), usegmt=True)
    answers = iter([httpx.Response(503, headers={"Retry-After": date})])
    sender(lambda request: next(answers, None) or accept(request), pauses, patience=1e9).send([event(1)])
    assert least <= pauses[0] <= most


def test_a_time_to_come_back_at_that_nobody_understands_is_none() -> None:
    pauses: list[float] = []
    answers = iter([httpx.Response(503, headers={"Retry-After": "soon"})])
    sender(lambda request: next(answers, None) or accept(request), pauses).send([event(1)])
    assert 0 < pauses[0] <= 0.1


def test_an_event_waits_for_others_no_longer_than_it_may() -> None:
    batches: list[list[str]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        batches.append([e["event_id"] for e in events_of(request)])
        return accept(request)

    def coming() -> Iterator[dict[str, Any] | None]:
        yield event(1)
        assert batches == [["id-1"]], "what came was old enough"
        yield None
        yield event(2)
        assert batches == [["id-1"], ["id-2"]]

    assert sender(answer, linger=0.0).send(coming()).accepted == 2
    del batches[:]

    def waiting() -> Iterator[dict[str, Any] | None]:
        yield event(1)
        yield None
        yield event(2)
        assert batches == []

    assert sender(answer, linger=1e9).send(waiting()).accepted == 2
    assert batches == [["id-1", "id-2"]]


def test_what_was_gathered_is_sent_when_a_moment_has_passed_without_more(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, ids = [0.0], list[str]()
    monkeypatch.setattr("collector.send_batches.time.monotonic", lambda: clock[0])

    def answer(request: httpx.Request) -> httpx.Response:
        ids.extend(e["event_id"] for e in events_of(request))
        return accept(request)

    def coming() -> Iterator[dict[str, Any] | None]:
        yield event(1)
        clock[0] = 3.0
        yield event(2)
        yield None
        assert ids == []
        clock[0] = 5.0
        yield None
        assert ids == ["id-1", "id-2"], "the first has waited for five seconds"

    sender(answer).send(coming())


def test_a_full_batch_waits_for_nobody() -> None:
    requests: list[int] = []

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append(len(events_of(request)))
        return accept(request)

    def coming() -> Iterator[dict[str, Any]]:
        yield event(1)
        yield event(2)
        assert requests == [2]

    sender(answer, batch=2).send(coming())


def test_when_no_more_waiting_is_wanted_the_next_failure_is_the_last() -> None:
    calls: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        calls.append(request)
        return httpx.Response(503)

    with (
        pytest.raises(Away, match="after 1 tries"),
        Sender("http://c", "key", transport=httpx.MockTransport(answer), sleep=lambda _: True) as one,
    ):
        one.send([event(1)])
    assert len(calls) == 1


def test_pauses_grow_and_differ() -> None:
    pauses: list[float] = []
    with pytest.raises(SendError, match="given up"):
        sender(lambda _: httpx.Response(503), pauses, patience=0.6).send([event(1)])
    assert pauses == sorted(pauses)
    assert all(p > 0 for p in pauses)


def test_patience_ends() -> None:
    clock: list[float] = []
    with pytest.raises(SendError, match="ConnectError"):
        sender(lambda _: (_ for _ in ()).throw(httpx.ConnectError("away")), clock, patience=0.0).send([event(1)])
    assert clock == []


@pytest.mark.parametrize("status", [400, 401, 403, 413, 415, 422])
def test_a_refusal_is_final(status: int) -> None:
    calls = 0

    def answer(_: httpx.Request) -> httpx.Response:
        nonlocal calls
        calls += 1
        return httpx.Response(status, json={"error": "no", "message": "no"})

    with pytest.raises(SendError, match=str(status)):
        sender(answer).send([event(1), event(2)])
    assert calls == 1


def test_a_mixed_answer_is_counted_verdict_by_verdict() -> None:
    reasons = [{"pointer": "/data/region", "keyword": "pattern", "message": "no"}]

    def answer(request: httpx.Request) -> httpx.Response:
        results = [
            {"index": i, "status": "rejected", "reasons": reasons} if i == 1 else {"index": i, "status": "accepted"}
            for i, _ in enumerate(events_of(request))
        ]
        return httpx.Response(207, json={"results": results})

    told: list[tuple[str, str]] = []
    report = sender(answer).send(
        [event(1), event(2), event(3)], verdict=lambda e, v: told.append((e["event_id"], v["status"]))
    )
    assert (report.sent, report.accepted, report.rejected) == (3, 2, 1)
    assert report.reasons == {"/data/region pattern": 1}
    assert told == [("id-1", "accepted"), ("id-2", "rejected"), ("id-3", "accepted")]


def test_an_answer_that_forgets_an_event_is_an_error() -> None:
    with pytest.raises(SendError, match="1 verdicts for 2 events"):
        sender(lambda _: httpx.Response(200, json={"results": [{"status": "accepted"}]})).send([event(1), event(2)])


def test_a_raw_line_goes_out_untouched() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        assert request.headers["Content-Type"] == "application/x-ndjson"
        assert request.headers["Watershed-Line"] == "12"
        assert gzip.decompress(request.content) == b"no { json"
        return httpx.Response(400, json={"results": [{"status": "rejected", "reasons": [{"keyword": "json"}]}]})

    report = Report()
    sender(answer).send_raw(b"no { json", {"Watershed-Line": "12"}, report)
    assert (report.sent, report.rejected, report.reasons) == (1, 1, {"json": 1})


def test_events_stay_as_they_are_when_nothing_is_to_be_minted() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        assert events_of(request) == [{"event_type": "page_view"}]
        return httpx.Response(200, json={"results": [{"status": "accepted"}]})

    assert sender(answer, mint=False).send([{"event_type": "page_view"}]).accepted == 1


def test_what_is_minted_leaves_the_events_own_time() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        (sent,) = events_of(request)
        assert sent.pop("event_id")
        assert sent == {k: v for k, v in event(1).items() if k != "event_id"}
        return httpx.Response(200, json={"results": [{"status": "accepted"}]})

    without_id = {k: v for k, v in event(1).items() if k != "event_id"}
    assert sender(answer).send([without_id]).accepted == 1


@pytest.mark.parametrize("batch", [0, 1001])
def test_a_batch_that_no_collector_takes_is_refused_at_once(batch: int) -> None:
    with pytest.raises(ValueError, match="1 to 1000"):
        sender(accept, batch=batch)


def test_one_event_that_is_refused_without_a_verdict_is_a_rejection_and_the_next_goes_on() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        (sent,) = events_of(request)
        return httpx.Response(400, text="no JSON at all") if sent["event_id"] == "id-1" else accept(request)

    report = sender(answer, batch=1).send([event(1), event(2)])
    assert (report.accepted, report.rejected) == (1, 1)
    assert report.samples[0]["reasons"][0]["message"] == "no JSON at all"


def test_of_many_rejections_only_the_first_few_are_kept() -> None:
    rejected = {"status": "rejected", "reasons": [{"pointer": "", "keyword": "x"}]}

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(400, json={"results": [rejected] * len(events_of(request))})

    report = sender(answer).send(event(n) for n in range(1000))
    assert (report.rejected, len(report.samples), report.reasons) == (1000, 20, {"x": 1000})
