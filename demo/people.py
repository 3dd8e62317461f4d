"""Who views: visitors who come back, bots, and those who are not known; the same for the same seed."""

import hashlib
import random
from bisect import bisect
from dataclasses import dataclass
from itertools import accumulate

from demo.world import REGIONS, activity

BOT_SHARE = 0.08
UNKNOWN_SHARE = 0.05
TRAVEL_SHARE = 0.01
VIEWS_A_VISITOR = 6
"""On average; most have one or two, a few have hundreds."""


@dataclass(frozen=True)
class Viewer:
    """Who makes one view: from where, under which pseudonym (None: unknown), and whether it is a bot."""

    region: str
    visitor_id: str | None
    is_bot: bool


class People:
    """The visitors of a run of about ``views`` page views."""

    def __init__(self, seed: int, views: int) -> None:
        self._seed = seed
        whole = sum(weight for weight, _ in REGIONS.values())
        self._pool = {
            region: max(3, round(views / VIEWS_A_VISITOR * weight / whole)) for region, (weight, _) in REGIONS.items()
        }

    def crowd(self, hour_utc: float, weekday: int) -> "Crowd":
        """Those who are awake at that hour."""
        weights = [weight * activity(region, hour_utc, weekday) for region, (weight, _) in REGIONS.items()]
        return Crowd(self, list(accumulate(weights)))

    def viewer(self, rng: random.Random, region: str) -> Viewer:
        """Somebody from ``region``: the lower a number the oftener it is drawn, so some come back again and again."""
        if rng.random() < BOT_SHARE:
            number = int(max(1, self._pool[region] // 100) * rng.random())
            return Viewer(region, self.pseudonym("bot", region, number), True)
        if rng.random() < UNKNOWN_SHARE:
            return Viewer(region, None, False)
        number = int(self._pool[region] * rng.random() ** 2.5)
        visitor = self.pseudonym("visitor", region, number)
        if rng.random() < TRAVEL_SHARE:
            region = rng.choice(list(REGIONS))
        return Viewer(region, visitor, False)

    def pseudonym(self, kind: str, region: str, number: int) -> str:
        """What the world knows of a person: nothing but that it is the same one."""
        text = f"{self._seed}/{kind}/{region}/{number}"
        return f"{kind[0]}-{hashlib.blake2b(text.encode(), digest_size=8).hexdigest()}"


class Crowd:
    """Who is awake in one hour."""

    def __init__(self, people: People, weights: list[float]) -> None:
        self._people, self._weights = people, weights
        self.size = weights[-1]

    def region(self, rng: random.Random) -> str:
        """A region, by its share and how awake it is."""
        return _REGIONS[bisect(self._weights, rng.random() * self.size)]

    def viewer(self, rng: random.Random) -> Viewer:
        """One of those who are awake."""
        return self._people.viewer(rng, self.region(rng))


_REGIONS = tuple(REGIONS)
