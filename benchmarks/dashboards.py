"""What the dashboards' queries cost: ``python -m benchmarks.dashboards [--tenant NAME]``, on a running stack with data.

Asks Superset over REST for every chart of every dashboard, past its cache, one after another: from the request to the
answer, so with what Superset itself does to it. Then Postgres for the same SQL, without Superset. A first round warms
up and is left out. Changes nothing.

With ``--filter page_name=/`` (repeatable) as a reader would who has chosen that; where a chart's dataset does not know
the column, nothing is chosen.

With ``--beside URL`` each chart is asked of two Supersets in turns: another one over the same database of Superset's
own, of other code or settings. What is said of the second is in the rows that begin with ``beside``.
"""

import argparse
import json
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field

import psycopg
from pydantic import Field, SecretStr

from cli.main import adopt_stack_environment
from runtime.settings import Settings
from superset_config.bundle import Bundle
from superset_config.rest import Superset, SupersetSettings

P95_AIM = 0.2
"""Seconds: what 95 of 100 queries should stay under."""


class WarehouseSettings(Settings):
    """Where the marts are, as who Superset reads them."""

    reader_dsn: SecretStr = Field(description="The warehouse, as the role that sees every tenant")


@dataclass
class Seconds:
    """What was measured, by chart: at a Superset, and at Postgres alone."""

    superset: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    postgres: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))


@dataclass(frozen=True)
class Row:
    """One dashboard, or all of them: seconds from the request to the answer; ``postgres_p95`` of the SQL alone."""

    dashboard: str
    charts: int
    queries: int
    p50: float
    p95: float
    slowest: float
    slowest_chart: str
    postgres_p95: float


def percentile_95(seconds: dict[str, list[float]]) -> float:
    """Of all of them; the nearest that was measured."""
    every = sorted(each for times in seconds.values() for each in times)
    return every[min(round(0.95 * len(every)), len(every) - 1)]


def summed_up(dashboard: str, seconds: Seconds) -> Row:
    """``seconds`` by chart as a row."""
    by_chart = seconds.superset
    every = [each for times in by_chart.values() for each in times]
    slowest = max(by_chart, key=lambda chart: statistics.median(by_chart[chart]))
    p50, p95 = statistics.median(every), percentile_95(by_chart)
    return Row(dashboard, len(by_chart), len(every), p50, p95, max(every), slowest, percentile_95(seconds.postgres))


def charts(bundle: Bundle) -> Iterator[tuple[str, str, str]]:
    """Dashboard, path and UUID of each chart, by dashboard."""
    paths = {chart.uuid: chart.path.removeprefix("charts/").removesuffix(".yaml") for chart in bundle.of("charts")}
    for dashboard in bundle.of("dashboards"):
        parts = [part for part in dashboard.content["position"].values() if isinstance(part, dict)]
        for uuid in sorted({part["meta"]["uuid"] for part in parts if part["type"] == "CHART"}):
            yield dashboard.name, paths[uuid], uuid


def measure(
    supersets: Sequence[Superset], warehouse: psycopg.Connection, filters: Mapping[str, Sequence[str]], rounds: int
) -> dict[str, list[Seconds]]:
    """Of each dashboard what each of ``supersets`` took, in turns; of all together last."""
    ids = {uuid: int(row["id"]) for uuid, row in supersets[0].by_uuid("chart").items()}
    found: dict[str, list[Seconds]] = {}
    everything = [Seconds() for _ in supersets]
    for dashboard, path, uuid in charts(Bundle.load()):
        here = found.setdefault(dashboard, [Seconds() for _ in supersets])
        context = supersets[0].query(ids[uuid], filters)
        for turn in range(rounds + 1):
            for superset, *kept in zip(supersets, here, everything, strict=True):
                begun = time.perf_counter()
                results = superset.results(context)
                answered = time.perf_counter()
                for result in results:
                    warehouse.execute(result["query"].encode()).fetchall()
                ended = time.perf_counter()
                for seconds in kept if turn else ():
                    seconds.superset[path].append(answered - begun)
                    seconds.postgres[path].append(ended - answered)
    return {**found, "All": everything}


def slowest(seconds: Seconds, number: int) -> Iterator[str]:
    """A line for each of the slowest charts, by median."""
    medians = {chart: statistics.median(times) for chart, times in seconds.superset.items()}
    for chart in sorted(medians, key=lambda chart: -medians[chart])[:number]:
        alone = statistics.median(seconds.postgres[chart])
        yield f"{chart:<40} {medians[chart]:.3f} s, of which the SQL alone takes {alone:.3f} s\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point: 1 when the p95 of all misses the aim."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--tenant", default="demo", help="whose numbers are asked for")
    parser.add_argument("--rounds", type=int, default=3, help="how often each chart is asked for, after a first time")
    parser.add_argument("--beside", metavar="URL", help="another Superset, to be asked in turns")
    parser.add_argument("--slowest", type=int, default=0, metavar="N", help="name the N slowest charts")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of words")
    parser.add_argument(
        "--filter", action="append", default=[], metavar="COLUMN=VALUE", help="what is chosen as well (repeatable)"
    )
    chosen = parser.parse_args(arguments)
    filters = {"tenant": [chosen.tenant]}
    for each in chosen.filter:
        column, sign, value = each.partition("=")
        if not sign:
            parser.error(f"--filter {each}: say COLUMN=VALUE, as page_name=/")
        filters.setdefault(column, []).append(value)
    adopt_stack_environment()
    settings = SupersetSettings.read()
    places = [settings, *([settings.model_copy(update={"superset_url": chosen.beside})] if chosen.beside else [])]
    with ExitStack() as open_, psycopg.connect(WarehouseSettings.read().reader_dsn.get_secret_value()) as warehouse:
        warehouse.autocommit = True
        supersets = [open_.enter_context(Superset(place)) for place in places]
        found = measure(supersets, warehouse, filters, chosen.rounds)
    names = ("", "beside: ")
    rows = [
        summed_up(names[which] + dashboard, seconds)
        for which in range(len(places))
        for dashboard, by_superset in found.items()
        for seconds in by_superset[which : which + 1]
    ]
    if chosen.json:
        sys.stdout.write(json.dumps({"dashboards": [asdict(row) for row in rows]}) + "\n")
    else:
        for row in rows:
            sys.stdout.write(
                f"{row.dashboard:<24} {row.queries:>4} queries: p50 {row.p50:.3f} s, p95 {row.p95:.3f} s"
                f" (Postgres {row.postgres_p95:.3f} s),"
                f" slowest {row.slowest:.3f} s (by median: {row.slowest_chart})\n"
            )
        for which, seconds in enumerate(found["All"]):
            sys.stdout.writelines(names[which] + line for line in slowest(seconds, chosen.slowest))
    return 0 if next(row for row in rows if row.dashboard == "All").p95 <= P95_AIM else 1


if __name__ == "__main__":
    sys.exit(main())
