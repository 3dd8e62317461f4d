"""What the demo's machines report: requests with latencies and errors of their route, metrics with a daily curve."""

import math
import random
from bisect import bisect
from datetime import datetime
from decimal import Decimal
from itertools import accumulate
from typing import Any, NamedTuple

from demo.people import Crowd

Data = dict[str, Any]


class Route(NamedTuple):
    """A route of a service: its share of the requests; median, and spread of the logarithm, of their milliseconds; how
    many of a thousand fail for the server's fault, and how many for the client's.
    """

    service: str
    method: str
    path: str
    weight: float
    median_ms: float
    spread: float
    failing: float
    mistaken: float


ROUTES = (
    Route("shop", "GET", "/", 22, 38, 0.45, 1, 2),
    Route("shop", "GET", "/item/42", 14, 55, 0.5, 2, 4),
    Route("shop", "GET", "/item/7", 8, 52, 0.5, 2, 60),
    Route("shop", "GET", "/cart", 8, 70, 0.5, 3, 5),
    Route("shop", "POST", "/checkout", 4, 420, 0.7, 14, 30),
    Route("search", "GET", "/search", 18, 120, 0.8, 6, 3),
    Route("search", "GET", "/suggest", 12, 14, 0.4, 1, 1),
    Route("account", "POST", "/login", 7, 210, 0.35, 4, 90),
    Route("account", "GET", "/profile", 5, 45, 0.4, 2, 20),
    Route("account", "POST", "/avatar", 2, 800, 0.9, 20, 40),
)
_SHARES = tuple(accumulate(route.weight for route in ROUTES))
_TIMEOUT_MS = 30_000


def request_log(rng: random.Random, crowd: Crowd, at: datetime) -> Data:
    """A request; slower at the busy time of the day, and slow where it fails."""
    route = ROUTES[bisect(_SHARES, rng.random() * _SHARES[-1])]
    draw = 1000 * rng.random()
    status, slower = 200, 1 + 0.4 * by_day(at)
    if draw < route.failing:
        status, slower = rng.choice((500, 502, 503, 504)), 12.0
    elif draw < route.failing + route.mistaken:
        status = rng.choice((400, 404, 404, 429)) if route.method == "GET" else rng.choice((400, 401, 401, 422))
    elif route.method == "GET" and rng.random() < 0.15:
        status, slower = 304, 0.4
    duration = rng.lognormvariate(math.log(route.median_ms * slower), route.spread)
    return {
        "service": route.service,
        "method": route.method,
        "path": route.path,
        "status": status,
        "duration_ms": min(_TIMEOUT_MS, max(1, round(duration))),
        "region": crowd.region(rng),
    }


class Gauge(NamedTuple):
    """What a source measures: at night, how much more at the busy time, and the noise (standard deviation)."""

    name: str
    unit: str
    least: float
    more: float
    noise: float


GAUGES = (
    Gauge("cpu.load", "", 0.6, 3.2, 0.35),
    Gauge("memory.used", "MB", 6200, 2600, 180),
    Gauge("temperature", "°C", 31, 17, 1.2),
    Gauge("queue.length", "", 2, 40, 6),
)
SOURCES = 6


def metric(rng: random.Random, _crowd: Crowd, at: datetime) -> Data:
    """A measurement: each source has its own level and follows the day."""
    gauge, source = rng.choice(GAUGES), 1 + int(SOURCES * rng.random())
    level = 0.8 + 0.08 * source
    value = level * (gauge.least + gauge.more * by_day(at)) + rng.gauss(0, gauge.noise)
    data: Data = {
        "source": f"web-{source}",
        "metric_type": gauge.name,
        "value": f"{Decimal(round(100 * max(0.0, value))).scaleb(-2):f}",
    }
    if gauge.unit:
        data["unit"] = gauge.unit
    if rng.random() < 0.5:
        data["tags"] = {"zone": "eu-1" if source % 2 else "us-2"}
    return data


def by_day(at: datetime) -> float:
    """From 0 at 3:00 to 1 at 15:00, UTC."""
    hour = at.hour + at.minute / 60
    return 0.5 - 0.5 * math.cos((hour - 3) / 24 * 2 * math.pi)
