"""The life of the demo's app store: apps are created, verified, bought, some purchases refunded; users sign up first.

What an event needs (an app to verify, a user who buys) has to have occurred before it, however late either is sent.
Where it is missing, as in the first hours, what would bring it about happens instead: with no verified app to buy, one
is verified, or created.
"""

import hashlib
import random
from bisect import bisect_right, insort
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from demo.people import Crowd
from demo.world import CATEGORIES, CHANNELS, CURRENCIES, PLANS

Data = dict[str, Any]
MOST = 20_000
"""Of each kind so many are remembered; beyond, the oldest are forgotten, so that a live run takes no more and more."""
STEP = timedelta(milliseconds=1)
"""So much lies between what follows one upon the other: some clients write no more than milliseconds."""
REASONS = ("unwanted", "defect", "duplicate", "other")


@dataclass
class Timeline:
    """Things by when they came to be."""

    _things: list[tuple[datetime, int, Data]] = field(default_factory=list)
    _number: int = 0

    def add(self, at: datetime, thing: Data) -> None:
        """Remember a thing; the number breaks ties, since data cannot be ordered."""
        self._number += 1
        insort(self._things, (at, self._number, thing))
        if len(self._things) > MOST:
            del self._things[0]

    def draw(self, rng: random.Random, by: datetime, slope: float, *, take: bool = False) -> Data | None:
        """One that was there by then, or None; the steeper the slope, the oftener one of the oldest."""
        there = bisect_right(self._things, by, key=lambda thing: thing[0])
        if not there:
            return None
        index = int(there * rng.random() ** slope)
        return self._things.pop(index)[2] if take else self._things[index][2]


class Shop:
    """What exists, and what happens next. ``types``: the registry's; ``name``: tells one run's apps from another's."""

    KINDS = ("app_created", "app_verified", "purchase", "refund", "signup")

    def __init__(self, types: Iterable[str], name: str) -> None:
        self._types, self._name = frozenset(types), name
        self._created, self._verified, self._users, self._purchases = Timeline(), Timeline(), Timeline(), Timeline()
        self._apps = 0
        self._signups = 0

    def next(self, type_: str, rng: random.Random, crowd: Crowd, at: datetime) -> tuple[str, Data]:
        """The event that happens at ``at``: of ``type_``, or of the type that has to come first."""
        if type_ == "app_verified":
            return self._verify(rng, crowd, at)
        if type_ == "purchase":
            return self._buy(rng, crowd, at)
        if type_ == "refund":
            return self._give_back(rng, crowd, at)
        return type_, (self._sign_up if type_ == "signup" else self._create)(rng, crowd, at)

    def _verify(self, rng: random.Random, crowd: Crowd, at: datetime) -> tuple[str, Data]:
        app = self._created.draw(rng, at - STEP, 1.0, take=True)
        if app is None and "app_created" in self._types:
            return "app_created", self._create(rng, crowd, at)
        app = app or self._create(rng, crowd, at)
        self._verified.add(at, app)
        return "app_verified", dict(app)

    def _give_back(self, rng: random.Random, crowd: Crowd, at: datetime) -> tuple[str, Data]:
        purchase = self._purchases.draw(rng, at - STEP, 0.5, take=True)
        if purchase is None and "purchase" in self._types:
            return self._buy(rng, crowd, at)
        return "refund", _refund(rng, purchase or _NOTHING)

    def _create(self, rng: random.Random, crowd: Crowd, at: datetime) -> Data:
        self._apps += 1
        category = CATEGORIES[int(len(CATEGORIES) * rng.random() ** 1.5)]
        app = {
            "app_id": f"app-{self._hash('app', self._apps)}",
            "app_name": f"{category.title()} {self._apps}",
            "category": category,
            "developer_id": f"dev-{int(90 * rng.random() ** 2)}",
            "region": crowd.region(rng),
        }
        self._created.add(at, app)
        return dict(app)

    def _sign_up(self, rng: random.Random, crowd: Crowd, at: datetime) -> Data:
        """Somebody who signs up; through which channel is not always known."""
        self._signups += 1
        user = {"user_id": f"u-{self._hash('user', self._signups)}", "region": crowd.region(rng)}
        self._users.add(at, user)
        data: Data = {**user, "plan": rng.choice(PLANS)}
        if rng.random() < 0.8:
            data["channel"] = rng.choice(CHANNELS)
        return data

    def _buy(self, rng: random.Random, crowd: Crowd, at: datetime) -> tuple[str, Data]:
        """A line of a receipt; most are small, some are large; older apps sell best."""
        app = self._verified.draw(rng, at - STEP, 2.5)
        if app is None and "app_verified" in self._types:
            return self._verify(rng, crowd, at)
        user = self._users.draw(rng, at - STEP, 1.5)
        if user is None and "signup" in self._types:
            return "signup", self._sign_up(rng, crowd, at)
        app = app or self._create(rng, crowd, at)
        user = user or self._sign_up(rng, crowd, at)
        quantity = 1 + int(5 * rng.random() ** 4)
        currency = CURRENCIES.get(user["region"], "EUR")
        cents = quantity * (99 + 100 * int(60 * rng.random() ** 3))
        purchase = {
            "purchase_id": f"p-{rng.getrandbits(48):012x}",
            "app_id": app["app_id"],
            "user_id": user["user_id"],
            "amount": str(cents) if currency == "JPY" else f"{Decimal(cents).scaleb(-2):f}",
            "currency": currency,
            "quantity": quantity,
            "region": user["region"],
        }
        self._purchases.add(at, purchase)
        return "purchase", dict(purchase)

    def _hash(self, kind: str, number: int) -> str:
        return hashlib.blake2b(f"{self._name}/{kind}/{number}".encode(), digest_size=6).hexdigest()


_NOTHING: Data = {
    "purchase_id": "p-0", "app_id": "app-0", "user_id": "u-0", "amount": "0.99", "currency": "EUR", "region": "ZZ",
}  # fmt: skip


def _refund(rng: random.Random, purchase: Data) -> Data:
    """All of a purchase is given back, or one time in four half of it; each purchase at most once."""
    amount = Decimal(purchase["amount"])
    if rng.random() < 0.25:
        amount = (amount / 2).quantize(amount)
    kept = {name: purchase[name] for name in ("purchase_id", "app_id", "user_id", "currency", "region")}
    return {
        **kept,
        "refund_id": f"r-{rng.getrandbits(48):012x}",
        "amount": f"{amount:f}",
        "reason": rng.choice(REASONS),
    }
