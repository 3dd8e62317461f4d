"""Apps, revenue, users, metrics, requests: whatever is loaded in whatever order, the marts agree with plain Python."""

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from psycopg.types.json import Jsonb

from tests.integration.marts import families
from tests.integration.marts.families import Held, Shown, bucket, day, hour, minute, month, week
from tests.integration.marts.warehouse_kit import Warehouse

# Around the ends of an ISO week, of a month and of a year, and a day a month later: Sunday 27 December 2026 and on.
FIRST = datetime(2026, 12, 27, tzinfo=UTC)
MINUTES = st.sampled_from(
    [FIRST + timedelta(days=d, hours=h, minutes=m) for d in (0, 1, 4, 5, 7, 8, 34) for h in (0, 23) for m in (0, 59)]
)
TENANTS = st.sampled_from(["a", "b"])
REGIONS, CURRENCIES = st.sampled_from(["DE", "FR"]), st.sampled_from(["EUR", "USD"])
APPS = st.sampled_from(["one", "two", "three", "(other)"])
MONEY = st.decimals(0, 100, places=4)
PEOPLE = st.lists(st.integers(0, 9), min_size=1, max_size=3, unique=True).map(sorted)
SECONDS = st.integers(0, 59)
VALUES = st.lists(st.decimals(-10, 10, places=10), min_size=1, max_size=3)
REQUEST = st.tuples(st.sampled_from([0, 1, 3, 250, 500, 501, 2000, 2001, 86_400_000]), st.sampled_from([200, 404, 503]))
PATHS = st.sampled_from(["/", "/item/42", "/item/7", "/item/7/edit", "/item/x7"])


def metric(source: str, kind: str, values: list[Decimal], second: int, unit: str | None) -> dict[str, Any]:
    return {
        "source": source, "metric_type": kind, "samples": len(values), "value_sum": sum(values, Decimal(0)),
        "value_min": min(values), "value_max": max(values), "value_last": values[-1], "unit": unit, "second": second,
    }  # fmt: skip


def request(service: str, method: str, path: str, region: str, made: list[tuple[int | None, int]]) -> dict[str, Any]:
    """Rows of one status only: the first's."""
    status = made[0][1]
    known = [d for d, _ in made if d is not None]
    fine = [d for d in known if status < 500]
    return {
        "service": service, "method": method, "path": path, "region": region, "status": status,
        "requests": len(made), "errors": len(made) * (status >= 500),
        "client_errors": len(made) * (400 <= status < 500), "timed": len(known),
        "duration_sum": sum(known) if known else None,
        "satisfied": sum(d <= 500 for d in fine), "tolerating": sum(500 < d <= 2000 for d in fine),
        "durations": known, "route": path.replace("/42", "/{id}").replace("/7", "/{id}") if "/x" not in path else path,
    }  # fmt: skip


ROWS: dict[str, tuple[st.SearchStrategy[dict[str, Any]], tuple[str, ...]]] = {
    **{
        type_: (
            st.fixed_dictionaries(
                {"region": REGIONS, "category": st.sampled_from(["games", "music"]), "app_id": APPS,
                 "apps": st.integers(1, 3), "app_name": st.sampled_from(["Old", "New"]),
                 "developer": st.integers(1, 2**62), "second": SECONDS}
            ),
            ("region", "category", "app_id"),
        )
        for type_ in ("app_created", "app_verified")
    },
    "purchase": (
        st.fixed_dictionaries(
            {"region": REGIONS, "currency": CURRENCIES, "app_id": APPS, "revenue": MONEY,
             "quantity": st.integers(3, 9), "purchases": st.just(3), "buyers": PEOPLE}
        ),
        ("region", "currency", "app_id"),
    ),
    "refund": (
        st.fixed_dictionaries(
            {"region": REGIONS, "currency": CURRENCIES, "app_id": APPS, "refunded": MONEY, "refunds": st.integers(1, 3)}
        ),
        ("region", "currency", "app_id"),
    ),
    "signup": (
        st.fixed_dictionaries(
            {"region": REGIONS, "channel": st.sampled_from(["ads", "(none)"]), "plan": st.just("free"),
             "signups": st.just(3), "users": PEOPLE}
        ),
        ("region", "channel", "plan"),
    ),
    "metric": (
        st.builds(
            metric, st.sampled_from(["web-1", "web-2"]), st.just("cpu"), VALUES, SECONDS,
            st.sampled_from([None, "ms", "s"]),
        ),
        ("source", "metric_type"),
    ),
    "request_log": (
        st.builds(
            request, st.just("shop"), st.sampled_from(["GET", "POST"]), PATHS, REGIONS,
            st.lists(REQUEST | st.tuples(st.none(), st.just(200)), min_size=1, max_size=4),
        ),
        ("service", "method", "path", "status", "region"),
    ),
}  # fmt: skip
TYPES = tuple(ROWS)


def _unique(type_: str) -> st.SearchStrategy[list[dict[str, Any]]]:
    strategy, dimensions = ROWS[type_]
    some = st.lists(strategy, min_size=1, max_size=3, unique_by=lambda row: tuple(row[name] for name in dimensions))
    return some | some | st.just([])


BATCH = st.lists(
    st.sampled_from(TYPES).flatmap(lambda type_: st.tuples(st.just(type_), TENANTS, MINUTES, _unique(type_))),
    min_size=10,
    max_size=20,
    unique_by=lambda part: part[:3],
)


