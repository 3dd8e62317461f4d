"""Which marts there are: what publish replaces, by whole periods. The models are in ``dbt_project/models/marts``."""

from dataclasses import dataclass
from typing import Literal, LiteralString

Grain = Literal["minute", "hour", "day", "week", "month", "ever"]


@dataclass(frozen=True)
class Mart:
    """One table of schema ``marts`` with a model of its name in ``marts_build``.

    The key is (tenant, period_start, *dimensions); every other column is a measure, or says more about the key. Those
    called ``…_sketch`` are how a distinct count or a quantile merges, and ``…_by_hour`` how a day's count grew: not
    numbers that a restatement tells.

    An hour of any of ``event_types`` touches the period that holds it, and one of ``onward`` all later periods too: a
    user who turns out to have been here before is no longer new later on. Grain ``ever`` has one period,
    from 1970-01-01.

    A mart with ``quiet`` has a row for every period from the tenant's first to its newest; the condition tells those in
    which nothing happened, and which are there because of the others (``claim_quiet_days.py``).
    """

    name: str
    event_types: tuple[str, ...]
    grain: Grain
    dimensions: tuple[str, ...]
    onward: tuple[str, ...] = ()
    quiet: LiteralString = ""

    @property
    def key(self) -> tuple[str, ...]:
        """The columns of the primary key."""
        return ("tenant", "period_start", *self.dimensions)


VIEWS = ("page_view",)
APPS = ("app_created", "app_verified")
SALES = ("purchase", "refund")
USERS = ("signup", "purchase")
ROUTE = ("service", "route", "method")
RANKED = ("ranked_by", "currency", "app_id")
RANKS = ("app_created", "app_verified", "purchase")
"""What a rank is made from: purchases, and the app's name as last seen."""

NO_NUMBERS = ("_sketch", "_by_hour")
"""How columns end that no person reads: what numbers merge from, and how a day's count grew."""
KEYED = ("developer",)
"""Columns that are somebody's keyed hash: it leaves a mart with the publication after an erasure, and would stay in
what is written down of one."""


def written_down(column: str) -> bool:
    """Whether a mart's column goes into what is kept of it: restatements, the daily report's page and CSV."""
    return not column.endswith(NO_NUMBERS) and column not in KEYED


MARTS = (
    Mart("page_views_hourly", VIEWS, "hour", ()),
    Mart("page_views_daily", VIEWS, "day", ()),
    Mart("page_views_weekly", VIEWS, "week", ()),
    Mart("page_views_monthly", VIEWS, "month", ()),
    Mart("region_hourly", VIEWS, "hour", ("region",)),
    Mart("region_daily", VIEWS, "day", ("region",)),
    Mart("region_weekly", VIEWS, "week", ("region",)),
    Mart("region_monthly", VIEWS, "month", ("region",)),
    Mart("page_daily", VIEWS, "day", ("page_name",)),
    Mart("page_region_hourly", VIEWS, "hour", ("page_name", "region")),
    Mart("page_region_daily", VIEWS, "day", ("page_name", "region")),
    Mart("apps_region_hourly", APPS, "hour", ("region", "category")),
    Mart("apps_region_daily", APPS, "day", ("region", "category")),
    Mart("apps_region_weekly", APPS, "week", ("region", "category")),
    Mart("apps_region_monthly", APPS, "month", ("region", "category")),
    Mart("app_totals", APPS, "ever", ("region", "category")),
    Mart("app_daily", (*APPS, *SALES), "day", ("app_id", "region"), onward=APPS),
    Mart("popular_apps_daily", RANKS, "day", RANKED, onward=RANKS),
    Mart("popular_apps_weekly", RANKS, "week", RANKED, onward=RANKS),
    Mart("popular_apps_monthly", RANKS, "month", RANKED, onward=RANKS),
    Mart("revenue_region_hourly", SALES, "hour", ("region", "currency")),
    Mart("revenue_daily", SALES, "day", ("region", "currency")),
    Mart("revenue_region_weekly", SALES, "week", ("region", "currency")),
    Mart("revenue_region_monthly", SALES, "month", ("region", "currency")),
    Mart("signups_region_hourly", ("signup",), "hour", ("region", "channel", "plan")),
    Mart("signups_region_daily", ("signup",), "day", ("region", "channel", "plan")),
    Mart("signups_region_weekly", ("signup",), "week", ("region", "channel", "plan")),
    Mart("signups_region_monthly", ("signup",), "month", ("region", "channel", "plan")),
    Mart("user_activity_daily", USERS, "day", (), onward=USERS, quiet="signups = 0 and daily_active_users = 0"),
    Mart("metric_hourly", ("metric",), "hour", ("source", "metric_type")),
    Mart("request_minute", ("request_log",), "minute", ROUTE),
    Mart("request_hourly", ("request_log",), "hour", ROUTE),
    Mart("requests_region_hourly", ("request_log",), "hour", ("service", "region")),
    Mart("requests_region_daily", ("request_log",), "day", ("service", "region")),
    Mart("requests_region_weekly", ("request_log",), "week", ("service", "region")),
    Mart("requests_region_monthly", ("request_log",), "month", ("service", "region")),
)

EVENT_TYPES = tuple(dict.fromkeys(type_ for mart in MARTS for type_ in mart.event_types))
"""The event types that reach a mart; the others end at the rollups."""

NEWEST = {
    "page_view": ("region_hourly", "page_views + bot_page_views > 0"),
    "app_created": ("apps_region_hourly", "created > 0"),
    "app_verified": ("apps_region_hourly", "verified > 0"),
    "purchase": ("revenue_region_hourly", "purchases > 0"),
    "refund": ("revenue_region_hourly", "refunds > 0"),
    "signup": ("signups_region_hourly", "signups > 0"),
    "metric": ("metric_hourly", "samples > 0"),
    "request_log": ("requests_region_hourly", "requests > 0"),
}
"""By event type: the mart by hour, and the condition on its rows, that tell the newest hour with data."""
