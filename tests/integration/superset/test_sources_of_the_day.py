"""How many sources sent something on each day, and how many metrics: a source that stopped is a tile that fell."""

from tests.integration.superset.marts_kit import Marts

METRICS = ("sources_of_day", "metric_types_of_day")


def put(marts: Marts, at: str, source: str, metric: str = "cpu", *, tenant: str = "t") -> None:
    marts.put("metric_hourly", f"2026-11-{at}", source=source, metric_type=metric, samples=1, tenant=tenant)


def of_day(marts: Marts, day: int) -> tuple[object, object]:
    one, other = (
        marts.metric("overview_sources", metric, f"day = '2026-11-{day:02}'", tenant=["t"]) for metric in METRICS
    )
    return one, other


def test_each_source_and_metric_of_a_day_counts_once_up_to_the_same_time_of_day(marts: Marts) -> None:
    marts.fresh("t", "2026-11-25 10:00", event_type="metric")  # complete through 10:30
    put(marts, "24 08:00", "a")
    put(marts, "24 09:00", "a", "memory")
    put(marts, "24 10:00", "b")
    put(marts, "24 11:00", "later")
    put(marts, "25 10:00", "a")
    assert of_day(marts, 24) == (2, 2)
    assert of_day(marts, 25) == (1, 1)


def test_a_day_without_a_source_is_0_and_no_day_to_compare_with(marts: Marts) -> None:
    marts.fresh("t", "2026-11-25 10:00", event_type="metric")
    put(marts, "16 09:00", "a")
    put(marts, "25 09:00", "a")
    assert [of_day(marts, day) for day in (16, 17, 18, 19, 25)] == [(1, 1), (0, 0), (None, None), (0, 0), (1, 1)]


def test_of_others_no_source_is_counted(marts: Marts) -> None:
    for tenant in ("t", "u"):
        marts.fresh(tenant, "2026-11-25 10:00", event_type="metric")
    put(marts, "25 09:00", "a")
    put(marts, "25 09:00", "b", tenant="u")
    assert of_day(marts, 25) == (1, 1)
