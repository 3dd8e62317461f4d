"""The made-up events: the same for the same seed, valid where they claim to be, and with every trouble in them."""

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

import pytest

from contracts.parse import HERE
from contracts.registry import Registry
from contracts.scaffold import scaffold
from contracts.validate import EventValidator
from demo.generate import LATEST, Made, Plan, events, fingerprint, live
from demo.send import paced
from demo.truth import Tally

REGISTRY = Registry.load(HERE)
VALIDATOR = EventValidator(REGISTRY)
END = datetime(2026, 11, 23, 8, 30, tzinfo=UTC)
PLAN = Plan.history(seed=7, end=END, days=10, total=8_000)


@pytest.fixture(scope="module")
def made() -> list[Made]:
    return list(events(PLAN, REGISTRY))


def _occurred(event: Made) -> datetime:
    return datetime.fromisoformat(event.event["occurred_at"])


def test_the_same_plan_makes_the_same_events(made: list[Made]) -> None:
    assert list(events(PLAN, REGISTRY)) == made


def test_another_seed_makes_other_events(made: list[Made]) -> None:
    other = Plan.history(seed=8, end=END, days=10, total=8_000)
    ids = {m.event["event_id"] for m in made}
    assert ids.isdisjoint(m.event["event_id"] for m in events(other, REGISTRY))


def test_exactly_as_many_new_page_views_as_planned_and_some_of_every_type(made: list[Made]) -> None:
    new = Counter(m.event["event_type"] for m in made if m.kind == "new")
    assert new["page_view"] == PLAN.total
    assert set(new) == set(REGISTRY.types())


def test_what_claims_to_be_valid_is_accepted_and_what_claims_to_be_broken_is_refused(made: list[Made]) -> None:
    for one in made:
        assert bool(VALIDATOR.violations(one.event)) == (one.kind == "invalid"), one


def test_every_way_to_be_broken_comes_up(made: list[Made]) -> None:
    found = {
        (v.pointer.partition("/data/")[0], v.keyword)
        for m in made
        if m.kind == "invalid"
        for v in VALIDATOR.violations(m.event)
    }
    assert {("/event_id", "format"), ("/occurred_at", "format"), ("/event_type", "enum")} <= found
    assert {("/schema_version", "enum"), ("", "required"), ("/data", "type")} <= found
    assert {("", "type"), ("", "additionalProperties"), ("", "pattern")} <= found, "of a field of data"


def test_what_is_sent_again_is_the_same_event_later(made: list[Made]) -> None:
    first: dict[str, tuple[int, Made]] = {}
    again = 0
    for position, one in enumerate(made):
        if one.kind == "new":
            assert one.event["event_id"] not in first
            first[one.event["event_id"]] = (position, one)
        elif one.kind == "again":
            again += 1
            before, original = first[one.event["event_id"]]
            assert before < position
            assert one.event == original.event
            assert one.at <= original.at + LATEST
    assert again > 50


def test_some_are_late_none_is_early_and_none_lies_outside_of_the_window(made: list[Made]) -> None:
    late = 0
    for one in made:
        if one.kind == "new":
            occurred = _occurred(one)
            assert PLAN.start <= occurred < PLAN.end
            # Clients write milliseconds: up to one is cut off.
            assert occurred <= one.at
            late += one.at - occurred > timedelta(minutes=5)
    assert late > 50


def test_days_have_a_rhythm_and_weekends_are_quieter(made: list[Made]) -> None:
    by_day = Counter(_occurred(m).astimezone(UTC).date() for m in made if m.kind == "new")
    saturday, wednesday = datetime(2026, 11, 21, tzinfo=UTC).date(), datetime(2026, 11, 18, tzinfo=UTC).date()
    assert by_day[saturday] < 0.85 * by_day[wednesday]
    german = Counter(
        _occurred(m).astimezone(UTC).hour for m in made if m.kind == "new" and m.event["data"].get("region") == "DE"
    )
    assert german[3] + german[2] < 0.5 * (german[14] + german[15])


