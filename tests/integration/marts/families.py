"""The marts of apps, revenue, users, metrics and requests in plain Python: what they must show of some minutes."""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

Row = Mapping[str, Any]
Held = dict[tuple[str, str, datetime], list[Row]]
"""By (type, tenant, minute): the rows of the rollup."""
Shown = dict[tuple[Any, ...], tuple[Any, ...]]
"""By the mart's key: its measures."""
EVER = datetime(1970, 1, 1, tzinfo=UTC)
OTHER = "(other)"


def hour(instant: datetime) -> datetime:
    return instant.replace(minute=0)


def day(instant: datetime) -> datetime:
    return instant.replace(hour=0, minute=0)


def week(instant: datetime) -> datetime:
    return day(instant) - timedelta(days=instant.weekday())


def month(instant: datetime) -> datetime:
    return day(instant).replace(day=1)


def minute(instant: datetime) -> datetime:
    return instant


def ever(_: datetime) -> datetime:
    return EVER


Grain = Callable[[datetime], datetime]


def after(grain: Grain, start: datetime) -> datetime:
    """The start of the next period."""
    return grain(start + timedelta(days={day: 1, week: 7, month: 31}[grain]))


def before(grain: Grain, start: datetime) -> datetime:
    """The start of the period before."""
    return grain(start - timedelta(days=1))


def rows(held: Held, *types: str) -> Iterator[tuple[str, Row]]:
    for (type_, _, _), found in held.items():
        if type_ in types:
            yield from ((type_, row) for row in found)


def grouped(
    found: Iterable[tuple[str, Row]], grain: Grain, *names: str
) -> dict[tuple[Any, ...], list[tuple[str, Row]]]:
    groups = defaultdict(list)
    for type_, row in found:
        groups[(row["tenant"], grain(row["minute"]), *(row[name] for name in names))].append((type_, row))
    return groups


def total(found: Iterable[tuple[str, Row]], name: str, *types: str) -> Any:
    return sum(row[name] or 0 for type_, row in found if type_ in types)


def rounded(value: Decimal | None, places: int) -> Decimal | None:
    """As Postgres rounds: halves away from zero."""
    return None if value is None else value.quantize(Decimal(1).scaleb(-places), rounding="ROUND_HALF_UP")


def ratio(part: Any, whole: Any, places: int) -> Decimal | None:
    return rounded(Decimal(part) / Decimal(whole), places) if whole else None


def apps(held: Held, grain: Grain) -> Shown:
    """(tenant, period, region, category) → created, verified."""
    found = grouped(rows(held, "app_created", "app_verified"), grain, "region", "category")
    return {key: (total(g, "apps", "app_created"), total(g, "apps", "app_verified")) for key, g in found.items()}


def app_totals(held: Held) -> Shown:
    """(tenant, period, region, category) → created, verified; apps, verified apps and their share."""
    firsts: dict[tuple[str, str], tuple[datetime, str, str]] = {}
    verified = {(row["tenant"], row["app_id"]) for _, row in rows(held, "app_verified")}
    for _, row in rows(held, "app_created"):
        app, place = (row["tenant"], row["app_id"]), (hour(row["minute"]), row["region"], row["category"])
        if row["app_id"] != OTHER:
            firsts[app] = min(firsts.get(app, place), place)
    shown: Shown = {}
    for key, counts in apps(held, ever).items():
        here = [app for app, (_, *place) in firsts.items() if (app[0], *place) == (key[0], *key[2:])]
        ok = [app for app in here if app in verified]
        shown[key] = (*counts, len(here), len(ok), ratio(len(ok), len(here), 4))
    return shown


def seen(held: Held, tenant: str, app_id: str, until: datetime) -> tuple[Any, Any, Any]:
    """Name, category and developer of an app as last seen before ``until``."""
    found = [
        (row["app_name_at"], row["app_name"], row["category"], row["developer"])
        for _, row in rows(held, "app_created", "app_verified")
        if (row["tenant"], row["app_id"]) == (tenant, app_id) and row["app_name_at"] < until and app_id != OTHER
    ]
    if not found:
        return (None, None, None)
    _, name, category, developer = max(found)
    return name, category, str(developer)


def app_daily(held: Held) -> Shown:
    found = grouped(rows(held, "app_created", "app_verified", "purchase", "refund"), day, "app_id", "region")
    return {
        (tenant, start, app_id, region): (
            *seen(held, tenant, app_id, start + timedelta(days=1)),
            total(g, "apps", "app_created"),
            total(g, "apps", "app_verified"),
            total(g, "purchases", "purchase"),
            total(g, "refunds", "refund"),
            total(g, "quantity", "purchase"),
        )
        for (tenant, start, app_id, region), g in found.items()
    }


