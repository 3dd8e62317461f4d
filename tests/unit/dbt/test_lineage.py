"""What the docs show beyond dbt: the way from the collector on, freshness, and what the gates found."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dbt_project.lineage import OVERVIEW, LineageError, completed
from dbt_project.state import State, states

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
READ_AT = NOON + timedelta(hours=1)
LAKE, COLLECTOR = "source.watershed.lake.page_view", "source.watershed.collector.page_view"
ROLLUP, MODEL = "source.watershed.rollups.page_view_minute", "model.watershed.region_daily"
BOARD = "exposure.watershed.page_views"


def source(key: str, **meta: Any) -> dict[str, Any]:
    *_, room, name = key.split(".")
    return {"name": name, "source_name": room, "meta": meta, "database": "watershed", "description": "Some."}


def manifest(made_from: str = "collector.page_view") -> dict[str, Any]:
    return {
        "sources": {
            COLLECTOR: source(COLLECTOR, system="Kafka"),
            LAKE: source(LAKE, system="Iceberg catalog lake", made_from=[made_from]),
            ROLLUP: source(ROLLUP, made_from=["lake.page_view"]),
        },
        "nodes": {
            MODEL: {"name": "region_daily", "description": "By day.", "meta": {"period": "day"}},
            "test.watershed.some": {"name": "some", "description": "", "meta": {}},
        },
        "exposures": {BOARD: {"name": "page_views", "description": "A board.", "depends_on": {"nodes": [MODEL]}}},
        "docs": {OVERVIEW: {"block_contents": "Welcome."}},
        "parent_map": {COLLECTOR: [], LAKE: [], ROLLUP: [], MODEL: [ROLLUP], BOARD: [MODEL]},
        "child_map": {COLLECTOR: [], LAKE: [], ROLLUP: [MODEL], MODEL: [BOARD], BOARD: []},
    }


def test_the_graph_leads_from_the_collector_to_the_dashboard() -> None:
    done = completed(manifest(), {}, READ_AT)
    way, at = [COLLECTOR], COLLECTOR
    while done["child_map"][at]:
        (at,) = done["child_map"][at]
        way.append(at)
    assert way == [COLLECTOR, LAKE, ROLLUP, MODEL, BOARD]
    assert [done["parent_map"][key] for key in way] == [[], [COLLECTOR], [LAKE], [ROLLUP], [MODEL]]


def test_what_is_no_relation_of_the_warehouse_is_shown_in_the_system_that_holds_it() -> None:
    sources = completed(manifest(), {}, READ_AT)["sources"]
    assert [sources[key]["database"] for key in (COLLECTOR, LAKE, ROLLUP)] == [
        "Kafka",
        "Iceberg catalog lake",
        "watershed",
    ]


def test_a_parent_that_is_none_is_named() -> None:
    with pytest.raises(LineageError, match=r"lake.page_view is made_from source.watershed.collector.views"):
        completed(manifest("collector.views"), {}, READ_AT)


def test_freshness_and_the_last_gate_are_shown_on_the_mart_the_rollup_the_dashboard_and_the_first_page() -> None:
    known = states({"page_view": (NOON, 0)}, {"region_daily": (NOON, 0), "page_view_minute": (NOON, 2)})
    done = completed(manifest(), known, READ_AT)
    said = (
        "Complete through: 2026-11-20 12:00 UTC. Last gate: passed, 2026-11-20 12:00 UTC. (Read 2026-11-20 13:00 UTC.)"
    )
    assert done["nodes"][MODEL]["description"] == f"By day.\n\n**State.** {said}"
    assert done["exposures"][BOARD]["description"] == f"A board.\n\n**State.** {said}"
    assert "Last gate: checks failed: 2, 2026-11-20 12:00 UTC." in done["sources"][ROLLUP]["description"]
    first = done["docs"][OVERVIEW]["block_contents"]
    assert "| region_daily | 2026-11-20 12:00 UTC | passed, 2026-11-20 12:00 UTC |" in first
    assert "page_view_minute" not in first


def test_a_mart_of_several_types_is_complete_through_the_least_complete() -> None:
    types = {"purchase": (NOON, 0), "refund": (NOON - timedelta(hours=1), 2)}
    revenue = states(types, {})["revenue_daily"]
    assert revenue.freshness == "2026-11-20 11:00 UTC (tenants whose newest numbers are held: 2)"
    assert revenue.gate == "no gate has looked yet"
    assert states({"purchase": (NOON, 0)}, {})["revenue_daily"].freshness == "not known yet"


def test_several_marts_together_are_as_good_as_the_worst() -> None:
    together = State.of([State(NOON, 0, NOON, 1), State(NOON - timedelta(days=1), 1, NOON, 2)])
    assert together == State(NOON - timedelta(days=1), 1, NOON, 3)
    assert State.of([State(NOON), State(None)]).complete_through is None


def test_what_was_given_is_not_changed() -> None:
    given = manifest()
    completed(given, states({}, {}), READ_AT)
    assert given == manifest()


def test_a_mart_s_page_says_its_metrics_and_keeps_the_rest_of_its_meta() -> None:
    said = {"label": "Page views", "expression": "sum(page_views)", "format": "count", "description": "By people."}
    given = manifest()
    given["nodes"][MODEL]["meta"]["metrics"] = {"page_views": said}
    done = completed(given, {}, READ_AT)["nodes"][MODEL]
    assert done["description"].startswith("By day.\n\n#### Metrics")
    assert "| **Page views** (`page_views`) | By people. | `sum(page_views)` |" in done["description"]
    assert done["meta"] == {"period": "day"}
