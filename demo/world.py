"""The small world of the demo: countries and their share of the traffic, pages, apps, and when people are awake."""

import math
from datetime import datetime
from itertools import accumulate

REGIONS: dict[str, tuple[float, float]] = {
    "US": (18.0, -6.0), "IN": (11.0, 5.5), "DE": (8.0, 1.0), "GB": (6.5, 0.0), "BR": (6.0, -3.0),
    "FR": (5.0, 1.0), "JP": (4.5, 9.0), "CA": (3.6, -5.0), "ES": (3.0, 1.0), "IT": (2.8, 1.0),
    "MX": (2.6, -6.0), "AU": (2.5, 10.0), "NL": (2.4, 1.0), "ID": (2.3, 7.0), "PL": (2.0, 1.0),
    "TR": (1.9, 3.0), "KR": (1.8, 9.0), "PH": (1.5, 8.0), "AR": (1.4, -3.0), "NG": (1.3, 1.0),
    "SE": (1.2, 1.0), "ZA": (1.1, 2.0), "CH": (1.0, 1.0), "UA": (0.9, 2.0), "AT": (0.8, 1.0),
    "EG": (0.8, 2.0), "VN": (0.7, 7.0), "CO": (0.7, -5.0), "PT": (0.6, 0.0), "KE": (0.5, 3.0),
    "NZ": (0.4, 12.0), "CL": (0.4, -4.0), "IE": (0.3, 0.0), "IS": (0.1, 0.0), "FJ": (0.05, 12.0),
    "ZZ": (1.0, 0.0),
}  # fmt: skip
"""By ISO 3166-1 code: its share of the traffic, and roughly how many hours its clocks are ahead of UTC."""

PAGES = (
    "/", "/pricing", "/features", "/docs", "/blog", "/docs/quick-start", "/login", "/signup", "/about",
    "/blog/rain-is-data", "/docs/events", "/docs/api", "/status", "/careers", "/contact", "/docs/contracts",
    "/blog/books-that-balance", "/changelog", "/docs/self-hosting", "/security", "/customers", "/blog/late-events",
    "/docs/dashboards", "/privacy", "/terms", "/partners", "/blog/sketches", "/press", "/docs/faq", "/imprint",
    "/docs/überblick", "/ja/はじめに",
)  # fmt: skip
"""Most viewed first; the share of the n-th is 1/n (Zipf's law)."""
PAGE_SHARES = tuple(accumulate(1 / rank for rank in range(1, len(PAGES) + 1)))
REFERRERS = ("https://search.example/", "https://news.example/item?id=42", "https://social.example/t/rain", "")
DEVICES = ("desktop", "mobile", "tablet", "other")
DEVICE_SHARES = tuple(accumulate((50, 43, 5, 2)))
CATEGORIES = ("games", "weather", "productivity", "music", "travel", "finance", "health", "education")
PLANS = ("free", "team", "business")
CHANNELS = ("organic", "referral", "ads", "newsletter")
CURRENCIES = {"US": "USD", "GB": "GBP", "JP": "JPY", "IN": "INR", "BR": "BRL", "CH": "CHF", "PL": "PLN", "CA": "CAD"}
"""Elsewhere the demo's shop sells in euros."""

SHARES = {
    "app_created": 0.0075,
    "app_verified": 0.005,
    "purchase": 0.02,
    "refund": 0.001,
    "signup": 0.015,
    "metric": 0.03,
    "request_log": 0.04,
}
"""Events of a type for each page view; :data:`OTHER_SHARE` for a type that is not named here."""
OTHER_SHARE = 0.005


def share(type_: str) -> float:
    """Events of ``type_`` for each page view."""
    return 1.0 if type_ == "page_view" else SHARES.get(type_, OTHER_SHARE)


def activity(region: str, hour_utc: float, weekday: int) -> float:
    """How busy a region is: least at 3:30 at night by its own clock, most at 15:30; a third less at the weekend."""
    local = hour_utc + REGIONS[region][1]
    day = (weekday + math.floor(local / 24)) % 7
    awake = 1.0 - 0.75 * math.cos((local - 3.5) / 24 * 2 * math.pi)
    return awake * (0.67 if day >= 5 else 1.0)


def busy(at: datetime) -> float:
    """How busy the world is at an instant (UTC)."""
    hour = at.hour + at.minute / 60
    return sum(weight * activity(region, hour, at.weekday()) for region, (weight, _) in REGIONS.items())