def test_visitors_come_back_some_are_unknown_and_some_are_bots(made: list[Made]) -> None:
    views = [m.event["data"] for m in made if m.kind == "new" and m.event["event_type"] == "page_view"]
    seen = Counter(v["visitor_id"] for v in views if "visitor_id" in v)
    assert sum(count > 1 for count in seen.values()) > 0.2 * len(seen)
    assert any("visitor_id" not in v for v in views)
    bots = sum(v.get("is_bot", False) for v in views)
    assert 0.05 < bots / len(views) < 0.12
    assert {v.get("is_bot") for v in views} == {True, False, None}


def test_a_type_that_is_in_no_code_is_made_from_its_examples(tmp_path: Path) -> None:
    scaffold("level_up", tmp_path)
    registry = Registry.load(tmp_path)
    made = list(events(Plan.history(1, END, 5, 2_000), registry))
    assert {m.event["event_type"] for m in made if m.kind == "new"} == {"level_up"}
    validator = EventValidator(registry)
    assert all(validator.violations(m.event) == () for m in made if m.kind == "new")


def test_a_live_stream_keeps_its_rate_and_never_runs_ahead(made: list[Made]) -> None:
    start = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
    seconds = list(islice(live(3, start, 50.0, REGISTRY), 60))
    new = [m for second in seconds for m in second if m.kind == "new"]
    assert abs(len(new) - 50 * 60) <= len(REGISTRY.types())
    for number, second in enumerate(seconds):
        assert all(_occurred(m) < start + timedelta(seconds=number + 1) for m in second if m.kind != "invalid")
    assert any(m.kind == "again" for second in seconds for m in second)


def test_a_generator_is_known_by_what_it_makes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert fingerprint(REGISTRY) == fingerprint(Registry.load(HERE))
    scaffold("level_up", tmp_path)
    assert fingerprint(Registry.load(tmp_path)) != fingerprint(REGISTRY)
    before = fingerprint(REGISTRY)
    monkeypatch.setattr("demo.generate.LATE_SHARE", 0.03)
    assert fingerprint(REGISTRY) != before


def test_an_empty_plan_is_refused() -> None:
    with pytest.raises(ValueError, match="total of at least 1"):
        next(events(Plan(1, END, END, 10), REGISTRY))


def test_the_truth_counts_each_new_valid_event_once_by_region_and_day(made: list[Made]) -> None:
    tally = Tally(REGISTRY)
    for one in made:
        tally.add(one)
    truth = tally.truth("t")
    # The same by the shortest way there is: sets of ids.
    people: dict[tuple[str, str], set[str]] = {}
    views: Counter[tuple[str, str]] = Counter()
    bots: Counter[tuple[str, str]] = Counter()
    for event in {json.dumps(m.event) for m in made if m.kind != "invalid"}:
        parsed = json.loads(event)
        if parsed["event_type"] != "page_view":
            continue
        day = datetime.fromisoformat(parsed["occurred_at"]).astimezone(UTC).date().isoformat()
        key = day, parsed["data"]["region"]
        if parsed["data"].get("is_bot"):
            bots[key] += 1
        else:
            views[key] += 1
            people.setdefault(key, set()).update({parsed["data"].get("visitor_id")} - {None})
    assert truth.page_views == PLAN.total
    for day, regions in truth.views.items():
        for region, counted in regions.items():
            key = day, region
            expected = views[key], bots[key], len(people.get(key, ()))
            assert (counted.page_views, counted.bot_page_views, counted.visitors) == expected


def test_a_rate_is_held_on_average_and_what_was_late_is_made_up_for(monkeypatch: pytest.MonkeyPatch) -> None:
    now, pauses = [0.0], []

    def pause(seconds: float) -> None:
        pauses.append(round(seconds, 3))
        now[0] += seconds

    monkeypatch.setattr("demo.send.time.monotonic", lambda: now[0])
    sent_at = []
    for number, _ in enumerate(paced(iter(range(6)), 10, pause)):  # type: ignore[arg-type]
        sent_at.append(round(now[0], 3))
        now[0] += 0.25 if number == 1 else 0  # the collector took its time once
    assert sent_at == [0.0, 0.1, 0.35, 0.35, 0.4, 0.5]
    assert pauses == [0.1, 0.05, 0.1]


def test_without_a_rate_nothing_is_held_back() -> None:
    assert list(paced(iter(range(3)), None, pytest.fail)) == [0, 1, 2]  # type: ignore[arg-type,list-item]
