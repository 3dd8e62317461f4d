"""What the dashboards' queries cost: ``python -m benchmarks.dashboards [--tenant NAME]``, on a running stack with data.

Asks Superset over REST for every chart of every dashboard, past its cache, one after another: from the request to the
answer, so with what Superset itself does to it. A first round warms up and is left out. Changes nothing.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from cli.main import adopt_stack_environment
from superset_config.bundle import Bundle
from superset_config.rest import Superset, SupersetSettings

P95_AIM = 0.2
"""Seconds: what 95 of 100 queries should stay under."""


@dataclass(frozen=True)
class Row:
    """One dashboard, or all of them: seconds from the request to the answer."""

    dashboard: str
    charts: int
    queries: int
    p50: float
    p95: float
    slowest: float
    slowest_chart: str


def summed_up(dashboard: str, seconds: dict[str, list[float]]) -> Row:
    """``seconds`` by chart as a row."""
    every = sorted(each for times in seconds.values() for each in times)
    slowest = max(seconds, key=lambda chart: statistics.median(seconds[chart]))
    p95 = every[min(round(0.95 * len(every)), len(every) - 1)]
    return Row(dashboard, len(seconds), len(every), statistics.median(every), p95, every[-1], slowest)


def measure(superset: Superset, tenant: str, rounds: int) -> list[Row]:
    """Every dashboard, and all together last."""
    bundle = Bundle.load()
    ids = {uuid: int(row["id"]) for uuid, row in superset.by_uuid("chart").items()}
    paths = {chart.uuid: chart.path.removeprefix("charts/").removesuffix(".yaml") for chart in bundle.of("charts")}
    rows: list[Row] = []
    everything: dict[str, list[float]] = {}
    for dashboard in bundle.of("dashboards"):
        parts = [part for part in dashboard.content["position"].values() if isinstance(part, dict)]
        seconds: dict[str, list[float]] = {}
        for uuid in sorted({part["meta"]["uuid"] for part in parts if part["type"] == "CHART"}):
            context = superset.query(ids[uuid], {"tenant": [tenant]})
            for turn in range(rounds + 1):
                start = time.perf_counter()
                superset.answer(context)
                if turn:
                    seconds.setdefault(paths[uuid], []).append(time.perf_counter() - start)
        rows.append(summed_up(dashboard.name, seconds))
        everything |= seconds
    return [*rows, summed_up("All", everything)]


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point: 1 when the p95 of all misses the aim."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--tenant", default="demo", help="whose numbers are asked for")
    parser.add_argument("--rounds", type=int, default=3, help="how often each chart is asked for, after a first time")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of words")
    chosen = parser.parse_args(arguments)
    adopt_stack_environment()
    with Superset(SupersetSettings.read()) as superset:
        rows = measure(superset, chosen.tenant, chosen.rounds)
    if chosen.json:
        sys.stdout.write(json.dumps({"dashboards": [asdict(row) for row in rows]}) + "\n")
    else:
        for row in rows:
            sys.stdout.write(
                f"{row.dashboard:<18} {row.queries:>4} queries: p50 {row.p50:.3f} s, p95 {row.p95:.3f} s,"
                f" slowest {row.slowest:.3f} s (by median: {row.slowest_chart})\n"
            )
    return 0 if rows[-1].p95 <= P95_AIM else 1


if __name__ == "__main__":
    sys.exit(main())
