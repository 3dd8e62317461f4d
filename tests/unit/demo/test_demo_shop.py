"""Nothing happens in the demo's shop before what it needs; and scenarios show in the numbers."""

import random
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import islice
from statistics import mean, median
from typing import Any

import pytest

from contracts.parse import HERE
from contracts.registry import Registry
from contracts.validate import EventValidator
from demo.generate import Made, Plan, events, live
from demo.machines import request_log
from demo.people import People
from demo.scenarios import SCENARIOS
from demo.shop import Shop
from demo.truth import Tally

REGISTRY = Registry.load(HERE)
END = datetime(2026, 11, 23, 8, 30, tzinfo=UTC)
START = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def made() -> list[Made]:
    return [m for m in events(Plan.history(seed=7, end=END, days=10, total=8_000), REGISTRY) if m.kind == "new"]


def _at(event: Made) -> datetime:
    return datetime.fromisoformat(event.event["occurred_at"])


def _first(made: list[Made], type_: str, name: str) -> dict[str, datetime]:
    found: dict[str, datetime] = {}
    for one in made:
        if one.event["event_type"] == type_:
            key = one.event["data"][name]
            found[key] = min(found.get(key, _at(one)), _at(one))
    return found


def test_apps_are_created_before_they_are_verified_before_they_are_bought(made: list[Made]) -> None:
    created, verified = _first(made, "app_created", "app_id"), _first(made, "app_verified", "app_id")
    bought, signed_up = _first(made, "purchase", "app_id"), _first(made, "signup", "user_id")
    buyers = _first(made, "purchase", "user_id")
    assert len(verified) > 10
    assert len(bought) > 10
    assert all(created[app] < at for app, at in verified.items())
    assert all(verified[app] < at for app, at in bought.items())
    assert all(signed_up[user] < at for user, at in buyers.items())
    assert len(verified) < len(created), "some wait, or never pass"
    assert len({m.event["data"]["app_id"] for m in made if m.event["event_type"] == "app_created"}) == len(created)


def test_an_app_is_verified_as_it_was_created(made: list[Made]) -> None:
    by_type: dict[str, dict[str, Any]] = defaultdict(dict)
    for one in made:
        if one.event["event_type"] in ("app_created", "app_verified"):
            by_type[one.event["event_type"]][one.event["data"]["app_id"]] = one.event["data"]
    assert all(by_type["app_created"][app] == data for app, data in by_type["app_verified"].items())


def test_a_refund_gives_back_a_purchase_of_before_once_and_no_more_than_was_paid() -> None:
    shop, rng, crowd = Shop(Shop.KINDS, "t"), random.Random(1), People(1, 1000).crowd(12, 2)  # noqa: S311
    happened: list[tuple[str, dict[str, Any]]] = []
    for minute in range(3000):
        type_ = rng.choice(Shop.KINDS)
        happened.append(shop.next(type_, rng, crowd, START + timedelta(minutes=minute)))
    paid: dict[str, dict[str, Any]] = {}
    given_back = 0
    for type_, data in happened:
        if type_ == "purchase":
            paid[data["purchase_id"]] = data
        elif type_ == "refund":
            given_back += 1
            purchase = paid.pop(data["purchase_id"])
            assert Decimal(0) < Decimal(data["amount"]) <= Decimal(purchase["amount"])
            shared = ("app_id", "user_id", "currency", "region")
            assert [data[name] for name in shared] == [purchase[name] for name in shared]
    assert given_back > 100


def test_what_no_type_of_the_registry_brings_about_is_made_up() -> None:
    shop, rng, crowd = Shop(("purchase",), "t"), random.Random(1), People(1, 1000).crowd(12, 2)  # noqa: S311
    type_, data = shop.next("purchase", rng, crowd, START)
    event = {"event_type": type_, "occurred_at": START.isoformat(), "data": data}
    assert EventValidator(REGISTRY).violations(event) == ()


def test_two_runs_share_no_app() -> None:
    other = events(Plan.history(seed=8, end=END, days=10, total=3_000), REGISTRY)
    one = events(Plan.history(seed=7, end=END, days=10, total=3_000), REGISTRY)
    apps = [{m.event["data"]["app_id"] for m in run if m.event["event_type"] == "app_created"} for run in (one, other)]
    assert apps[0] and not apps[0] & apps[1]


def test_requests_are_as_fast_and_as_sound_as_their_route() -> None:
    rng, crowd = random.Random(1), People(1, 1000).crowd(12, 2)  # noqa: S311
    durations: dict[str, list[int]] = defaultdict(list)
    errors: Counter[str] = Counter()
    for _ in range(20_000):
        data = request_log(rng, crowd, START)
        durations[data["path"]].append(data["duration_ms"])
        errors[data["path"]] += data["status"] >= 500
    assert median(durations["/suggest"]) < 30 < median(durations["/"]) < 90 < median(durations["/checkout"])
    share = {path: errors[path] / len(found) for path, found in durations.items()}
    assert share["/checkout"] > 3 * share["/"]
    assert all(min(found) > 0 and max(found) <= 30_000 for found in durations.values())


