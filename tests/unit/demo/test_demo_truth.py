"""What the charts must show, and how it is kept."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from collector.sender import Report, Sender
from contracts.parse import HERE
from contracts.registry import Registry
from contracts.validate import EventValidator
from demo import send
from demo.generate import Made, Plan
from demo.truth import Tally, Truth, TruthError

REGISTRY = Registry.load(HERE)
AT = datetime(2026, 11, 20, 12, tzinfo=UTC)


def _made(type_: str, data: dict[str, Any], occurred_at: str = "2026-11-20T12:00:00Z", kind: Any = "new") -> Made:
    return Made({"event_type": type_, "event_id": "x", "occurred_at": occurred_at, "data": data}, AT, kind)


def _truth(*made: Made) -> Truth:
    tally = Tally(REGISTRY)
    for one in made:
        tally.add(one)
    return tally.truth("t")


def test_days_are_days_in_utc_whatever_the_offset() -> None:
    view = {"region": "DE", "page_name": "/"}
    truth = _truth(
        _made("page_view", view, "2026-11-21T00:30:00+02:00"), _made("page_view", view, "2026-11-20T23:59:59Z")
    )
    assert list(truth.views) == ["2026-11-20"]
    assert truth.views["2026-11-20"]["DE"].page_views == 2


def test_bots_and_unknown_visitors_are_no_visitors() -> None:
    base = {"region": "DE", "page_name": "/"}
    truth = _truth(
        _made("page_view", {**base, "visitor_id": "a"}),
        _made("page_view", {**base, "visitor_id": "a", "is_bot": False}),
        _made("page_view", {**base, "visitor_id": "b", "is_bot": True}),
        _made("page_view", base),
    )
    views = truth.views["2026-11-20"]["DE"]
    assert (views.page_views, views.bot_page_views, views.visitors) == (3, 1, 1)


def test_money_is_kept_by_currency_and_users_are_counted_once_a_day() -> None:
    line = {"purchase_id": "p", "app_id": "a", "user_id": "u", "quantity": 1, "region": "DE"}
    truth = _truth(
        _made("purchase", {**line, "amount": "0.10", "currency": "EUR"}),
        _made("purchase", {**line, "amount": "3", "currency": "USD"}),
        _made("signup", {"user_id": "u", "region": "DE"}),
        _made("signup", {"user_id": "v", "region": "DE"}),
    )
    assert truth.money["purchase"]["2026-11-20"] == {"EUR": {"revenue": "0.10"}, "USD": {"revenue": "3"}}
    assert truth.active_users == {"2026-11-20": 2}


def test_what_is_sent_again_or_broken_counts_nothing() -> None:
    view = {"region": "DE", "page_name": "/"}
    truth = _truth(_made("page_view", view, kind="again"), _made("page_view", view, kind="invalid"))
    assert truth.page_views == 0
    assert truth.sent == {"again": 1, "invalid": 1}


def test_money_is_summed_exactly_and_errors_by_their_bound() -> None:
    line = {"purchase_id": "p", "app_id": "a", "user_id": "u", "currency": "EUR", "quantity": 2, "region": "DE"}
    log = {"service": "s", "method": "GET", "path": "/", "region": "DE"}
    truth = _truth(
        _made("purchase", {**line, "amount": "0.10"}),
        _made("purchase", {**line, "amount": "0.2"}),
        _made("request_log", {**log, "status": 499, "duration_ms": 5}),
        _made("request_log", {**log, "status": 500}),
    )
    assert truth.totals["purchase"]["2026-11-20"] == {"revenue": "0.30", "purchases": "2", "quantity": "4"}
    assert truth.money["purchase"]["2026-11-20"] == {"EUR": {"revenue": "0.30"}}
    assert truth.totals["request_log"]["2026-11-20"] == {
        "requests": "2",
        "errors": "1",
        "client_errors": "1",
        "duration_sum": "5",
        "timed": "1",
        "satisfied": "1",
        "tolerating": "0",
    }


def test_a_truth_survives_its_file(tmp_path: Path) -> None:
    plan = Plan.history(1, AT, 1, 10)
    tally = Tally(REGISTRY)
    tally.add(_made("page_view", {"region": "DE", "page_name": "/"}))
    truth = tally.truth("t", send.as_json(plan, REGISTRY))
    truth.save(tmp_path / "deep/truth.json")
    loaded = Truth.load(tmp_path / "deep/truth.json")
    assert loaded == truth
    assert send.from_json(loaded.plan) == plan


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"views": 3}'])
def test_a_damaged_truth_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "truth.json"
    path.write_text(text)
    with pytest.raises(TruthError, match=r"truth\.json"):
        Truth.load(path)


def _collector(verdict: Any) -> httpx.MockTransport:
    """Answers as a collector with the contracts' own validator would, or as ``verdict`` says."""
    import gzip
    import json

    def answer(request: httpx.Request) -> httpx.Response:
        events = json.loads(gzip.decompress(request.content))
        results = [{"status": "accepted"} if verdict(e) else {"status": "rejected", "reasons": []} for e in events]
        status = 200 if all(r["status"] == "accepted" for r in results) else 207
        return httpx.Response(status, json={"results": results})

    return httpx.MockTransport(answer)


def _sender(verdict: Any) -> Sender:
    return Sender("http://collector.test", "key", transport=_collector(verdict))


def test_a_history_is_sent_whole_and_every_verdict_fits() -> None:
    validator = EventValidator(REGISTRY)
    told: list[int] = []
    plan = Plan.history(1, AT, 2, 500)
    truth, report = send.history(plan, REGISTRY, _sender(lambda e: not validator.violations(e)), "t", told.append)
    assert truth.page_views == 500
    assert report.sent == sum(told) == sum(truth.sent.values())
    assert abs(send.about(plan, REGISTRY) - report.sent) < 30


def test_a_collector_that_rejects_what_is_valid_is_found_out() -> None:
    with pytest.raises(send.VerdictError, match="0 were accepted"):
        send.history(Plan.history(1, AT, 2, 50), REGISTRY, _sender(lambda _event: False), "t")


def test_a_live_run_sends_each_second_when_it_is_over() -> None:
    now = [AT.timestamp()]
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        now[0] += seconds

    heard: list[int] = []
    tally, report = send.now_on(
        REGISTRY,
        _sender(lambda _event: True),
        lambda r: heard.append(r.sent),
        seed=1,
        rate=20,
        seconds=5,
        clock=lambda: datetime.fromtimestamp(now[0], UTC),
        pause=pause,
    )
    assert pauses == pytest.approx([1.0] * 5)
    assert len(heard) == 5
    assert report.sent == heard[-1] == sum(tally.truth("t").sent.values())
    assert isinstance(report, Report)
