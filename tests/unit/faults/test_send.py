"""The load sends again as senders do, and takes no verdict for what it is not."""

import json
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.faults.events import KnownEvents, Sort, numbers_of, reason_of, sort_of
from tests.faults.journal import Answer, Journal, Known, Sending, read
from tests.faults.send import AGAIN_EVERY, MOST_TRIES, Load
from tests.faults.sends import Sends

EVENTS = KnownEvents(7, {"page_view": {}, "purchase": {}})
BATCH = 20


def verdict(number: int) -> dict[str, Any]:
    """What a collector that works says of an event."""
    match sort_of(number):
        case Sort.BAD:
            return {"status": "rejected", "reasons": [{"keyword": reason_of(number)}]}
        case Sort.NAMELESS:
            return {"status": "accepted", "event_id": "0198f0a2-0000-7000-8000-000000000001"}
    return {"status": "accepted", "event_id": EVENTS.id_of(number)}


def answered(numbers: list[int]) -> httpx.Response:
    status = 207 if any(sort_of(number) is Sort.BAD for number in numbers) else 200
    return httpx.Response(status, json={"results": [verdict(number) for number in numbers]})


@pytest.fixture
def sending(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Known]:
    """One client that sends to a made-up collector, without waiting, until so many batches were sent."""

    def sent(collector: Callable[[list[int]], httpx.Response], batches: int) -> Known:
        journal = Journal(tmp_path / "journal")

        def handle(request: httpx.Request) -> httpx.Response:
            assert request.headers["Authorization"] == "Bearer key"
            last = read(journal.path).sendings[-1]
            numbers = numbers_of(last.first, last.count, again=last.again)
            assert request.content == EVENTS.body(numbers, last.occurred_at), "what the journal says is what is sent"
            return collector(numbers)

        made_up = partial(httpx.Client, transport=httpx.MockTransport(handle))
        monkeypatch.setattr("tests.faults.send.httpx.Client", made_up)
        most = batches * BATCH
        load = Load("http://collector", "key", EVENTS, journal, rate=1e9, batch=BATCH, clients=1, most=most, pause=0.0)
        load.start()
        for thread in load._threads:
            thread.join()
        load.stop()
        known = read(journal.path)
        assert load.taken == Sends(known).must_count
        return known

    return sent


def tries(known: Known) -> list[list[Sending]]:
    """The sendings of each batch."""
    return [[s for s in known.sendings if s.first == first] for first in range(0, known.end, BATCH)]


def test_what_was_taken_is_sent_again_now_and_then(sending: Callable[..., Known]) -> None:
    known = sending(answered, 2 * AGAIN_EVERY)
    assert {sending.answer for sending in known.sendings} == {Answer.TAKEN}
    assert Counter(sending.again for sending in known.sendings)[True] == 2
    assert known.sent == 2 * AGAIN_EVERY * BATCH


def test_what_gets_no_answer_is_sent_again_some_of_it_more_often(sending: Callable[..., Known]) -> None:
    known = sending(lambda _numbers: httpx.Response(503), 2 * MOST_TRIES)
    assert {sending.answer for sending in known.sendings} == {Answer.UNKNOWN}
    *whole, last = tries(known)
    assert [len(batch) for batch in whole] == [1 + n % MOST_TRIES for n in range(len(whole))]
    assert len(last) == 1, "the load had stopped"
    for batch in whole:
        assert [sending.again for sending in batch] == [False] + [True] * (len(batch) - 1)
        assert len({sending.occurred_at for sending in batch}) == 1


def test_a_broken_connection_is_no_answer_and_the_next_try_may_get_one(sending: Callable[..., Known]) -> None:
    asked: Counter[int] = Counter()

    def at_the_third_try(numbers: list[int]) -> httpx.Response:
        asked[numbers[0]] += 1
        if asked[numbers[0]] == 1:
            raise httpx.ConnectError("refused")
        return httpx.Response(500) if asked[numbers[0]] == 2 else answered(numbers)

    known = sending(at_the_third_try, MOST_TRIES)
    unknown, taken = Answer.UNKNOWN, Answer.TAKEN
    assert [[sending.answer for sending in batch] for batch in tries(known)[:3]] == [
        [unknown], [unknown, unknown], [unknown, unknown, taken]
    ]  # fmt: skip
    assert known.why.keys() == {"ConnectError", "500"}


def test_what_is_refused_whole_is_not_sent_again(sending: Callable[..., Known]) -> None:
    known = sending(lambda _numbers: httpx.Response(429), MOST_TRIES)
    assert [len(batch) for batch in tries(known)] == [1] * MOST_TRIES


BAD, NAMELESS = (next(n for n in range(BATCH) if sort_of(n) is sort) for sort in (Sort.BAD, Sort.NAMELESS))


@pytest.mark.parametrize(
    ("number", "otherwise"),
    [
        (0, {"status": "rejected", "reasons": [{"keyword": "required"}]}),
        (0, {"status": "accepted", "event_id": EVENTS.id_of(1)}),
        (BAD, {"status": "accepted", "event_id": EVENTS.id_of(BAD)}),
        (BAD, {"status": "rejected", "reasons": [{"keyword": "maxBytes"}]}),
        (NAMELESS, {"status": "accepted", "event_id": EVENTS.id_of(NAMELESS)}),
    ],
    ids=["good, rejected", "another's id", "bad, taken", "for another reason", "an id that was not minted"],
)
def test_a_verdict_that_its_event_must_not_get_ends_the_load(
    sending: Callable[..., Known], number: int, otherwise: dict[str, Any]
) -> None:
    def wrong(numbers: list[int]) -> httpx.Response:
        results = json.loads(answered(numbers).content)["results"]
        results[number] = otherwise
        return httpx.Response(207, json={"results": results})

    with pytest.raises(ValueError, match=f"verdict on event {number}, which is {sort_of(number).value}"):
        sending(wrong, 3)


def test_a_verdict_too_few_ends_the_load(sending: Callable[..., Known]) -> None:
    with pytest.raises(ValueError, match="19 verdicts on 20 events"):
        sending(lambda numbers: answered(numbers[1:]), 3)


def test_an_answer_that_no_good_events_get_ends_the_load(sending: Callable[..., Known]) -> None:
    with pytest.raises(ValueError, match="answered good events with 400"):
        sending(lambda _numbers: httpx.Response(400), 3)