def revenue(held: Held, grain: Grain) -> Shown:
    """(tenant, period, region, currency) → revenue, refunded, net, purchases, refunds, quantity, buyers, average."""
    shown: Shown = {}
    for key, g in grouped(rows(held, "purchase", "refund"), grain, "region", "currency").items():
        gross, back = Decimal(total(g, "revenue", "purchase")), Decimal(total(g, "refunded", "refund"))
        purchases = total(g, "purchases", "purchase")
        buyers = {h for type_, row in g if type_ == "purchase" for h in row["buyers"]}
        shown[key] = (
            gross,
            back,
            gross - back,
            purchases,
            total(g, "refunds", "refund"),
            total(g, "quantity", "purchase"),
            len(buyers),
            ratio(gross, purchases, 4),
        )
    return shown


def ranks(held: Held, grain: Grain) -> dict[tuple[str, datetime, str, str], dict[str, tuple[int, Row]]]:
    """(tenant, period, ranked_by, currency) → app → place, and what it sold."""
    lists: dict[tuple[Any, ...], dict[str, dict[str, Any]]] = defaultdict(dict)
    for _, row in rows(held, "purchase"):
        if row["app_id"] == OTHER:
            continue
        for by, currency in (("purchases", "(all)"), ("revenue", row["currency"])):
            sold = lists[row["tenant"], grain(row["minute"]), by, currency].setdefault(
                row["app_id"], {"purchases": 0, "quantity": 0, "revenue": Decimal(0)}
            )
            for name in sold:
                sold[name] += row[name]
    return {
        key: {
            app: (1 + sum(other[key[2]] > sold[key[2]] for other in apps.values()), sold) for app, sold in apps.items()
        }
        for key, apps in lists.items()
    }


def popular(held: Held, grain: Grain) -> Shown:
    placed = ranks(held, grain)
    shown: Shown = {}
    for (tenant, start, by, currency), found in placed.items():
        earlier = placed.get((tenant, before(grain, start), by, currency), {})
        for app, (place, sold) in found.items():
            was = earlier[app][0] if app in earlier else None
            shown[tenant, start, by, currency, app] = (
                *seen(held, tenant, app, after(grain, start))[:2],
                place,
                was,
                None if was is None else was - place,
                sold["purchases"],
                sold["quantity"],
                sold["revenue"] if by == "revenue" else None,
            )
    return shown


def signups(held: Held, grain: Grain) -> Shown:
    found = grouped(rows(held, "signup"), grain, "region", "channel", "plan")
    return {key: (total(g, "signups", "signup"),) for key, g in found.items()}


def user_activity(held: Held) -> Shown:
    days: dict[str, dict[datetime, set[int]]] = defaultdict(lambda: defaultdict(set))
    for _, row in rows(held, "signup", "purchase"):
        days[row["tenant"]][day(row["minute"])] |= set(row.get("users", row.get("buyers")))
    made = grouped(rows(held, "signup"), day)
    shown: Shown = {}
    for tenant, active in days.items():
        busy = [d for d, users in active.items() if users or (tenant, d) in made]
        for today in (min(busy) + timedelta(days=n) for n in range((max(busy) - min(busy)).days + 1)):
            users = active.get(today, set())
            within = {
                n: len(set().union(*(u for d, u in active.items() if today - timedelta(days=n) < d <= today)))
                for n in (7, 30)
            }
            old = set().union(*(u for d, u in active.items() if d < today))
            shown[tenant, today] = (
                total(made.get((tenant, today), ()), "signups", "signup"),
                len(users),
                within[7],
                within[30],
                ratio(len(users), within[30], 4) or Decimal(0),
                len(users - old),
                len(users & old),
            )
    return shown


def metrics(held: Held) -> Shown:
    shown: Shown = {}
    for key, g in grouped(rows(held, "metric"), hour, "source", "metric_type").items():
        found = [row for _, row in g]
        samples, whole = sum(r["samples"] for r in found), sum((r["value_sum"] for r in found), Decimal(0))
        at, last = max((r["value_last_at"], r["value_last"]) for r in found)
        units = [(r["unit_at"], r["unit"]) for r in found if r["unit"] is not None]
        shown[key] = (
            samples,
            whole,
            ratio(whole, samples, 10),
            min(r["value_min"] for r in found),
            max(r["value_max"] for r in found),
            last,
            at,
            max(units)[1] if units else None,
        )
    return shown


SUMS = ("requests", "client_errors", "errors", "timed", "duration_sum", "satisfied", "tolerating")
GAMMA = 1.01 / 0.99


def bucket(milliseconds: int) -> str:
    return "zero" if milliseconds == 0 else str(math.ceil(math.log(milliseconds) / math.log(GAMMA)))


def requests(held: Held, grain: Grain, *names: str) -> tuple[Shown, dict[tuple[Any, ...], list[int]]]:
    """The sums and apdex, and every duration, by key."""
    found = grouped(rows(held, "request_log"), grain, *names)
    shown, durations = {}, {}
    for key, g in found.items():
        sums = {name: total(g, name, "request_log") for name in SUMS}
        apdex = ratio(sums["satisfied"] + Decimal(sums["tolerating"]) / 2, sums["timed"], 4)
        shown[key] = (*sums.values(), apdex)
        durations[key] = sorted(d for _, row in g for d in row["durations"])
    return shown, durations
