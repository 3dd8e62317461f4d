"""The ``data`` of one event of each type. A type not known here takes its contract's passing examples."""

import hashlib
import json
import random
from bisect import bisect
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from contracts.registry import Registry
from demo.people import Crowd
from demo.world import (
    CATEGORIES,
    CHANNELS,
    CURRENCIES,
    DEVICE_SHARES,
    DEVICES,
    PAGE_SHARES,
    PAGES,
    PLANS,
    REFERRERS,
)

Data = dict[str, Any]
Painter = Callable[[random.Random, Crowd], Data]
APPS = 400


def painters(registry: Registry) -> dict[str, Painter]:
    """One painter for each type of the registry."""
    return {type_: _KNOWN.get(type_) or _from_examples(registry, type_) for type_ in registry.types()}


def page_view(rng: random.Random, crowd: Crowd) -> Data:
    """A view of a page by a person or a bot."""
    viewer = crowd.viewer(rng)
    data: Data = {"region": viewer.region, "page_name": PAGES[bisect(PAGE_SHARES, rng.random() * PAGE_SHARES[-1])]}
    if viewer.visitor_id is not None:
        data["visitor_id"] = viewer.visitor_id
        data["session_id"] = f"s-{rng.getrandbits(40):010x}"
    if viewer.is_bot:
        data["is_bot"] = True
        return data
    data["device"] = DEVICES[bisect(DEVICE_SHARES, rng.random() * DEVICE_SHARES[-1])]
    referrer = rng.choice(REFERRERS)
    if referrer:
        data["referrer"] = referrer
    if rng.random() < 0.5:
        data["is_bot"] = False  # the same as saying nothing
    return data


def _app(number: int) -> Data:
    text = hashlib.blake2b(f"app/{number}".encode(), digest_size=4).hexdigest()
    category = CATEGORIES[number % len(CATEGORIES)]
    return {"app_id": f"app-{text}", "app_name": f"{category.title()} {number}", "category": category}


def app(rng: random.Random, crowd: Crowd) -> Data:
    """An app that was created, or verified."""
    number = int(APPS * rng.random() ** 2)
    return {**_app(number), "developer_id": f"dev-{number % 90}", "region": crowd.region(rng)}


def purchase(rng: random.Random, crowd: Crowd) -> Data:
    """A line of a receipt; most are small, some are large."""
    region, quantity = crowd.region(rng), 1 + int(5 * rng.random() ** 4)
    currency = CURRENCIES.get(region, "EUR")
    cents = quantity * (99 + 100 * int(60 * rng.random() ** 3))
    amount = str(cents) if currency == "JPY" else f"{Decimal(cents).scaleb(-2):f}"
    return {
        "purchase_id": f"p-{rng.getrandbits(48):012x}",
        "app_id": _app(int(APPS * rng.random() ** 2))["app_id"],
        "user_id": crowd.user(rng, region),
        "amount": amount,
        "currency": currency,
        "quantity": quantity,
        "region": region,
    }


def signup(rng: random.Random, crowd: Crowd) -> Data:
    """Somebody who signs up; where from is not always known."""
    region = crowd.region(rng)
    data: Data = {"user_id": crowd.user(rng, region), "region": region, "plan": rng.choice(PLANS)}
    if rng.random() < 0.8:
        data["channel"] = rng.choice(CHANNELS)
    return data


def metric(rng: random.Random, _crowd: Crowd) -> Data:
    """What a machine of the demo measured."""
    name, unit, most = rng.choice((("cpu.load", "", 8), ("memory.used", "MB", 16000), ("temperature", "°C", 90)))
    data: Data = {
        "source": f"web-{1 + int(6 * rng.random())}",
        "metric_type": name,
        "value": f"{Decimal(rng.randint(-2000 if name == 'temperature' else 0, most * 100)).scaleb(-2):f}",
    }
    if unit:
        data["unit"] = unit
    if rng.random() < 0.5:
        data["tags"] = {"zone": rng.choice(("eu-1", "us-2"))}
    return data


def request_log(rng: random.Random, crowd: Crowd) -> Data:
    """A request to the demo's shop; 1 in 50 fails, and those that fail take long."""
    failed = rng.random() < 0.02
    return {
        "service": rng.choice(("shop", "search", "account")),
        "method": "GET" if rng.random() < 0.85 else "POST",
        "path": rng.choice(("/", "/cart", "/search", "/item/42", "/item/7", "/checkout", "/login")),
        "status": rng.choice((500, 502, 503)) if failed else rng.choice((200, 200, 200, 200, 304, 404)),
        "duration_ms": int(rng.lognormvariate(7 if failed else 3.5, 0.8)),
        "region": crowd.region(rng),
    }


def _from_examples(registry: Registry, type_: str) -> Painter:
    folder = registry.path / type_ / "examples"
    files = sorted(folder.glob(f"v{registry.newest(type_).version}.*.pass.json"))
    if not files:
        raise ValueError(f"{folder}: no passing example of the newest version to make events from")
    examples = [json.loads(file.read_text(encoding="utf-8"))["data"] for file in files]
    return lambda rng, _crowd: dict(rng.choice(examples))


_KNOWN: dict[str, Painter] = {
    "page_view": page_view,
    "app_created": app,
    "app_verified": app,
    "purchase": purchase,
    "signup": signup,
    "metric": metric,
    "request_log": request_log,
}
