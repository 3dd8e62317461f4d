"""``make bench``: runs every benchmark on the running stack and writes ``docs/performance.md``.

Each runs as a process of its own and ends with one JSON object; here is only the page.
"""

import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from cli.main import adopt_stack_environment
from stack.settings import REPO

PAGE = REPO / "docs" / "performance.md"
BENCHMARKS: Mapping[str, tuple[str, str]] = {
    "collector": (
        "Collector",
        "CPU seconds of the collector's process for each million events; aims: 150 one by one, 25 in batches of 50.",
    ),
    "hostile": (
        "Hostile requests",
        "One event a request by honest clients, alone and beside the requests of [bad input](bad-input.md), sent as"
        " fast as they are answered; the clients are on the same cores.",
    ),
    "lander": ("Lander", "From the first message read to the last commit; aim: 50,000 rows per CPU second."),
    "generator": (
        "Live generator",
        "Asked 0: made only, nothing sent; else events a second asked for and sent, the lag at the end, and the"
        " generator's CPU for each. Sent on until a rate is not held.",
    ),
    "importing": (
        "Imports",
        "`watershed import` of page views in Parquet, in row groups of a million, into a stand-in for the collector"
        " that accepts everything; memory is the most that the process had, everything included.",
    ),
    "micro_batch": (
        "Micro-batch",
        "A minute of all types at 100 events/s, client and Spark server together; aims: 10 s and 15 CPU seconds.",
    ),
    "marts": (
        "Marts",
        "From a load to published marts, each step a process as in Airflow, in seconds; with thirty days of history at"
        " a million events a day. *Everything* is the first build of all of it; aim of the others: 60 s.",
    ),
    "maintenance": (
        "Maintenance",
        "Spark's answers (visitors by region) on thirty days of page views, 24 files and 10,000 rows a day, before"
        " and after `watershed lake maintain`.",
    ),
    "dashboards": (
        "Dashboards",
        "Seconds from asking Superset for a chart, as a browser that opens its dashboard does, to the answer, past the"
        " cache; aim: p95 0.2, over thirty days at a million events a day. `make bench` asks for what `make demo`"
        " sent.",
    ),
}


def opening(name: str) -> str:
    """How the section of a benchmark begins, whatever was measured."""
    title, meaning = BENCHMARKS[name]
    return f"## {title}\n\n{meaning} Again: `python -m benchmarks.{name}`."


def measure(name: str) -> Any:
    """Run one benchmark, its words going to the terminal; give the JSON it ends with.

    :raises SystemExit: when it prints no JSON; missing an aim (exit code 1) is a result, not a failure.
    """
    argv = [sys.executable, "-m", f"benchmarks.{name}", "--json"]
    done = subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=False, cwd=REPO)
    sys.stdout.write(done.stdout)
    lines = done.stdout.strip().splitlines()
    if not lines or not lines[-1].startswith("{"):
        raise SystemExit(f"benchmarks.{name} failed ({done.returncode}); is the stack up (`make up`)?")
    return json.loads(lines[-1])


def table(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """A Markdown table of rows that share their keys."""
    names = list(rows[0])
    lines = ["| " + " | ".join(name.replace("_", " ") for name in names) + " |", "|" + "---:|" * len(names)]
    return lines + ["| " + " | ".join(_shown(row[name]) for name in names) + " |" for row in rows]


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return value
    return f"{value:,.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else f"{value:,}"


def main() -> int:
    """Measure everything and write the page."""
    adopt_stack_environment()
    when = datetime.now(UTC).date()
    lines = [
        "# Performance",
        "",
        f"Measured on {when} by `make bench` with the stack running beside it, on {os.cpu_count()} shared cores"
        f" ({platform.machine()}, Python {platform.python_version()}). The machine is shared and noisy: compare runs"
        " side by side, and take ratios rather than single figures.",
    ]
    for name in BENCHMARKS:
        result = measure(name)
        rows = result[name] if name in result else [{k: v for k, v in result.items() if not isinstance(v, list)}]
        lines += ["", opening(name), "", *table(rows)]
    PAGE.write_text("\n".join(lines) + "\n")
    sys.stdout.write(f"written: {PAGE.relative_to(REPO)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
