"""What may befall the demo's world while it is live, and how its numbers show it."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Event = dict[str, Any]


@dataclass(frozen=True)
class Scenario:
    """``traffic``: how many times as many events of a type; ``alter``: what becomes of an event while it lasts."""

    name: str
    words: str
    traffic: Mapping[str, float] = field(default_factory=dict)
    alter: Callable[[random.Random, Event], None] = lambda _rng, _event: None

    def factor(self, type_: str) -> float:
        """How many times as many events of ``type_`` there are."""
        return self.traffic.get(type_, 1.0)


def _launch(rng: random.Random, event: Event) -> None:
    if event["event_type"] == "page_view" and not event["data"].get("is_bot") and rng.random() < 0.6:
        event["data"]["page_name"] = "/launch"
        event["data"]["referrer"] = "https://news.example/launch"
    elif event["event_type"] == "signup":
        event["data"]["channel"] = "referral"


def _outage(rng: random.Random, event: Event) -> None:
    data = event["data"]
    if event["event_type"] == "request_log" and data["service"] == "shop" and rng.random() < 0.8:
        data["status"] = rng.choice((502, 503, 504))
        data["duration_ms"] = 30_000 if data["status"] == 504 else 4_000 + rng.randrange(4_000)


def _storm(rng: random.Random, event: Event) -> None:
    # Seven of eight views are the storm's: those of people stay as many as before.
    if event["event_type"] == "page_view" and rng.random() < 7 / 8:
        event["data"] = {
            "region": rng.choice(("US", "NL", "ZZ")),
            "page_name": "/pricing",
            "visitor_id": f"b-storm-{rng.randrange(40)}",
            "is_bot": True,
        }


SCENARIOS: Mapping[str, Scenario] = {
    scenario.name: scenario
    for scenario in (
        Scenario(
            "launch-day",
            "thrice the views, most of /launch, from the news; five times the signups, four times the purchases",
            {"page_view": 3.0, "signup": 5.0, "purchase": 4.0, "request_log": 3.0},
            _launch,
        ),
        Scenario(
            "outage",
            "the service shop fails four times in five, and slowly; half the views, no purchases",
            {"page_view": 0.5, "purchase": 0.0, "refund": 0.0, "signup": 0.3},
            _outage,
        ),
        Scenario(
            "bot-storm",
            "eight times the views, all that are new by 40 bots on /pricing; views by people as before",
            {"page_view": 8.0},
            _storm,
        ),
    )
}
