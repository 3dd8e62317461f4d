"""What the dashboards' queries cost: ``python -m benchmarks.dashboards [--tenant NAME]``, on a running stack with data.

Opens every dashboard in a browser, notes what it asks Superset for each chart, and asks the same again, past the cache,
one after another: from the request to the answer, so with what Superset itself does to it. Then Postgres for the same
SQL, without Superset. All dashboards' charts in turns, as readers ask: what is asked twice at once is found warm. A
first round warms up and is left out. Changes nothing. Needs a Chromium (``CHROMIUM_PATH``).

With ``--filter page_name=/`` (repeatable) as a reader would who has chosen that as well; where a chart's dataset does
not know the column, nothing is chosen.

With ``--beside URL`` each chart is asked of two Supersets in turns: another one over the same database of Superset's
own, of other code or settings. What is said of the second is in the rows that begin with ``beside``.
"""

import argparse
import json
import re
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field

import psycopg
from pydantic import Field, SecretStr

from benchmarks.board_questions import Question, board_questions
from cli.main import adopt_stack_environment
from runtime.settings import Settings
from superset_config.rest import Superset
from superset_config.screenshot import BrowserSettings

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


def measure(
    supersets: Sequence[Superset], warehouse: psycopg.Connection, questions: Sequence[Question], rounds: int
) -> dict[str, list[Seconds]]:
    """Of each dashboard what each of ``supersets`` took, in turns; of all together last."""
    found: dict[str, list[Seconds]] = {}
    everything = [Seconds() for _ in supersets]
    for turn in range(rounds + 1):
        for question in questions:
            here = found.setdefault(question.dashboard, [Seconds() for _ in supersets])
            for superset, *kept in zip(supersets, here, everything, strict=True):
                begun = time.perf_counter()
                asked = question.ask(superset)
                answered = time.perf_counter()
                for sql in asked:
                    for statement in statements(sql):
                        warehouse.execute(statement.encode()).fetchall()
                ended = time.perf_counter()
                for seconds in kept if turn else ():
                    seconds.superset[question.chart].append(answered - begun)
                    seconds.postgres[question.chart].append(ended - answered)
    return {**found, "All": everything}


def statements(sql: str) -> list[str]:
    """Those in what Superset says that it asked: the first of two may be for the lines that a chart is limited to."""
    return [statement for statement in re.split(r";\n\n", sql) if statement.strip(" ;\n")]


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
    parser.add_argument("--dashboard", action="append", default=[], help="only this one, by its slug (repeatable)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each chart is asked for, after a first time")
    parser.add_argument("--beside", metavar="URL", help="another Superset, to be asked in turns")
    parser.add_argument("--slowest", type=int, default=0, metavar="N", help="name the N slowest charts")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of words")
    parser.add_argument(
        "--filter", action="append", default=[], metavar="COLUMN=VALUE", help="what is chosen as well (repeatable)"
    )
    chosen = parser.parse_args(arguments)
    filters: dict[str, list[str]] = {}
    for each in chosen.filter:
        column, sign, value = each.partition("=")
        if not sign:
            parser.error(f"--filter {each}: say COLUMN=VALUE, as page_name=/")
        filters.setdefault(column, []).append(value)
    adopt_stack_environment()
    settings = BrowserSettings.read()
    places = [settings, *([settings.model_copy(update={"superset_url": chosen.beside})] if chosen.beside else [])]
    with ExitStack() as open_, psycopg.connect(WarehouseSettings.read().reader_dsn.get_secret_value()) as warehouse:
        warehouse.autocommit = True
        supersets = [open_.enter_context(Superset(place)) for place in places]
        sys.stderr.write("opening the dashboards in a browser…\n")
        questions = [
            each.narrowed(filters) for each in board_questions(settings, supersets[0], chosen.tenant, chosen.dashboard)
        ]
        found = measure(supersets, warehouse, questions, chosen.rounds)
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