def test_metrics_follow_the_day(made: list[Made]) -> None:
    by_hour: dict[int, list[float]] = defaultdict(list)
    for one in made:
        if one.event["event_type"] == "metric" and one.event["data"]["metric_type"] == "temperature":
            by_hour[_at(one).astimezone(UTC).hour // 6].append(float(one.event["data"]["value"]))
    assert mean(by_hour[2]) > mean(by_hour[0]) + 5


@pytest.fixture(scope="module")
def usual() -> list[Made]:
    """A minute of a usual day."""
    return _live(None)


def _live(scenario: str | None, seconds: int = 60, after: int = 0) -> list[Made]:
    happening = SCENARIOS[scenario] if scenario else None
    stream = live(3, START, 150.0, REGISTRY, happening, after=after)
    return [m for second in islice(stream, seconds) for m in second if m.kind == "new"]


def _views(made: list[Made], *, bots: bool) -> int:
    found = [m.event["data"] for m in made if m.event["event_type"] == "page_view"]
    return sum(data.get("is_bot", False) is bots for data in found)


def _of(made: list[Made], type_: str) -> list[dict[str, Any]]:
    return [m.event["data"] for m in made if m.event["event_type"] == type_]


def _times(made: list[Made], usual: list[Made], type_: str) -> float:
    """How many times as many events of a type as on a usual day."""
    return len(_of(made, type_)) / len(_of(usual, type_))


def test_a_bot_storm_is_eight_times_the_views_by_forty_bots_and_none_by_people(usual: list[Made]) -> None:
    storm = _live("bot-storm")
    assert _times(storm, usual, "page_view") == pytest.approx(8, abs=0.1)
    assert _views(storm, bots=True) > 20 * _views(usual, bots=True)
    assert 0.9 < _views(storm, bots=False) / _views(usual, bots=False) < 1.1
    new = [data for data in _of(storm, "page_view") if str(data.get("visitor_id")).startswith("b-storm-")]
    assert len(new) == pytest.approx(7 * len(_of(usual, "page_view")), rel=0.05)
    assert len({data["visitor_id"] for data in new}) == 40
    assert {(data["page_name"], data["is_bot"]) for data in new} == {("/pricing", True)}
    people = {data.get("visitor_id") for data in _of(storm, "page_view") if not data.get("is_bot")}
    assert not any(str(visitor).startswith("b-storm-") for visitor in people)
    assert _times(storm, usual, "purchase") == pytest.approx(1, abs=0.2)


def test_in_an_outage_one_service_fails_slowly_half_the_views_stay_away_and_nothing_is_sold(usual: list[Made]) -> None:
    outage = _live("outage")
    assert _of(usual, "purchase") and not _of(outage, "purchase")
    assert not _of(outage, "refund")
    assert _times(outage, usual, "page_view") == pytest.approx(0.5, abs=0.05)
    assert _times(outage, usual, "signup") < 0.5
    now = [m for m in outage if not _is_late(m)]
    failing = {service: _errors(now, service) for service in ("shop", "search")}
    assert 0.7 < failing["shop"] < 0.9, "four of five"
    assert failing["search"] < 0.05
    assert _median_ms(now, "shop") > 3_000
    assert _median_ms(now, "search") < 300
    assert {data["status"] for data in _of(now, "request_log")} >= {502, 503, 504}


def test_what_was_on_its_way_before_a_scenario_is_as_usual() -> None:
    late = [m for m in _live("outage", 300) if _is_late(m)]
    assert len(_of(late, "request_log")) > 5
    assert _errors(late, "shop") < 0.2, "it occurred before the outage, and says so by its own time"


def test_what_a_launch_adds_is_not_late_or_it_would_come_from_before(usual: list[Made]) -> None:
    launch = _live("launch-day")
    late = {name: sum(map(_is_late, made)) for name, made in (("usual", usual), ("launch", launch))}
    assert 0 < late["launch"] < 1.6 * late["usual"], "as many as ever, although thrice the events"


def _is_late(one: Made) -> bool:
    """It occurred before it was sent; the spelling may cut a millisecond."""
    return one.at - _at(one) > timedelta(seconds=1)


def _errors(made: list[Made], service: str) -> float:
    statuses = [data["status"] for data in _of(made, "request_log") if data["service"] == service]
    return sum(status >= 500 for status in statuses) / len(statuses)


def _median_ms(made: list[Made], service: str) -> float:
    return median(data["duration_ms"] for data in _of(made, "request_log") if data["service"] == service)


def test_a_launch_day_is_thrice_the_views_most_of_them_of_one_page_from_the_news(usual: list[Made]) -> None:
    launch = _live("launch-day")
    times = {type_: _times(launch, usual, type_) for type_ in ("page_view", "signup", "purchase", "request_log")}
    assert times == pytest.approx({"page_view": 3, "signup": 5, "purchase": 4, "request_log": 3}, rel=0.1)
    assert _times(launch, usual, "metric") == pytest.approx(1, rel=0.1)
    views = _of(launch, "page_view")
    of_launch = [data for data in views if data["page_name"] == "/launch"]
    assert len(of_launch) > 0.5 * len(views)
    assert {data["referrer"] for data in of_launch} == {"https://news.example/launch"}
    assert not any(data.get("is_bot") for data in of_launch)
    by_referral = [data.get("channel") == "referral" for data in _of(launch, "signup")]
    assert sum(by_referral) > 0.9 * len(by_referral)


@pytest.mark.parametrize("scenario", sorted(SCENARIOS))
def test_a_scenario_begins_when_it_is_to_and_stays_valid_and_counted(scenario: str) -> None:
    before = [m.event for m in _live(None, 30)]
    assert [m.event for m in _live(scenario, 30, after=30)] == before
    validator, tally = EventValidator(REGISTRY), Tally(REGISTRY)
    made = _live(scenario, 40, after=30)
    for one in made:
        assert validator.violations(one.event) == ()
        tally.add(one)
    truth = tally.truth("t")
    assert truth.page_views == sum(m.event["event_type"] == "page_view" for m in made)
    bots = sum(v.bot_page_views for regions in truth.views.values() for v in regions.values())
    assert bots == _views(made, bots=True)
