"""A million visitors against exact counts: days are exact, everything else is within 2 %, over any filter."""

import random
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from textwrap import dedent

import pytest

from dbt_project.selection import PROJECT
from tests.integration.marts.warehouse_kit import Minute, Warehouse

MONDAY = datetime(2026, 11, 16, tzinfo=UTC)
REGIONS = ("DE", "FR")
PAGES = ("home", "about")


def query_to_copy() -> str:
    """The query that dbt's docs show an analyst."""
    docs = re.search(r"{% docs visitors %}(.*?){% enddocs %}", (PROJECT / "models" / "docs.md").read_text(), re.DOTALL)
    assert docs is not None
    return dedent("\n".join(line for line in docs[1].splitlines() if line.startswith("    ")))


def asking(mart: str, where: str) -> str:
    """That query of another mart or choice of rows."""
    query, changes = re.subn(
        r"from marts\.region_daily\b(.*)^where .*^group by", rf"from marts.{mart}\1where {where}\ngroup by",
        query_to_copy(), flags=re.DOTALL | re.MULTILINE,
    )  # fmt: skip
    assert changes == 1
    return query


def parts(seen: list[int], size: int = 40_000) -> Iterator[tuple[int, ...]]:
    """``seen`` in parts that one minute may have."""
    rest = iter(seen)
    while part := tuple(islice(rest, size)):
        yield part


@pytest.fixture
def crowd(warehouse: Warehouse) -> dict[tuple[str, str, int], set[int]]:
    """A million visitors of two days, two regions and two pages, a fifth of each hour's in another place as well."""
    seeded = random.Random(20261116)  # noqa: S311 - draws a test
    hashes = [seeded.getrandbits(63) for _ in range(1_000_000)]
    found: dict[tuple[str, str, int], set[int]] = {}
    minutes = []
    for hour in range(40):
        seen = hashes[hour * 25_000 : (hour + 1) * 25_000] + seeded.sample(hashes, 5_000)
        region, page, day = REGIONS[hour % 2], PAGES[hour // 2 % 2], hour // 20
        found.setdefault((region, page, day), set()).update(seen)
        at = MONDAY + timedelta(days=day, hours=hour % 20)
        minutes.append(Minute("a", at, region, page, len(seen), 0, tuple(seen)))
    warehouse.load(minutes)
    warehouse.run()
    return found


def test_days_are_exact_and_all_else_is_within_two_percent(
    warehouse: Warehouse, crowd: dict[tuple[str, str, int], set[int]]
) -> None:
    def exact(region: str | None = None, page: str | None = None, day: int | None = None) -> int:
        chosen = (
            people
            for (r, p, d), people in crowd.items()
            if region in (None, r) and page in (None, p) and day in (None, d)
        )
        return len(set().union(*chosen))

    for (_, start, region), (_, visitors, _) in warehouse.mart("region_daily").items():
        assert visitors == exact(region=region, day=(start - MONDAY).days)
        assert visitors > 65_536
    for (_, start, page), (_, visitors, _) in warehouse.mart("page_daily").items():
        assert visitors == exact(page=page, day=(start - MONDAY).days)
    for (_, start, page, region), (_, visitors, _) in warehouse.mart("page_region_daily").items():
        assert visitors == exact(region=region, page=page, day=(start - MONDAY).days)
        assert visitors > 65_536
    for name in ("region_weekly", "region_monthly"):
        for (_, _, region), (_, visitors, _) in warehouse.mart(name).items():
            assert visitors == pytest.approx(exact(region=region), rel=0.02), name
    ranges = {
        ("region_hourly", "true"): exact(),
        ("region_daily", "true"): exact(),
        ("region_daily", "region = 'DE'"): exact(region="DE"),
        ("region_monthly", "region in ('DE', 'FR')"): exact(),
        ("page_daily", "page_name = 'about'"): exact(page="about"),
        ("page_region_daily", "page_name = 'about' and region = 'DE'"): exact(page="about", region="DE"),
        ("page_region_hourly", "page_name = 'about' and region in ('DE', 'FR')"): exact(page="about"),
        ("page_daily", f"period_start = '{MONDAY.isoformat()}'"): exact(day=0),
        ("page_views_daily", "true"): exact(),
        ("page_views_daily", f"period_start = '{MONDAY.isoformat()}'"): exact(day=0),
    }
    for (mart, where), truth in ranges.items():
        ((_, estimate),) = warehouse.rows(asking(mart, where), role="READER")
        assert estimate == pytest.approx(truth, rel=0.02), (mart, where)
    ((_, estimate),) = warehouse.rows(query_to_copy(), role="READER")
    assert estimate == pytest.approx(exact(region="DE"), rel=0.02)


def test_a_day_has_by_each_hour_the_visitors_that_it_had_until_then(warehouse: Warehouse) -> None:
    seeded = random.Random(20261117)  # noqa: S311 - draws a test
    hashes = [seeded.getrandbits(63) for _ in range(100_000)]
    hours = {
        "exact": {0: hashes[:100], 2: hashes[50:90_000:3], 3: hashes[:10]},
        "full": {1: hashes[:80_000], 2: hashes[70_000:], 5: hashes[:5]},  # the first piece's sketch is full
    }
    warehouse.load(
        Minute(tenant, MONDAY + timedelta(hours=hour, minutes=n), visitors=part, views=len(part))
        for tenant, of_day in hours.items()
        for hour, seen in of_day.items()
        for n, part in enumerate(parts(seen))
    )
    warehouse.run()
    rows = dict(warehouse.rows("select tenant, visitors_by_hour from marts.page_views_daily", role="READER"))
    truth = {
        tenant: [
            len({h for hour, seen in of_day.items() if hour <= last for h in seen}) for last in range(max(of_day) + 1)
        ]
        for tenant, of_day in hours.items()
    }
    assert rows["exact"] == truth["exact"]
    assert rows["full"] == pytest.approx(truth["full"], rel=0.02)
    assert rows["full"] != truth["full"]
