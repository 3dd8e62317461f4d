"""Which marts answer for which numbers: by family, the event types it is made from and its mart of each grain."""

from dataclasses import dataclass

from superset_config.literals import MacroError, literals


@dataclass(frozen=True)
class Family:
    """Numbers that are read together. A mart that is None is not there: the next finer one answers.

    ``event_types``: the family ends at the newest of them, and is complete through the least complete.
    """

    event_types: tuple[str, ...]
    hour: str | None = None
    day: str | None = None
    week: str | None = None
    month: str | None = None

    @property
    def by_day(self) -> str:
        """The mart of days; that of hours where there is none."""
        return str(self.day or self.hour)


APP_STORE = ("app_created", "app_verified", "purchase", "refund")
USERS = ("signup", "purchase")

FAMILIES: dict[str, Family] = {
    "page_views": Family(
        ("page_view",), "page_views_hourly", "page_views_daily", "page_views_weekly", "page_views_monthly"
    ),
    "regions": Family(("page_view",), "region_hourly", "region_daily", "region_weekly", "region_monthly"),
    "pages": Family(("page_view",), "page_region_hourly", "page_daily"),
    "page_regions": Family(("page_view",), "page_region_hourly", "page_region_daily"),
    "apps": Family(APP_STORE, "apps_region_hourly", "apps_region_daily", "apps_region_weekly", "apps_region_monthly"),
    "app_activity": Family(APP_STORE, day="app_daily"),
    "app_ranks": Family(APP_STORE, day="popular_apps_daily", week="popular_apps_weekly", month="popular_apps_monthly"),
    "revenue": Family(
        ("purchase", "refund"),
        "revenue_region_hourly",
        "revenue_daily",
        "revenue_region_weekly",
        "revenue_region_monthly",
    ),
    "app_revenue": Family(("purchase", "refund"), day="popular_apps_daily"),
    "signups": Family(
        USERS, "signups_region_hourly", "signups_region_daily", "signups_region_weekly", "signups_region_monthly"
    ),
    "active_users": Family(USERS, day="user_activity_daily"),
    "metrics": Family(("metric",), hour="metric_hourly"),
    "requests": Family(
        ("request_log",),
        "requests_region_hourly",
        "requests_region_daily",
        "requests_region_weekly",
        "requests_region_monthly",
    ),
    "routes": Family(("request_log",), hour="request_hourly"),
}

TITLES = {
    "Page views": "page_views",
    "App store": "apps",
    "Revenue": "revenue",
    "User activity": "signups",
    "Service health": "requests",
    "Metrics": "metrics",
}
"""The families that readers know, by the names of their dashboards."""

GRAINS: dict[str, tuple[str, str]] = {
    "PT1H": ("hour", "FMDD Mon HH24:MI"),
    "P1D": ("day", "Dy FMDD Mon"),
    "P1W": ("week", '"from" FMDD Mon'),
    "P1M": ("month", "Mon"),
    "P3M": ("quarter", '"Q"Q'),
    "P1Y": ("year", "YYYY"),
}
"""Superset's code of a time grain: the unit, and how `to_char` names a period."""


def family_of(name: str) -> Family:
    """A family by its name.

    :raises MacroError: for one that is none
    """
    if name not in FAMILIES:
        raise MacroError(f"no such family: {name!r}")
    return FAMILIES[name]


def views_of(by_page: object, by_region: object = ()) -> str:
    """The family that tells page views apart as far as is asked for, each of ``by_page`` and ``by_region`` if true.

    Always the one with the fewest rows: each brings a sketch of its visitors along, and what is merged costs time.
    """
    if not by_page:
        return "regions" if by_region else "page_views"
    return "page_regions" if by_region else "pages"


def family_rows() -> str:
    """The families that readers know, as rows of a `values` list: name, event type, place in the list."""
    return ", ".join(
        f"({literals([title, event_type])[1:-1]}, {order})"
        for order, (title, name) in enumerate(TITLES.items())
        for event_type in FAMILIES[name].event_types
    )


def family_marts() -> list[tuple[str, str]]:
    """The families that readers know with their marts: each has all that are made from the same event types."""
    return [(title, mart) for title, name in TITLES.items() for mart in _marts_like(name)]


def _marts_like(name: str) -> list[str]:
    alike = (family for family in FAMILIES.values() if family.event_types == FAMILIES[name].event_types)
    return sorted({mart for family in alike for mart in (family.hour, family.day, family.week, family.month) if mart})


def _grain(grain: str | None) -> tuple[str, str]:
    if grain and grain not in GRAINS:
        raise MacroError(f"the marts hold no such time grain: {grain!r}")
    return GRAINS[grain or "P1D"]


def grain_unit(grain: str | None, family: str = "page_views") -> str:
    """The unit of a time grain for `date_trunc`; without a grain, days. Where a family has no hours, days for them."""
    unit = _grain(grain)[0]
    return "day" if unit == "hour" and family_of(family).hour is None else unit


def grain_mart(grain: str | None, family: str = "page_views") -> str:
    """The family's mart whose periods nest in a time grain; without a grain, that of days."""
    marts = family_of(family)
    return str(
        {
            "hour": marts.hour or marts.day,
            "day": marts.by_day,
            "week": marts.week or marts.by_day,
        }.get(grain_unit(grain, family), marts.month or marts.by_day)
    )


def grain_step(grain: str | None, family: str = "page_views") -> str:
    """The length of a time grain as an interval's text."""
    unit = grain_unit(grain, family)
    return "3 months" if unit == "quarter" else f"1 {unit}"


def grain_zone(grain: str | None, family: str = "page_views") -> str:
    """SQL of the time zone that names the periods of a time grain: that of the span ``s``; hours are those of UTC."""
    return "'UTC'" if grain_unit(grain, family) == "hour" else "s.time_zone"


def grain_label(grain: str | None, family: str = "page_views") -> str:
    """How `to_char` names one period of a time grain, without its year."""
    unit = grain_unit(grain, family)
    return next(label for each, label in GRAINS.values() if each == unit)
