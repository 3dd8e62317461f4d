"""Whatever is loaded in whatever order, each mart is the plain sum of the minutes, and its levels agree."""

from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.integration.marts.warehouse_kit import Minute, Warehouse

# Around the ends of an ISO week, of a month and of a year: Sunday 27 December 2026 to Monday 4 January 2027.
FIRST = datetime(2026, 12, 27, tzinfo=UTC)
MINUTES = st.sampled_from(
    [
        FIRST + timedelta(days=day, hours=hour, minutes=minute)
        for day in range(9)
        for hour in (0, 23)
        for minute in (0, 59)
    ]
)
Row = tuple[str, str, int, int, tuple[int, ...]]
ROWS = st.lists(
    st.tuples(
        st.sampled_from(["DE", "FR"]),
        st.sampled_from(["home", "about"]),
        st.integers(1, 9),
        st.integers(0, 3),
        st.lists(st.integers(0, 12), max_size=4).map(tuple),
    ),
    max_size=3,
    unique_by=lambda row: row[:2],
)
BATCH = st.dictionaries(st.tuples(st.sampled_from(["a", "b"]), MINUTES), ROWS, min_size=1, max_size=6)


def hour(instant: datetime) -> datetime:
    return instant.replace(minute=0)


def day(instant: datetime) -> datetime:
    return instant.replace(hour=0, minute=0)


def week(instant: datetime) -> datetime:
    return day(instant) - timedelta(days=instant.weekday())


def month(instant: datetime) -> datetime:
    return day(instant).replace(day=1)


GRAINS: dict[str, tuple[Callable[[datetime], datetime], tuple[int, ...]]] = {
    "page_views_hourly": (hour, ()),
    "page_views_daily": (day, ()),
    "page_views_weekly": (week, ()),
    "page_views_monthly": (month, ()),
    "region_hourly": (hour, (0,)),
    "region_daily": (day, (0,)),
    "region_weekly": (week, (0,)),
    "region_monthly": (month, (0,)),
    "page_daily": (day, (1,)),
    "page_region_hourly": (hour, (1, 0)),
    "page_region_daily": (day, (1, 0)),
}


def model(state: dict[tuple[str, datetime], list[Row]]) -> dict[str, dict[tuple[Any, ...], tuple[int, int, int]]]:
    """The marts of ``state``, by adding up."""
    marts: dict[str, dict[tuple[Any, ...], tuple[int, int, int]]] = {}
    for name, (truncate, dimensions) in GRAINS.items():
        views: dict[tuple[Any, ...], list[int]] = defaultdict(lambda: [0, 0])
        visitors: dict[tuple[Any, ...], set[int]] = defaultdict(set)
        for (tenant, minute), rows in state.items():
            for row in rows:
                key = (tenant, truncate(minute), *(row[dimension] for dimension in dimensions))
                views[key][0] += row[2]
                views[key][1] += row[3]
                visitors[key].update(row[4])
        marts[name] = {key: (people, len(visitors[key]), bots) for key, (people, bots) in views.items()}
    return marts


@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(batches=st.lists(BATCH, min_size=1, max_size=3))
def test_any_sequence_of_loads_gives_the_marts_of_their_sum(warehouse: Warehouse, batches: list[Any]) -> None:
    warehouse.empty()
    state: dict[tuple[str, datetime], list[Row]] = {}
    for batch in batches:
        # A visitor of a minute has a page view in it, as the first gate asks.
        whole = {key: [(*row[:2], row[2] + len(row[4]), *row[3:]) for row in rows] for key, rows in batch.items()}
        state.update(whole)
        warehouse.load(
            [Minute(tenant, minute, *row) for (tenant, minute), rows in whole.items() for row in rows],
            empty=[key for key, rows in whole.items() if not rows],
        )
        warehouse.run(gates=False)
        assert warehouse.marts() == model(state)
    # All at once, it is the same, and the second gate finds nothing in any of it.
    run_id = warehouse.claim(everything=True).run_id
    warehouse.gate("rollups", run_id)
    warehouse.build(run_id, full_refresh=True)
    assert warehouse.gate("marts", run_id).failures("stop") == {}
    assert set(warehouse.publish(run_id).rows.values()) <= {0}
    assert warehouse.marts() == model(state)