def complete(type_: str, tenant: str, at: datetime, row: Mapping[str, Any]) -> dict[str, Any]:
    """A row with its place, and the instants of what it says last."""
    said = {"tenant": tenant, "minute": at, **row}
    if "second" in said:
        instant = at + timedelta(seconds=said.pop("second"))
        names = {"metric": ("value_last", "unit")}.get(type_, ("app_name", "developer"))
        said |= {f"{name}_at": instant for name in names if said[name] is not None}
    return said


def loaded(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row as the rollup has it."""
    found = {name: value for name, value in row.items() if name not in ("durations", "route")}
    if "durations" in row:
        found["duration_ms"] = Jsonb(dict(Counter(map(bucket, row["durations"]))))
    return found


def shown(warehouse: Warehouse, mart: str, dimensions: tuple[str, ...], measures: tuple[str, ...]) -> Shown:
    key = ("tenant", "period_start", *dimensions)
    found = warehouse.rows(f"select {', '.join(key + measures)} from marts.{mart}", role="READER")
    return {row[: len(key)]: row[len(key) :] for row in found}


REVENUE = ("revenue", "refunded", "net_revenue", "purchases", "refunds", "quantity", "buyers", "average_purchase")
RANKED = ("app_name", "category", "rank", "previous_rank", "movement", "purchases", "quantity", "revenue")
USERS = (
    "signups", "daily_active_users", "weekly_active_users", "monthly_active_users", "stickiness",
    "first_seen_users", "returning_users",
)  # fmt: skip


def check(warehouse: Warehouse, held: Held) -> None:
    for name, grain in (("hourly", hour), ("daily", day), ("weekly", week), ("monthly", month)):
        made = shown(warehouse, f"apps_region_{name}", ("region", "category"), ("created", "verified"))
        assert made == families.apps(held, grain), name
        money = shown(
            warehouse, "revenue_daily" if name == "daily" else f"revenue_region_{name}", ("region", "currency"), REVENUE
        )
        assert money == families.revenue(held, grain), name
        assert shown(
            warehouse, f"signups_region_{name}", ("region", "channel", "plan"), ("signups",)
        ) == families.signups(held, grain)
        check_requests(warehouse, held, f"requests_region_{name}", grain, "service", "region")
    for name, grain in (("daily", day), ("weekly", week), ("monthly", month)):
        ranked = shown(warehouse, f"popular_apps_{name}", ("ranked_by", "currency", "app_id"), RANKED)
        assert ranked == families.popular(held, grain), name
    ever = ("created", "verified", "apps", "verified_apps", "share_verified")
    assert shown(warehouse, "app_totals", ("region", "category"), ever) == families.app_totals(held)
    daily = ("app_name", "category", "developer", "created", "verified", "purchases", "refunds", "quantity")
    assert shown(warehouse, "app_daily", ("app_id", "region"), daily) == families.app_daily(held)
    assert shown(warehouse, "user_activity_daily", (), USERS) == families.user_activity(held)
    values = ("samples", "value_sum", "value_avg", "value_min", "value_max", "value_last", "value_last_at", "unit")
    assert shown(warehouse, "metric_hourly", ("source", "metric_type"), values) == families.metrics(held)
    check_requests(warehouse, held, "request_minute", minute, "service", "route", "method")
    check_requests(warehouse, held, "request_hourly", hour, "service", "route", "method")


def check_requests(warehouse: Warehouse, held: Held, mart: str, grain: families.Grain, *names: str) -> None:
    sums, durations = families.requests(held, grain, *names)
    assert shown(warehouse, mart, names, (*families.SUMS, "apdex")) == sums, mart
    quantiles = shown(warehouse, mart, names, ("duration_p50", "duration_p95", "duration_p99"))
    for key, found in quantiles.items():
        exact = durations[key]
        for q, value in zip((0.5, 0.95, 0.99), found, strict=True):
            if not exact:
                assert value is None
                continue
            # The value at that rank: the least of which more than q·(n-1) are not greater.
            truth = exact[int(q * (len(exact) - 1))]
            assert abs(float(value) - truth) <= 0.02 * truth, (mart, key, q)


@settings(
    max_examples=2,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize=True,
    phases=[Phase.generate],  # to shrink a failure would build the marts hundreds of times
)
@given(batches=st.lists(BATCH, min_size=2, max_size=2))
def test_any_sequence_of_loads_gives_the_marts_of_their_sum(warehouse: Warehouse, batches: list[Any]) -> None:
    warehouse.empty()
    held: Held = {}
    for batch in batches:
        for type_, tenant, at, found in batch:
            held[type_, tenant, at] = [complete(type_, tenant, at, row) for row in found]
            rows = [loaded(row) for row in held[type_, tenant, at]]
            warehouse.load_rows(type_, rows, empty=[(tenant, at)])
        warehouse.run()
        check(warehouse, held)
    # All at once, it is the same, and the second gate finds nothing in any of it.
    run_id = warehouse.claim(everything=True).run_id
    warehouse.gate("rollups", run_id)
    warehouse.build(run_id, full_refresh=True)
    assert warehouse.gate("marts", run_id).failures("stop") == {}
    assert set(warehouse.publish(run_id).rows.values()) <= {0}
